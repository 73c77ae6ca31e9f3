import io

import numpy as np
import pytest
from PIL import Image

from dlapps.data.inputs import Input
from dlapps.data.pictures import UnreadablePictureError
from dlapps.data.views import looked, together
from tests.apps.detect.scenes import painted


def as_jpeg(image, orientation=1):
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    image.save(file, "JPEG", quality=95, exif=exif)
    return file.getvalue()


def red_in(view):
    """Returns the extent of what is red in a view."""
    pixels = view.image.astype(int)
    rows, columns = np.nonzero(pixels[..., 0] - pixels[..., 2] > 100)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (33, 1000), (50, 40), (3000, 2000)])
@pytest.mark.parametrize("tile", [None, 640])
def test_what_is_seen_in_a_view_is_found_in_the_picture(size, tile):
    width, height = size
    box = np.round([0.25 * width, 0.5 * height, 0.75 * width, 0.9 * height])
    picture = np.asarray(painted(size, [box], ["red"]))
    one = looked(Input("a", picture), 160, tile)
    assert one.size == size
    pixel = max(size) / 160
    moved = one.views[0].back(red_in(one.views[0])[None])[0]
    np.testing.assert_allclose(moved, box, atol=1.2 * pixel + 1)


def test_sides_are_multiples_of_32_and_no_longer_than_needed():
    picture = np.zeros((300, 640, 3), np.uint8)
    assert looked(Input("a", picture), 320, None).views[0].image.shape == (160, 320, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_large_jpeg_has_its_own_size_whichever_way_it_lies(orientation):
    data = as_jpeg(painted((2000, 1200), [(200, 300, 600, 1100)], ["red"]), orientation)
    one = looked(Input("a", data), 160, None)
    upright = (2000, 1200) if orientation < 5 else (1200, 2000)
    assert one.size == upright
    box = one.views[0].back(red_in(one.views[0])[None])[0]
    expected = {
        1: (200, 300, 600, 1100), 2: (1400, 300, 1800, 1100), 3: (1400, 100, 1800, 900),
        4: (200, 100, 600, 900), 5: (300, 200, 1100, 600), 6: (100, 200, 900, 600),
        7: (100, 1400, 900, 1800), 8: (300, 1400, 1100, 1800),
    }[orientation]  # fmt: skip
    np.testing.assert_allclose(box, expected, atol=14)


def test_tiles_have_the_pixels_of_the_picture():
    picture = np.random.default_rng(0).integers(0, 256, (160, 400, 3), np.uint8)
    one = looked(Input("a", picture), 160, 160)
    assert len(one.views) == 1 + 3
    for view in one.views[1:]:
        left, top, right, bottom = view.part
        np.testing.assert_array_equal(view.image, picture[top:bottom, left:right])


def test_boxes_are_clipped_to_the_picture_and_those_outside_are_nothing():
    one = looked(Input("a", np.zeros((80, 160, 3), np.uint8)), 160, None)
    assert one.views[0].image.shape == (96, 160, 3)  # Eight grey rows above, eight below.
    boxes = np.array([[-9, -9, 50, 50], [10, 0, 90, 7], [0, 0, 0, 0]], np.float32)
    answers = [boxes, np.array([0.9, 0.8, 0.0]), np.array([0, 0, -1])]
    found = together(one, [answers], 0.45, 300)
    np.testing.assert_allclose(found.boxes, [[0, 0, 50, 42]])


def test_what_two_tiles_see_is_one_thing():
    one = looked(Input("a", np.zeros((160, 288, 3), np.uint8)), 160, 160)
    parts = [view.part for view in one.views]
    assert parts == [(0, 0, 288, 160), (0, 0, 160, 160), (128, 0, 288, 160)]
    # A thing from 130 to 155: whole in both tiles; in the whole picture, unseen.
    nothing = [np.zeros((1, 4), np.float32), np.zeros(1), np.array([-1])]
    first = [np.array([[130, 10, 155, 60]], np.float32), np.array([0.8]), np.array([0])]
    second = [np.array([[2, 10, 27, 60]], np.float32), np.array([0.9]), np.array([0])]
    found = together(one, [nothing, first, second], 0.45, 300)
    np.testing.assert_allclose(found.boxes, [[130, 10, 155, 60]])
    assert found.scores.tolist() == pytest.approx([0.9])


@pytest.mark.parametrize("data", [b"", b"text", as_jpeg(Image.new("RGB", (600, 400)))[:300]])
def test_what_is_no_picture_is_said(data):
    with pytest.raises(UnreadablePictureError):
        looked(Input("a", data), 160, None)
