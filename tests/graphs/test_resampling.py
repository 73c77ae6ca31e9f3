import functools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dlapps.data import pictures
from dlapps.graphs import resampling

IMAGE = tf.TensorSpec((None, None, 3), tf.uint8)


def noise(rows, columns):
    return np.random.default_rng(rows).integers(0, 256, (rows, columns, 3)).astype(np.uint8)


@functools.cache
def square(size, crop):
    return tf.function(
        lambda image: resampling.centre_square(image, size, crop),
        autograph=False, input_signature=[IMAGE],
    )  # fmt: skip


# Both orders of the two passes, up and down, sides shorter than the filter.
SHAPES = [(50, 50), (100, 70), (70, 100), (90, 20), (20, 90), (1, 1), (3, 2), (32, 32), (200, 60)]
SHAPES += [(64, 48), (65, 48), (66, 48), (301, 97)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("crop", [0.875, 1.0])
def test_gives_the_very_pixels_of_pillow(shape, crop):
    image = noise(*shape)
    wanted = pictures.centre_crop(Image.fromarray(image), 32, crop)
    np.testing.assert_array_equal(square(32, crop)(image), wanted)


@pytest.mark.parametrize(("height", "width"), [(20, 60), (60, 20), (40, 33)])
def test_takes_any_box_and_size(height, width):
    image, box = noise(120, 90), (3.25, 10.5, 80.75, 111.0)
    wanted = Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC, box=box)
    sides = tuple(tf.constant(side, tf.float64) for side in box)
    found = resampling.resized(tf.constant(image), height, width, sides)
    np.testing.assert_array_equal(found, wanted)
