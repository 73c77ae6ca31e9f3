"""Compares the boxes that were found with those that are there."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

# The IoU from which on a box counts as found.
FOUND = 0.5


class Truth(Protocol):
    """What a picture holds: xyxy `boxes` in its pixels, their `labels`, and which are `crowd`."""

    @property
    def boxes(self) -> np.ndarray: ...
    @property
    def labels(self) -> np.ndarray: ...
    @property
    def crowd(self) -> np.ndarray: ...


@dataclass(frozen=True)
class Found:
    """What a model finds in one picture, the surest first.

    Args:
        boxes: `(boxes, 4)` float32, xyxy in pixels of the picture.
        scores: `(boxes,)` float32 in [0, 1].
        labels: `(boxes,)` int, indices of the classes.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


def as_xywh(boxes: np.ndarray) -> np.ndarray:
    """Returns xyxy boxes as left, top, width, height: `(boxes, 4)` float64, as COCO has them."""
    wide = np.asarray(boxes, np.float64).reshape(-1, 4)
    return np.concatenate([wide[:, :2], wide[:, 2:] - wide[:, :2]], axis=1)


def ious(boxes: np.ndarray, others: np.ndarray, crowd: np.ndarray | None = None) -> np.ndarray:
    """Returns the IoU of each of `boxes` with each of `others`: `(boxes, others)` float.

    With a box of a `crowd` it is the part of the first box that lies in it.
    """
    from pycocotools import mask  # noqa: PLC0415  for evaluations only

    if not len(boxes) or not len(others):
        return np.zeros((len(boxes), len(others)))
    flags = np.zeros(len(others), bool) if crowd is None else crowd
    # It reads memory row by row, whatever the array says.
    rows = [np.ascontiguousarray(as_xywh(each)) for each in (boxes, others)]
    return np.asarray(mask.iou(*rows, flags.astype(np.uint8)))


def pairs(
    truth: Truth, found: Found, confidence: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pairs the boxes of a picture off.

    Returns:
        Places in `truth` and, beside them, in `found` of what overlaps by half or more; places in
        `truth` of what was missed; places in `found` of what is nowhere.
    """
    said = np.flatnonzero(found.scores >= confidence)
    there = np.flatnonzero(~truth.crowd)
    overlap = ious(found.boxes[said], truth.boxes[there])
    same = found.labels[said][:, None] == truth.labels[there][None]
    left = np.where(overlap >= FOUND, overlap + 1e-6 * same, 0)
    chosen = []
    while left.size and left.max() > 0:
        row, column = np.unravel_index(left.argmax(), left.shape)
        chosen.append((int(row), int(column)))
        left[row], left[:, column] = 0, 0
    rows, columns = np.array(chosen, int).reshape(-1, 2).T
    in_crowd = ious(found.boxes[said], truth.boxes[truth.crowd], np.ones(truth.crowd.sum(), bool))
    free = np.ones(len(said), bool)
    free[rows] = False
    free &= ~(in_crowd >= FOUND).any(axis=1)
    missed = np.delete(there, columns)
    return there[columns], said[rows], missed, said[free]
