"""Which answers of a detector stay as they are if its scores change by a hair."""

from collections.abc import Callable
from typing import Any

import numpy as np

# A score nearer than this to the threshold, or to another, may fall on its other side.
HAIR = 2e-5
ON_A_HAIR = "two boxes are equally sure, or one is at the threshold, but for the fifth digit"
SHAKES = 4

Suppression = Callable[[Any, Any], tuple[Any, Any, Any]]


def kept(suppression: Suppression, boxes: np.ndarray, scores: np.ndarray) -> dict[str, np.ndarray]:
    """Returns what suppression leaves: `scores`, `boxes` and `classes`, as that gives them.

    Args:
        suppression: A `NonMaxSuppression`.
        boxes: `(batch, boxes, 4)` xyxy, pixels.
        scores: `(batch, boxes, classes)` in [0, 1].
    """
    boxes, scores, classes = (each.numpy() for each in suppression(boxes, scores))
    return {"scores": scores, "boxes": boxes, "classes": classes}


def is_steady(suppression: Suppression, boxes: np.ndarray, scores: np.ndarray) -> bool:
    """Returns whether what is found stays the same if scores change in the fifth digit.

    Args:
        suppression: As in `kept`, and so the others.
        boxes: Of one image.
        scores: Of one image.
    """
    rng = np.random.default_rng(0)
    before = kept(suppression, boxes, scores)
    for _ in range(SHAKES):
        shaken = scores + rng.uniform(-HAIR, HAIR, scores.shape).astype(np.float32)
        after = kept(suppression, boxes, shaken)
        if any((before[name] != after[name]).any() for name in ("boxes", "classes")):
            return False
    return True
