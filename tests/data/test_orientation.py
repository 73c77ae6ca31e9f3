import numpy as np
import pytest
from PIL import Image, ImageOps

from dlapps.data.orientation import turned_boxes, turned_picture, turned_size
from tests.data.boxed_files import ORIENTATION
from tests.data.marked_pictures import edges_of, marked

BOX = np.array([5.0, 8.0, 21.0, 14.0])
BACK = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_turn_with_their_picture(orientation):
    image = Image.fromarray(marked((40, 30), [BOX]))
    turned = turned_picture(image, orientation)
    assert turned.size == turned_size(orientation, image.size)
    np.testing.assert_array_equal(
        turned_boxes(BOX[None], orientation, image.size)[0], edges_of(np.asarray(turned))
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_is_what_pillow_does_to_make_a_picture_upright(orientation):
    image = Image.fromarray(marked((40, 30), [BOX]))
    image.getexif()[ORIENTATION] = orientation
    np.testing.assert_array_equal(
        np.asarray(turned_picture(image, orientation)), np.asarray(ImageOps.exif_transpose(image))
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_back_undoes_it(orientation):
    boxes = np.random.default_rng(0).uniform(0, 30, (5, 4))
    size = (40, 30)
    turned = turned_boxes(boxes, orientation, size)
    back = turned_boxes(turned, BACK[orientation], turned_size(orientation, size))
    np.testing.assert_allclose(back, boxes)
