import numpy as np

from dlapps.data import described_scenes
from dlapps.data.described_scenes import NAMES
from dlapps.data.digit_scenes import Scene


def described(digits, boxes):
    scene = Scene(np.zeros((99, 99, 3), np.uint8), digits, np.array(boxes, np.float32))
    return [*described_scenes._captions(scene)]


def test_says_where_digits_stand_and_how_large_they_are():
    assert described([3, 7], [[0, 0, 30, 60], [50, 20, 65, 40]]) == [
        "a large three left of a small seven",
        "a small seven right of a large three",
        "two digits , the largest a three",
    ]
    assert described([8, 2], [[0, 60, 30, 99], [0, 0, 30, 40]])[:2] == [
        "a two above an eight",
        "an eight below a two",
    ]


def test_one_digit_is_alone_and_many_are_counted():
    assert described([8], [[0, 0, 20, 40]]) == ["an eight", "an eight alone", "only an eight"]
    many = described([1, 2, 3, 4], [[0, 0, 9, 40], [30, 0, 39, 41], [9, 0, 9, 30], [5, 5, 9, 35]])
    assert many[0].endswith("and two more")
    assert many[2].startswith("four digits")


def test_captions_are_true_of_the_pictures_they_come_with():
    rows = described_scenes.scenes("validation")
    assert len(rows) == 120
    for image, captions in rows:
        assert image.dtype == np.uint8
        assert len({*captions}) == 3
        assert any(name in captions[0] for name in NAMES)
