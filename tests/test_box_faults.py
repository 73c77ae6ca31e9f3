import numpy as np
import pytest

from dlapps.box_faults import explanation
from tests.apps.detect.scenes import found, scattered, truth

LABELS = ["ant", "bee", "cat", "dog", "eel", "fox"]


def scenes(change, relabel=lambda labels: labels, score=0.9, pictures=12, classes=3):
    """Returns truths, and findings made from them by `change` and `relabel`."""
    rng = np.random.default_rng(0)
    known, said = [], []
    for k in range(pictures):
        boxes = scattered(4, seed=k)
        labels = rng.integers(0, classes, len(boxes))
        known.append(truth(boxes, labels))
        answers = found(change(boxes), None, relabel(labels))
        scores = np.full(len(answers.boxes), score) - 0.001 * np.arange(len(answers.boxes))
        said.append(found(answers.boxes, scores, answers.labels))
    return known, said


def scaled(factor):
    def change(boxes):
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        sides = (boxes[:, 2:] - boxes[:, :2]) * factor
        return np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)

    return change


def same(boxes):
    return boxes


def permuted(labels):
    return np.array([2, 0, 4])[labels]


@pytest.mark.parametrize(
    ("case", "words"),
    [
        pytest.param(scenes(scaled(0.3)), "too small: their sides are 0.30", id="small"),
        pytest.param(scenes(scaled(2.5)), "too large: their sides are 2.5 times", id="large"),
        pytest.param(
            scenes(lambda boxes: boxes + np.array([45, -30, 45, -30])),
            "shifted by +45 pixels across and -30 down",
            id="shifted",
        ),
        pytest.param(
            scenes(lambda boxes: boxes[:, [1, 0, 3, 2]]), "x and y are exchanged", id="swapped"
        ),
        pytest.param(scenes(lambda boxes: boxes / 640), "in one corner", id="parts, not pixels"),
        pytest.param(
            scenes(lambda boxes: scattered(len(boxes), seed=int(boxes.sum()))),
            "in the wrong places",
            id="anywhere",
        ),
        pytest.param(scenes(same, lambda k: k + 1), "off by one: 'ant' is called 'bee'", id="one"),
        pytest.param(
            scenes(same, lambda k: 0 * k), "never predicted: bee, cat", id="always the same"
        ),
        pytest.param(scenes(same, permuted), "names of the dataset in another order", id="order"),
        pytest.param(
            scenes(same, lambda k: np.where(k == 0, 1, 0)), "Never predicted: cat", id="never"
        ),
    ],
)
def test_each_cause_is_named(case, words):
    said = explanation(*case, LABELS)
    assert 1 <= len(said) <= 2
    assert any(words in line for line in said), said


def test_wrong_classes_in_the_right_places_are_told_from_wrong_places():
    said = explanation(*scenes(same, lambda k: k + 1), LABELS)
    assert said[0].startswith("100% of the boxes are found in the right place")
    assert "wrong places" not in " ".join(said)


def test_the_median_overlap_is_said():
    # A box of half the sides of another, in its middle, shares a quarter of it.
    (line,) = explanation(*scenes(scaled(0.5)), LABELS)
    assert "the best IoU of a true box is 0.25 in the median" in line


def test_low_scores_are_said_beside_the_cause():
    said = explanation(*scenes(scaled(0.3), score=0.03), LABELS)
    assert len(said) == 2
    assert "the highest score is 0.03" in said[0]
    assert "too small" in said[1]


def test_nothing_found_is_a_cause():
    known, _ = scenes(same)
    (line,) = explanation(known, [found([]) for _ in known], LABELS)
    assert line.startswith("Nothing was found at all")


def test_nothing_found_where_there_is_something_is_a_cause():
    known = [truth([[0, 0, 50, 50]]), truth([])]
    (line,) = explanation(known, [found([]), found([[0, 0, 50, 50]])], LABELS)
    assert "only in those without" in line


@pytest.mark.parametrize("known", [[truth([])], [truth([[0, 0, 9, 9]], crowd=[True])]])
def test_nothing_to_find_is_a_cause(known):
    (line,) = explanation(known, [found([[0, 0, 9, 9]])], LABELS)
    assert "hold no box" in line


def test_right_boxes_among_too_many_wrong_ones_are_a_cause():
    known, said = scenes(same)
    wrong = [scattered(60, seed=100 + k) for k in range(len(said))]
    said = [
        found(
            np.concatenate([one.boxes, more]),
            np.concatenate([one.scores, np.full(60, 0.5)]),
            np.concatenate([one.labels, np.zeros(60)]),
        )
        for one, more in zip(said, wrong, strict=True)
    ]
    (line,) = explanation(known, said, LABELS)
    assert line.startswith("100% of the boxes are found, but among 16 boxes for each")


def test_crowds_and_empty_pictures_do_not_disturb():
    known, said = scenes(scaled(0.3))
    known += [truth([]), truth([[0, 0, 600, 400]], crowd=[True])]
    said += [found(scattered(3)), found([])]
    assert "too small" in explanation(known, said, LABELS)[0]
