import io

import numpy as np
from PIL import Image

from dlapps.data.samples import SIDE, as_png, digits


def test_every_digit_is_there_as_a_picture():
    images, labels = digits()
    assert images.shape == (1797, SIDE, SIDE, 3)
    assert images.dtype == np.uint8
    assert sorted(set(labels.tolist())) == list(range(10))
    assert np.bincount(labels).min() > 150


def test_the_ink_is_dark_on_white_paper():
    images, _ = digits()
    margin = SIDE // 8
    frame = np.ones((SIDE, SIDE), bool)
    frame[margin:-margin, margin:-margin] = False
    assert (images[:, frame] == 255).all()
    assert (images.min(axis=(1, 2, 3)) < 64).all()
    assert (images[..., 0] == images[..., 2]).all()


def test_a_png_gives_the_picture_back():
    image = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)
    np.testing.assert_array_equal(Image.open(io.BytesIO(as_png(image))), image)
