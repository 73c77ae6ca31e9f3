import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from dlapps.data import pictures
from dlapps.data.pictures import UnreadablePictureError, read_picture


def encoded(image, format_, **settings):
    file = io.BytesIO()
    image.save(file, format_, **settings)
    return file.getvalue()


def noise(side):
    """Returns a picture that no format can write in a few bytes."""
    values = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    return Image.fromarray(values)


def claiming(width, height):
    """Returns a PNG of a few bytes that says it is of any size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")]
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in chunks:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        parts += [struct.pack(">I", len(data)), kind, data, crc]
    return b"".join(parts)


@pytest.mark.parametrize(
    ("width", "height"),
    [
        pytest.param(
            10001,
            10000,
            id="over",
        ),
        pytest.param(50000, 50000, id="huge"),
        pytest.param(2**31 - 1, 2**31 - 1, id="largest"),
    ],
)
def test_a_small_file_of_a_huge_picture_is_refused(width, height):
    with pytest.raises(UnreadablePictureError, match=r"more than 89 million pixels|damaged: "):
        read_picture(claiming(width, height))


def test_says_how_large_a_picture_may_be(monkeypatch):
    monkeypatch.setattr(pictures, "MAX_PIXELS", 2_000_000)
    with pytest.raises(UnreadablePictureError, match="2001 x 1000 is more than 2 million pixels"):
        read_picture(encoded(Image.new("L", (2001, 1000)), "PNG"))
    assert read_picture(encoded(Image.new("L", (2000, 1000)), "PNG")).size == (2000, 1000)


def test_an_empty_file_says_so(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(UnreadablePictureError, match=r"^the file is empty$"):
        read_picture(tmp_path / "a.jpg")


def test_a_text_is_not_a_picture(tmp_path):
    (tmp_path / "a.jpg").write_text("<html>Not found</html>")
    with pytest.raises(UnreadablePictureError, match=r"^not a picture in a known format$"):
        read_picture(tmp_path / "a.jpg")


def test_no_file_and_a_folder_say_so(tmp_path):
    with pytest.raises(UnreadablePictureError, match=r"^No such file or directory$"):
        read_picture(tmp_path / "a.jpg")
    with pytest.raises(UnreadablePictureError, match=r"^Is a directory$"):
        read_picture(tmp_path)


def test_postscript_is_refused():
    data = encoded(noise(32), "EPS")
    with pytest.raises(UnreadablePictureError, match="not a picture"):
        read_picture(data)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF"])
def test_a_truncated_file_is_unreadable(format_):
    data = encoded(noise(64), format_)
    with pytest.raises(UnreadablePictureError, match=r"damaged: |not a picture"):
        read_picture(data[: len(data) // 2])


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_a_damaged_file_is_read_or_unreadable_and_nothing_else(format_):
    rng = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    settings = {} if format_ in ("BMP", "GIF") else {"exif": exif}
    whole = encoded(noise(32), format_, **settings)
    for _ in range(150):
        data = bytearray(whole)
        for place in rng.integers(0, min(len(data), 300), 3):
            data[place] = rng.integers(256)
        with contextlib.suppress(UnreadablePictureError):
            assert read_picture(bytes(data)).mode == "RGB"
