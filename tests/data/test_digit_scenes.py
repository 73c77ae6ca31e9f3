import numpy as np
import pytest

from dlapps.data import digit_scenes
from dlapps.data.digit_scenes import MOST_DIGITS, PARTS, SIDES, scenes


@pytest.fixture
def few(monkeypatch):
    """Parts of a few scenes."""
    parts = {part: (25, start, stop) for part, (_, start, stop) in PARTS.items()}
    monkeypatch.setattr(digit_scenes, "PARTS", parts)
    scenes.cache_clear()
    yield
    scenes.cache_clear()


@pytest.mark.usefixtures("few")
def test_scenes_are_pictures_of_one_to_six_digits():
    drawn = scenes("train")
    assert len(drawn) == 25
    for scene in drawn:
        height, width, _ = scene.image.shape
        assert scene.image.dtype == np.uint8
        assert SIDES[0] <= min(width, height) <= max(width, height) <= SIDES[1]
        assert 1 <= len(scene.digits) == len(scene.boxes) <= MOST_DIGITS
        assert set(scene.digits) <= set(range(10))
        assert (scene.boxes >= 0).all()
        assert (scene.boxes <= [width, height, width, height]).all()
    assert len({len(scene.digits) for scene in drawn}) >= 4


@pytest.mark.usefixtures("few")
def test_boxes_are_tight_around_the_ink():
    for scene in scenes("validation"):
        image = scene.image.astype(float)
        for left, top, right, bottom in scene.boxes.astype(int):
            inside = image[top:bottom, left:right]
            around = np.concatenate(
                [
                    image[max(0, top - 2) : top, left:right].reshape(-1, 3),
                    image[bottom : bottom + 2, left:right].reshape(-1, 3),
                ]
            )
            paper = np.median(around, axis=0) if len(around) else np.median(image, axis=(0, 1))
            differs = np.abs(inside - paper).max(-1) > 40
            assert differs.any()
            assert differs.sum() > 3 * (np.abs(around - paper).max(-1) > 40).sum() or not len(
                around
            )


@pytest.mark.usefixtures("few")
def test_the_scenes_are_the_same_every_time_and_others_in_each_part():
    first = scenes("test")
    scenes.cache_clear()
    for one, other in zip(first, scenes("test"), strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.boxes, other.boxes)
        assert one.digits == other.digits
    assert first[0].image.tobytes() != scenes("train")[0].image.tobytes()


def test_no_handwriting_is_in_two_parts():
    ends = [0.0, *(stop for _, _, stop in PARTS.values())]
    starts = [start for _, start, _ in PARTS.values()]
    assert starts == ends[:-1]
    assert ends[-1] == 1.0


@pytest.mark.usefixtures("few")
def test_digits_hardly_cover_each_other():
    for scene in scenes("train"):
        for k, one in enumerate(scene.boxes):
            for other in scene.boxes[:k]:
                sides = np.clip(
                    np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None
                )
                least = min((box[2:] - box[:2]).prod() for box in (one, other))
                assert sides.prod() <= 0.05 * least
