import numpy as np
import pytest
from PIL import Image

from dlapps.data.letterbox import GREY, fitting_sides, letterboxed
from tests.data.marked_pictures import edges_of, marked

SIZES = [(64, 48), (48, 64), (50, 50), (301, 77), (13, 200), (640, 480)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("view", [(96, 96), (128, 64), (32, 160)], ids=str)
def test_a_box_is_where_its_pixels_are(size, view):
    box = np.array([size[0] * 0.2, size[1] * 0.3, size[0] * 0.7, size[1] * 0.8]).round()
    image, placement = letterboxed(Image.fromarray(marked(size, [box])), *view)
    assert image.shape == (view[1], view[0], 3)
    np.testing.assert_allclose(placement.into(box), edges_of(image), atol=1.1)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_there_and_back_again_is_where_one_was(size):
    _, placement = letterboxed(Image.new("RGB", size), 96, 64)
    boxes = np.random.default_rng(0).uniform(0, 50, (2, 7, 4)).astype(np.float32)
    np.testing.assert_allclose(placement.back(placement.into(boxes)), boxes, atol=1e-3)
    assert placement.into(boxes).dtype == placement.back(boxes).dtype == np.float32


def test_a_picture_stands_whole_in_the_middle_of_grey():
    image, placement = letterboxed(Image.new("RGB", (64, 48), "white"), 128, 128)
    assert (placement.scale, placement.left, placement.top) == (2, 0, 16)
    assert (image[16:112] == 255).all()
    assert (image[:16] == GREY).all()
    assert (image[112:] == GREY).all()


def test_a_picture_of_the_right_size_is_not_touched():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    image, _ = letterboxed(Image.fromarray(pixels), 64, 32)
    np.testing.assert_array_equal(image, pixels)


def test_a_thin_picture_keeps_a_pixel():
    image, placement = letterboxed(Image.new("RGB", (5000, 2), "white"), 64, 64)
    assert (image == 255).any(axis=(1, 2)).sum() == 1
    assert placement.scale == 64 / 5000


@pytest.mark.parametrize(
    ("size", "sides"),
    [
        pytest.param((640, 480), (416, 320), id="wide"),
        pytest.param((480, 640), (320, 416), id="high"),
        pytest.param((100, 100), (416, 416), id="square"),
        pytest.param((5000, 2), (416, 32), id="thin"),
        pytest.param((416, 384), (416, 384), id="exact"),
        pytest.param((416, 385), (416, 416), id="a pixel more"),
    ],
)
def test_the_least_sides_hold_the_scaled_picture(size, sides):
    assert fitting_sides(*size, 416) == sides
    _, placement = letterboxed(Image.new("RGB", size), *sides)
    assert placement.scale == pytest.approx(416 / max(size))
