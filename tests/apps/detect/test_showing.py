import types

import numpy as np
import pytest

from dlapps.apps.detect import showing
from dlapps.drawing import colour_of
from dlapps.errors import UserError
from tests.graphs.files import saved, smooth

MODEL = types.SimpleNamespace(labels=["disc", "square"])


def said(boxes, labels):
    """Returns what `serving_default` says of a picture: zeros stand behind the last box."""
    rows = np.zeros((1, 5, 4), np.float32)
    rows[0, : len(boxes)] = np.reshape(boxes, (-1, 4))
    names = np.array([[*labels, *[b""] * (5 - len(boxes))]], object)
    scores = np.linspace(0.9, 0.5, 5, dtype=np.float32)[None]
    return {"boxes": rows, "scores": scores, "labels": names, "count": np.array([len(boxes)])}


@pytest.mark.parametrize("size", [(400, 300), (2560, 1920)])
def test_boxes_are_drawn_where_they_are_and_listed_in_pixels_of_the_picture(size):
    file = saved(smooth(size), "PNG")
    width, height = size
    box = (width / 4, height / 4, width / 2, height / 2)
    answer = showing.shown(MODEL).answer(file, lambda: said([box], [b"square"]))
    sides = [f"{side:.0f}" for side in box]
    assert answer.rows == [("square", "90.0%", *sides)]
    assert answer.text.startswith("1 thing found")
    assert max(answer.picture.size) <= showing.SIDE
    x, y = answer.picture.width // 4, answer.picture.height * 3 // 8
    assert answer.picture.getpixel((x + 1, y)) == colour_of(1)


def test_of_a_picture_in_which_nothing_is_found_it_is_said():
    file = saved(smooth((40, 30)), "PNG")
    answer = showing.shown(MODEL).answer(file, lambda: said([], []))
    assert answer.text.startswith("No things found")
    assert answer.rows == []
    assert answer.picture is not None


def test_a_damaged_picture_is_named():
    with pytest.raises(UserError, match="The picture cannot be read: damaged"):
        showing.shown(MODEL).answer(saved(smooth(), "PNG")[:200], lambda: said([], []))
