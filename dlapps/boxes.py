"""Geometry of boxes, always xyxy in pixels."""

import math
from typing import Any

from keras import ops

# Keeps quotients finite where a box has no area.
EPSILON = 1e-7


def area(boxes: Any) -> Any:
    """Returns the areas of boxes, `(...)` square pixels; 0 where right is not right of left.

    Args:
        boxes: `(..., 4)` float.
    """
    sides = ops.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    return sides[..., 0] * sides[..., 1]


def iou(one: Any, other: Any) -> Any:
    """Returns what boxes share, as a part of what they cover together, in [0, 1].

    Args:
        one: `(..., 4)` float.
        other: `(..., 4)` float, of a shape that broadcasts with that of `one`.
    """
    shared = _shared(one, other)
    return shared / (area(one) + area(other) - shared + EPSILON)


def complete_iou(one: Any, other: Any) -> Any:
    """Returns how well boxes agree in overlap, place and shape, in (-2, 1].

    From the IoU it takes off the distance of the centres, as a part of the diagonal around both,
    and the difference of the aspect ratios, so that boxes that do not overlap know where to go
    (CIoU, Zheng et al. 2020, https://arxiv.org/abs/1911.08287).

    Args:
        one: `(..., 4)` float.
        other: `(..., 4)` float, of a shape that broadcasts with that of `one`.
    """
    overlap = iou(one, other)
    around = ops.maximum(one[..., 2:], other[..., 2:]) - ops.minimum(one[..., :2], other[..., :2])
    apart = (one[..., :2] + one[..., 2:] - other[..., :2] - other[..., 2:]) / 2
    distance = _squared(apart) / (_squared(around) + EPSILON)
    shape = 4 / math.pi**2 * ops.square(_slant(one) - _slant(other))
    # A weight, not a path for gradients, as in the paper.
    weight = ops.stop_gradient(shape / (1 - overlap + shape + EPSILON))
    return overlap - distance - weight * shape


def around(points: Any, distances: Any) -> Any:
    """Returns the boxes whose sides lie so far from points.

    Args:
        points: `(..., 2)` float, x and y.
        distances: `(..., 4)` float, to the left, top, right and bottom side.

    Returns:
        `(..., 4)` boxes.
    """
    return ops.concatenate([points - distances[..., :2], points + distances[..., 2:]], axis=-1)


def distances_to(boxes: Any, points: Any) -> Any:
    """Returns how far points lie from the left, top, right and bottom side; negative outside.

    Args:
        boxes: `(..., 4)` float.
        points: `(..., 2)` float, x and y.

    Returns:
        `(..., 4)` float.
    """
    return ops.concatenate([points - boxes[..., :2], boxes[..., 2:] - points], axis=-1)


def _shared(one: Any, other: Any) -> Any:
    low = ops.maximum(one[..., :2], other[..., :2])
    high = ops.minimum(one[..., 2:], other[..., 2:])
    return area(ops.concatenate([low, high], axis=-1))


def _squared(vectors: Any) -> Any:
    return ops.sum(ops.square(vectors), axis=-1)


def _slant(boxes: Any) -> Any:
    sides = boxes[..., 2:] - boxes[..., :2]
    return ops.arctan2(ops.maximum(sides[..., 0], EPSILON), ops.maximum(sides[..., 1], EPSILON))
