import io

import numpy as np
import pytest
from PIL import Image

from dlapps.drawing import Mark, boxed, colour_of, contact_sheet, fitting, font

GREEN = (0, 200, 0)


def changed(before, after):
    """Returns which pixels differ, `(height, width)` bool."""
    return (np.asarray(before) != np.asarray(after)).any(axis=-1)


@pytest.mark.parametrize("count", [1, 6, 7])
def test_a_contact_sheet_holds_every_picture(count):
    pictures = [np.full((50, 50, 3), 255, np.uint8)] * count
    sheet = Image.open(io.BytesIO(contact_sheet(pictures, ["title"] * count, side=50)))
    assert sheet.size[0] == 12 + 62 * min(count, 6)
    assert sheet.size[1] > 50 * -(-count // 6)


def test_pictures_on_a_sheet_keep_their_shape():
    wide = np.zeros((40, 160, 3), np.uint8)
    sheet = np.asarray(Image.open(io.BytesIO(contact_sheet([wide], [""], side=80))))
    rows, columns = np.nonzero((sheet < 40).all(axis=-1))
    assert np.ptp(columns) + 1 == 80
    assert np.ptp(rows) + 1 == 20


def test_a_box_is_drawn_where_it_is():
    image = Image.new("RGB", (640, 480), "white")
    drawn = changed(image, boxed(image, [Mark((100, 150, 300, 400), "", GREEN)]))
    rows, columns = np.nonzero(drawn)
    assert abs(columns.min() - 100) < 5
    assert abs(columns.max() - 300) < 5
    assert abs(rows.min() - 150) < 5
    assert abs(rows.max() - 400) < 5
    assert not drawn[170:380, 120:280].any()


@pytest.mark.parametrize("size", [(1, 1), (40, 30), (640, 480), (4000, 3000), (4000, 20)])
def test_lines_and_labels_grow_with_the_picture(size):
    image = Image.new("RGB", size, "white")
    drawn = boxed(image, [Mark((0, 0, size[0], size[1]), "a thing 99%", GREEN)])
    assert max(drawn.size) >= 320
    assert drawn.width * size[1] == drawn.height * size[0]


@pytest.mark.parametrize("background", ["white", "black", "rgb(0, 200, 0)"])
def test_a_box_is_seen_on_any_background(background):
    image = Image.new("RGB", (400, 300), background)
    drawn = np.asarray(boxed(image, [Mark((100, 100, 200, 200), "", GREEN)]), int)
    contrast = np.abs(drawn - np.asarray(image, int)).sum(axis=-1)
    assert (contrast > 100).sum() > 300


@pytest.mark.parametrize(
    "box", [(0, 0, 30, 30), (610, 0, 640, 30), (610, 450, 640, 480), (0, 0, 640, 480)]
)
def test_labels_stay_inside_the_picture(box):
    image = Image.new("RGB", (640, 480), "white")
    plain = boxed(image, [Mark(box, "", GREEN)])
    text = boxed(image, [Mark(box, "a long label 55%", GREEN)])
    widest = font(13).getlength("a long label 55%")
    rows, columns = np.nonzero(changed(plain, text))
    assert len(rows) > widest * 10
    assert np.ptp(columns) > widest * 0.7


def test_a_label_much_too_long_is_cut():
    image = Image.new("RGB", (320, 320), "white")
    boxed(image, [Mark((10, 100, 50, 150), "w" * 500, GREEN)])
    assert fitting("w" * 500, font(12), 100).endswith("…")
    assert font(12).getlength(fitting("w" * 500, font(12), 100)) <= 100


def test_labels_of_neighbours_do_not_cover_each_other():
    image = Image.new("RGB", (640, 480), "white")
    colours = [(200, 0, 0), (0, 0, 200)]
    marks = [Mark((200, 200, 400, 400), "first 90%", colours[0])]
    alone = np.asarray(boxed(image, marks))
    both = np.asarray(boxed(image, [*marks, Mark((202, 202, 402, 402), "second 80%", colours[1])]))
    red = (alone == colours[0]).all(axis=-1)
    plate = red[:195].copy()
    assert plate.sum() > 300
    assert (both[:195] == colours[0]).all(axis=-1)[plate].all()


def test_the_surest_box_lies_on_top():
    image = Image.new("RGB", (640, 480), "white")
    marks = [Mark((100, 100, 300, 300), "", colour) for colour in ((200, 0, 0), (0, 0, 200))]
    drawn = boxed(image, marks)
    assert drawn.getpixel((100, 200)) == (200, 0, 0)


def test_the_picture_itself_is_not_changed():
    image = Image.new("RGB", (640, 480), "white")
    boxed(image, [Mark((100, 100, 300, 300), "x", GREEN)])
    assert image.getextrema() == ((255, 255),) * 3


def test_a_dashed_box_has_gaps():
    image = Image.new("RGB", (640, 480), "white")
    row = changed(image, boxed(image, [Mark((100, 100, 500, 300), "", GREEN, dashed=True)]))[100]
    assert 0.3 < row[100:500].mean() < 0.7


def test_boxes_that_are_points_or_lie_outside_are_survived():
    image = Image.new("RGB", (400, 300), "white")
    boxed(image, [Mark((10, 10, 10, 10), "point", GREEN), Mark((900, 900, 950, 950), "out", GREEN)])


def test_colours_of_the_first_classes_differ_well():
    colours = np.array([colour_of(k) for k in range(8)], float)
    apart = np.abs(colours[:, None] - colours[None]).sum(axis=-1) + 1e3 * np.eye(8)
    assert apart.min() > 90
    assert len({colour_of(k) for k in range(80)}) == 80
