"""Says why a detector finds next to nothing right."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dlapps.matching import FOUND, Found, Truth, ious

# The score that prediction asks for unless told otherwise.
USUAL_CONFIDENCE = 0.25
# A cause must speak for so many of the true boxes to be named.
MOST = 0.5
# Sides less than this part of the true ones, or more than its inverse, are wrong by themselves.
SHORT = 0.7
# Centres farther off than this part of a true side are.
FAR = 0.25
# All in so small a part of the picture, across and down, is in one corner.
CORNER = 0.4


@dataclass(frozen=True)
class Facing:
    """Each true box with what was found nearest to it.

    Args:
        truth: `(boxes, 4)`, the true boxes of all pictures.
        labels: `(boxes,)` int, their classes.
        found: `(boxes, 4)`, of each the found box that overlaps it most, else the nearest.
        answers: `(boxes,)` int, its class.
        overlap: `(boxes,)`, the IoU of the two.
        same: `(boxes,)`, the best IoU with a found box of its own class.
    """

    truth: np.ndarray
    labels: np.ndarray
    found: np.ndarray
    answers: np.ndarray
    overlap: np.ndarray
    same: np.ndarray


def explanation(truth: Sequence[Truth], found: Sequence[Found], labels: Sequence[str]) -> list[str]:
    """Says in a line or two why an average precision is next to nothing.

    Args:
        truth: What each picture holds.
        found: What was found in it, down to the lowest scores.
        labels: Names of the classes.
    """
    if not any((~one.crowd).any() for one in truth):
        return ["The pictures hold no box, so there is nothing to find."]
    if not any(len(one.boxes) for one in found):
        return ["Nothing was found at all, not even at the lowest score: the model has learnt "
                "nothing yet, or its weights are broken. Train longer, or lower the learning rate."
                ]  # fmt: skip
    faced = _faced(truth, found)
    if not len(faced.found):
        return ["Nothing was found in the pictures that hold boxes, only in those without."]
    said = _places(faced, truth, found) or _classes(faced, labels)
    said = said or _surplus(truth, found, faced)
    highest = max(float(one.scores.max()) for one in found if len(one.scores))
    if highest < USUAL_CONFIDENCE:
        said.insert(
            0,
            f"No box scores above {USUAL_CONFIDENCE}: the highest score is {highest:.3g}. The "
            "model has learnt too little to be sure of anything; train longer.",
        )
    return said[:2]


def _faced(
    truth: Sequence[Truth], found: Sequence[Found], sides: Sequence[int] = (0, 1, 2, 3)
) -> Facing:
    """Faces each true box with one of the surest found ones, twice as many as there are boxes.

    Args:
        truth: What each picture holds.
        found: What was found in it.
        sides: Which of its sides a true box should have had as left, top, right and bottom.
    """
    rows: list[tuple] = []
    for known, said in zip(truth, found, strict=True):
        there = np.flatnonzero(~known.crowd)
        best = np.argsort(-said.scores, kind="stable")[: max(2 * len(there), 10)]
        if not len(there) or not len(best):
            continue
        boxes, classes = said.boxes[best], said.labels[best]
        right = known.boxes[there][:, sides]
        overlap = ious(right, boxes)
        same = np.where(known.labels[there][:, None] == classes, overlap, 0).max(axis=1)
        gaps = _centres(right)[:, None] - _centres(boxes)
        apart = np.abs(gaps).sum(axis=-1)
        chosen = (overlap - 1e-9 * apart).argmax(axis=1)
        rows.append(
            (right, known.labels[there], boxes[chosen], classes[chosen],
             overlap[np.arange(len(there)), chosen], same)
        )  # fmt: skip
    empty = (np.empty((0, 4)), np.empty(0, int)) * 2 + (np.empty(0), np.empty(0))
    return Facing(*(np.concatenate(part) for part in zip(empty, *rows, strict=True)))


def _centres(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def _sides(boxes: np.ndarray) -> np.ndarray:
    return np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6)


def _places(faced: Facing, truth: Sequence[Truth], found: Sequence[Found]) -> list[str]:
    """Says how the found boxes lie beside the true ones, if most of them do."""
    if np.mean(faced.overlap >= FOUND) >= MOST:
        return []
    middle = float(np.median(faced.overlap))
    median = f"the best IoU of a true box is {middle:.2f} in the median, and 0.5 counts as found"
    every = np.concatenate([one.boxes for one in found])
    edges = [one.boxes[:, 2:].max(axis=0) for one in truth if len(one.boxes)]
    extent = np.max(edges, axis=0)
    ends, goals = (np.quantile(_centres(b), (0.02, 0.98), axis=0) for b in (every, faced.truth))
    narrow = (ends[1] - ends[0]) < CORNER * np.maximum(goals[1] - goals[0], 1e-6)
    corner = (ends[1] < CORNER * extent) | (ends[0] > (1 - CORNER) * extent)
    if narrow.all() and corner.all():
        return [f"All boxes lie in one corner of the pictures; {median}. Are the boxes of the "
                "dataset in the format and the unit (pixels or parts) that it says?"]  # fmt: skip
    if np.mean(_faced(truth, found, (1, 0, 3, 2)).overlap >= FOUND) >= MOST:
        return [f"x and y are exchanged: with them swapped back, most boxes fit; {median}."]
    ratio = np.median(_sides(faced.found) / _sides(faced.truth), axis=0)
    away = (_centres(faced.found) - _centres(faced.truth)) / _sides(faced.truth)
    shift, spread = np.median(away, axis=0), np.median(np.abs(away - np.median(away, axis=0)), 0)
    if (ratio < SHORT).all() and (np.abs(shift) < 2 * FAR).all():
        return [f"The boxes are too small: their sides are {ratio.mean():.2f} of the true ones in "
                f"the median; {median}."]  # fmt: skip
    if (ratio > 1 / SHORT).all() and (np.abs(shift) < ratio).all():
        return [f"The boxes are too large: their sides are {ratio.mean():.1f} times the true ones "
                f"in the median; {median}."]  # fmt: skip
    if (np.abs(shift) > FAR).any() and (spread < FAR).all():
        x, y = np.median(_centres(faced.found) - _centres(faced.truth), axis=0)
        return [f"The boxes are shifted by {x:+.0f} pixels across and {y:+.0f} down in the median; "
                f"{median}."]  # fmt: skip
    return [f"The boxes are in the wrong places: {median}. Train longer; if that does not help, "
            "look at train_batch.png whether the boxes of the dataset fit."]  # fmt: skip


def _classes(faced: Facing, labels: Sequence[str]) -> list[str]:
    """Says how classes are mixed up, where boxes lie right."""
    right = faced.overlap >= FOUND
    if np.mean(faced.same[right] >= FOUND) >= MOST:
        return []
    truth, answers = faced.labels[right], faced.answers[right]
    said = [f"{np.mean(right):.0%} of the boxes are found in the right place, but called by "
            "another class."]  # fmt: skip
    steps, numbers = np.unique(answers - truth, return_counts=True)
    step = int(steps[numbers.argmax()])
    first = int(truth[(answers - truth) == step].min())
    example = f"'{labels[first]}' is called '{labels[first + step]}'"
    never = [labels[k] for k in np.unique(truth) if k not in answers]
    if step in (-1, 1) and numbers.max() / len(truth) >= 0.8 and len(np.unique(truth)) > 1:
        said.append(f"The classes are off by one: {example}. Do the numbers of the dataset begin "
                    "at 0, and is its list of names complete?")  # fmt: skip
    elif len(np.unique(answers)) == 1 and len(np.unique(truth)) > 1:
        said.append(f"All are called '{labels[answers[0]]}'; never predicted: {_named(never)}.")
    elif _is_a_mix_up(truth, answers):
        said.append(f"Each class is called by one other, as {example}: are the names of the "
                    "dataset in another order than the model's?")  # fmt: skip
    elif never:
        said.append(f"Never predicted: {_named(never)}. Are there enough boxes of them?")
    return said


def _is_a_mix_up(truth: np.ndarray, answers: np.ndarray) -> bool:
    """Returns whether each class has its own wrong answer, given 8 times in 10."""
    goals = []
    for label in np.unique(truth):
        named, numbers = np.unique(answers[truth == label], return_counts=True)
        if numbers.max() < 0.8 * numbers.sum():
            return False
        goals.append(int(named[numbers.argmax()]))
    return len(set(goals)) == len(goals) > 1


def _surplus(truth: Sequence[Truth], found: Sequence[Found], faced: Facing) -> list[str]:
    """Says that what is right is lost among what is not."""
    number = sum(int((~one.crowd).sum()) for one in truth)
    share = float(np.mean(faced.same >= FOUND))
    boxes = sum(len(one.boxes) for one in found)
    return [f"{share:.0%} of the boxes are found, but among {boxes / number:.0f} boxes for each "
            "true one, and wrong ones score as high. Train longer."]  # fmt: skip


def _named(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" * (len(names) > most))
