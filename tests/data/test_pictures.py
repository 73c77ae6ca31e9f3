import io

import numpy as np
import pytest
from PIL import Image

from dlapps.data.pictures import centre_crop, read_picture, resized, size_of

# A corner of each colour: a picture turned or mirrored in any way is another one.
CORNERS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 0]]], np.uint8)
UPRIGHT = CORNERS.repeat(16, axis=0).repeat(24, axis=1)  # (32, 48, 3)
# What a camera does to the picture, by the orientation that its EXIF data then tell.
TURNED = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: x.transpose(1, 0, 2)[::-1],
    7: lambda x: x[::-1, ::-1].transpose(1, 0, 2),
    8: lambda x: x.transpose(1, 0, 2)[:, ::-1],
}


def encoded(image, format_, **settings):
    file = io.BytesIO()
    image.save(file, format_, **settings)
    return file.getvalue()


def png(image, **settings):
    return encoded(image, "PNG", **settings)


def read(data, **settings):
    image = read_picture(data, **settings)
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.mark.parametrize("format_", ["PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG"])
def test_reads_every_format_that_people_have(format_):
    lossless = {"WEBP": {"lossless": True}}.get(format_, {})
    result = read(encoded(Image.fromarray(UPRIGHT), format_, **lossless))
    # Away from the edges, where lossy formats ring.
    difference = np.abs(result.astype(int) - UPRIGHT)[4:12, 4:20]
    assert difference.max() <= (8 if format_ in ("JPEG", "AVIF") else 0)
    assert result.shape == UPRIGHT.shape


def test_reads_paths_bytes_and_arrays_alike(tmp_path):
    data = png(Image.fromarray(UPRIGHT))
    (tmp_path / "a.png").write_bytes(data)
    for source in (tmp_path / "a.png", str(tmp_path / "a.png"), data, UPRIGHT):
        np.testing.assert_array_equal(read(source), UPRIGHT)


def test_goes_by_the_content_not_by_the_name(tmp_path):
    (tmp_path / "a.jpg").write_bytes(png(Image.fromarray(UPRIGHT)))
    np.testing.assert_array_equal(read(tmp_path / "a.jpg"), UPRIGHT)


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_grey_has_three_equal_channels(mode):
    grey = Image.fromarray(UPRIGHT).convert("L").point(lambda v: 255 * (v > 90))
    result = read(png(grey.convert(mode)))
    np.testing.assert_array_equal(result, np.asarray(grey.convert("RGB")))


def test_a_palette_is_looked_up():
    image = Image.fromarray(UPRIGHT).convert("P", palette=Image.Palette.ADAPTIVE, colors=4)
    np.testing.assert_array_equal(read(png(image)), UPRIGHT)


@pytest.mark.parametrize("transparency", [0, b"\x00"], ids=["index", "bytes"])
def test_a_transparent_colour_of_a_palette_is_white(transparency):
    image = Image.new("P", (32, 32), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(0, (0, 0, 16, 32))
    result = read(png(image, transparency=transparency))
    assert (result[:, :16] == 255).all()
    assert (result[:, 16:] == (0, 0, 255)).all()


def test_what_shines_through_is_white():
    image = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    image.paste((255, 0, 0, 255), (0, 0, 16, 32))
    image.paste((0, 0, 0, 128), (16, 0, 32, 16))
    result = read(png(image))
    assert (result[:, :16] == (255, 0, 0)).all()
    assert (result[16:, 16:] == 255).all()
    assert (np.abs(result[:16, 16:].astype(int) - 127) <= 1).all()


def test_cmyk_has_the_colours_that_it_prints():
    result = read(encoded(Image.fromarray(UPRIGHT).convert("CMYK"), "JPEG", quality=95))
    assert np.abs(result.astype(int) - UPRIGHT)[4:12, 4:20].max() <= 10


@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(format_):
    levels = np.array([0, 257 * 10, 257 * 128, 65535], np.uint16)
    image = Image.fromarray(np.tile(levels.repeat(8), (32, 1)))
    assert image.mode == "I;16"
    result = read(encoded(image, format_))
    np.testing.assert_array_equal(result[0, ::8, 0], [0, 10, 128, 255])
    assert (result[..., 0] == result[..., 2]).all()


@pytest.mark.parametrize(
    ("low", "high"),
    [
        pytest.param(0.0, 1.0, id="unit"),
        pytest.param(0.0, 255.0, id="bytes"),
        pytest.param(-3.0, 5.0, id="signed"),
    ],
)
def test_floats_are_scaled_to_the_whole_range(low, high):
    ramp = np.tile(np.linspace(low, high, 32, dtype=np.float32), (32, 1))
    result = read(encoded(Image.fromarray(ramp), "TIFF"))
    assert (result[0, 0, 0], result[0, -1, 0]) == (0, 255)
    assert (np.diff(result[0, :, 0].astype(int)) > 0).all()


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("format_", ["PNG", "JPEG"])
def test_every_orientation_gives_the_same_upright_picture(orientation, format_):
    image = Image.fromarray(np.ascontiguousarray(TURNED[orientation](UPRIGHT)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    result = read(encoded(image, format_, exif=exif))
    assert result.shape == UPRIGHT.shape
    # The middles of the four corners.
    middles = result[8::16, 12::24].astype(int)
    assert np.abs(middles - CORNERS).max() <= (0 if format_ == "PNG" else 8)


def test_an_orientation_that_is_none_changes_nothing():
    exif = Image.Exif()
    exif[0x0112] = 9
    np.testing.assert_array_equal(read(png(Image.fromarray(UPRIGHT), exif=exif)), UPRIGHT)


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_an_animation_is_its_first_frame(format_):
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue", "lime")]
    settings = {"lossless": True} if format_ == "WEBP" else {}
    data = encoded(frames[0], format_, save_all=True, append_images=frames[1:], **settings)
    assert (np.abs(read(data).astype(int) - (255, 0, 0)) <= 1).all()


def test_a_big_jpeg_is_decoded_small():
    big = Image.fromarray(UPRIGHT).resize((1200, 800), Image.Resampling.NEAREST)
    data = encoded(big, "JPEG")
    small = read_picture(data, short_side=64)
    assert 64 <= min(small.size) <= 128
    assert small.width / small.height == pytest.approx(1.5, abs=0.02)
    assert read_picture(data).size == (1200, 800)
    assert np.abs(np.asarray(small).astype(int)[5, 5] - (255, 0, 0)).max() <= 8


@pytest.mark.parametrize("side", [40, 64, 100, 128, 129, 300, 999])
def test_the_short_side_is_kept(side):
    data = encoded(Image.new("RGB", (side + 7, side), "red"), "JPEG")
    assert min(read_picture(data, short_side=64).size) >= min(side, 64)


def test_a_png_is_never_drawn_small():
    data = png(Image.new("RGB", (400, 300)))
    assert read_picture(data, short_side=32).size == (400, 300)


@pytest.mark.parametrize("shape", [(32, 48), (48, 32), (40, 40)])
def test_the_centre_crop_is_the_middle_square(shape):
    height, width = shape
    image = Image.new("RGB", (width, height), "blue")
    side = min(shape)
    left, top = (width - side) // 2, (height - side) // 2
    image.paste((255, 0, 0), (left, top, left + side, top + side))
    result = centre_crop(image, side, 1.0)
    assert result.shape == (side, side, 3)
    assert result.dtype == np.uint8
    assert (result == (255, 0, 0)).all()


def test_a_smaller_crop_sees_less():
    image = Image.new("RGB", (64, 64), "blue")
    image.paste((255, 0, 0), (16, 16, 48, 48))
    assert (centre_crop(image, 32, 0.5) == (255, 0, 0)).all()
    assert (centre_crop(image, 32, 1.0)[0] == (0, 0, 255)).all()


def test_a_box_of_the_size_asked_for_is_copied():
    image = Image.fromarray(UPRIGHT)
    np.testing.assert_array_equal(resized(image, 20, (10, 5, 30, 25)), UPRIGHT[5:25, 10:30])


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "GIF"])
def test_the_size_is_known_without_decoding(tmp_path, format_):
    data = encoded(Image.fromarray(UPRIGHT), format_)
    (tmp_path / "a").write_bytes(data[: len(data) * 9 // 10])
    for source in (data, tmp_path / "a", str(tmp_path / "a"), UPRIGHT):
        assert size_of(source) == (48, 32)


def test_what_is_no_picture_has_no_size(tmp_path):
    (tmp_path / "a.jpg").write_text("text")
    for source in (b"", b"text", tmp_path / "a.jpg", tmp_path / "missing.jpg", tmp_path):
        assert size_of(source) == (0, 0)
