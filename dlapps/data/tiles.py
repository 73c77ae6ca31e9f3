"""Cuts large pictures into overlapping tiles, and brings what is found in them together."""

import math

import numpy as np

# Part of a tile that its neighbour sees too: what is smaller is whole in one of them.
OVERLAP = 0.2
# So near to the edge of its tile, as a part of it, a box ends there because the tile does; boxes
# are no more exact than that.
NEAR = 0.04
# A box that ends at a seam gives way to a larger one that holds so much of it.
HELD = 0.6

Area = tuple[int, int, int, int]


def tiles(width: int, height: int, side: int) -> list[Area]:
    """Returns the parts in which to look at a picture.

    Args:
        width: Of the picture, pixels.
        height: Of the picture, pixels.
        side: Of a tile, pixels.

    Returns:
        Left, top, right and bottom of each. First the whole picture, for what is larger than a
        tile; then, if it is larger than one, tiles of `side` x `side` in rows that overlap by a
        fifth or more and end at the edges of the picture.
    """
    parts: list[Area] = [(0, 0, width, height)]
    if max(width, height) > side:
        parts += [
            (left, top, min(left + side, width), min(top + side, height))
            for top in _starts(height, side)
            for left in _starts(width, side)
        ]
    return parts


def _starts(length: int, side: int) -> list[int]:
    room = max(length - side, 0)
    count = math.ceil(room / (side * (1 - OVERLAP))) + 1
    return [round(room * k / max(count - 1, 1)) for k in range(count)]


def cut_off(boxes: np.ndarray, part: Area, width: int, height: int) -> np.ndarray:
    """Returns which boxes end where their tile does, but the picture goes on.

    Args:
        boxes: `(boxes, 4)`, pixels of the picture.
        part: The tile.
        width: Of the picture, pixels.
        height: Of the picture, pixels.
    """
    left, top, right, bottom = part
    margin = NEAR * max(right - left, bottom - top)
    return (
        ((left > 0) & (boxes[:, 0] < left + margin))
        | ((top > 0) & (boxes[:, 1] < top + margin))
        | ((right < width) & (boxes[:, 2] > right - margin))
        | ((bottom < height) & (boxes[:, 3] > bottom - margin))
    )


def merged(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, seams: np.ndarray, iou: float
) -> np.ndarray:
    """Returns which boxes of all tiles to keep, the surest first.

    A box that ends at a seam is a part of something, and of a part it is hard to say of what: it
    gives way to a larger box that holds most of it, however sure either is and whatever its class.
    Of the others of a class that overlap, the surest is kept.

    Args:
        boxes: `(boxes, 4)`, pixels of the picture.
        scores: `(boxes,)`.
        labels: `(boxes,)` int.
        seams: `(boxes,)` bool, what `cut_off` says.
        iou: Overlap above which the less sure box goes.
    """
    kept: list[int] = []
    sizes = _areas(boxes)
    for k in np.argsort(-scores, kind="stable"):
        others = np.flatnonzero(sizes > sizes[k]) if seams[k] else np.empty(0, int)
        held = _shared(boxes[k], boxes[others]) / max(float(sizes[k]), 1e-9)
        if (held >= HELD).any():
            continue
        rivals = [j for j in kept if labels[j] == labels[k]]
        shared = _shared(boxes[k], boxes[rivals])
        if not (shared > iou * (sizes[k] + sizes[rivals] - shared)).any():
            kept.append(int(k))
    return np.array(kept, int)


def _areas(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _shared(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    return np.maximum(sides, 0).prod(axis=1)
