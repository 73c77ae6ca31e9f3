import functools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dlapps.data.pictures import read_picture
from dlapps.graphs import pictures
from tests.graphs.files import files, noted, saved, smooth

FILES = files()


@functools.cache
def decoder(short_side=0):
    spec = tf.TensorSpec((), tf.string)
    return tf.function(
        lambda data: pictures.decoded(data, short_side), autograph=False, input_signature=[spec]
    )


@pytest.mark.parametrize("name", FILES)
def test_decodes_to_the_pixels_of_pillow(name):
    wanted = np.asarray(read_picture(FILES[name]))
    np.testing.assert_array_equal(decoder()(FILES[name]).numpy(), wanted)


@pytest.mark.parametrize("orientation", [*range(10)])
@pytest.mark.parametrize("endian", ["<", ">"])
def test_turns_a_photo_upright(orientation, endian):
    file = saved(smooth((30, 20)), "JPEG", exif=noted(orientation, endian))
    np.testing.assert_array_equal(decoder()(file).numpy(), np.asarray(read_picture(file)))


@pytest.mark.parametrize("size", [(130, 127), (129, 400), (257, 300), (515, 513), (700, 300)])
def test_decodes_a_large_photo_at_the_fraction_that_pillow_takes(size):
    file = saved(smooth(size), "JPEG")
    wanted = np.asarray(read_picture(file, 64))
    np.testing.assert_array_equal(decoder(64)(file).numpy(), wanted)


def test_a_damaged_note_is_no_reason_to_stop():
    note = b"Exif\0\0MM\0*\xff\xff\xff\xff"
    file = saved(smooth((30, 20)), "JPEG", exif=note)
    assert decoder()(file).shape == (20, 30, 3)


def animated():
    return saved(smooth(), "WEBP", save_all=True, append_images=[smooth(seed=1)])


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"no picture", id="text"),
        pytest.param(FILES["jpeg"][:700], id="cut-jpeg"),
        pytest.param(b"\xff\xd8\xff", id="start-of-a-jpeg"),
        pytest.param(FILES["png"][:300], id="cut-png"),
        pytest.param(FILES["png"][:10], id="start-of-a-png"),
        pytest.param(b"BM", id="start-of-a-bmp"),
        pytest.param(b"RIFF", id="start-of-a-webp"),
        pytest.param(animated(), id="animated-webp"),
        pytest.param(saved(smooth(), "TIFF"), id="tiff"),
        pytest.param(saved(smooth().convert("1"), "BMP"), id="bmp-of-1-bit"),
    ],
)
def test_refuses_what_is_no_picture(data):
    # TensorFlow's message may quote the bytes, which need be no text.
    with pytest.raises((tf.errors.InvalidArgumentError, UnicodeDecodeError)):
        decoder()(data)


def test_lays_every_alpha_over_white_as_pillow_does():
    values = np.arange(256, dtype=np.uint8)
    colour, alpha = np.meshgrid(values, values)
    image = np.stack([colour, colour, colour, alpha], -1)
    wanted = np.asarray(read_picture(saved(Image.fromarray(image), "PNG")))
    np.testing.assert_array_equal(pictures._over_white(tf.constant(image)), wanted)
