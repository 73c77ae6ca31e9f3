"""Compares two answers of detectors about the same pictures, of which none is the truth."""

from collections.abc import Mapping
from typing import Any

from dlapps.boxes.matching import FOUND, ious


def agreement(wanted: Mapping[str, Any], got: Mapping[str, Any]) -> float:
    """Returns which part of the things found by either is found by both, 1 if there are none.

    Args:
        wanted: `boxes`, `(batch, boxes, 4)`, `scores`, `(batch, boxes)`, 0 where there is no box,
            and `labels` or `classes`, `(batch, boxes)`.
        got: The same of the other.
    """
    names = "labels" if "labels" in wanted else "classes"
    hits = total = 0
    for row in range(len(wanted["scores"])):
        ours, theirs = (
            [each[name][row][each["scores"][row] > 0] for name in ("boxes", names)]
            for each in (wanted, got)
        )
        both = (ious(ours[0], theirs[0]) >= FOUND) & (ours[1][:, None] == theirs[1])
        hits += int(both.any(0).sum() + both.any(1).sum())
        total += both.shape[0] + both.shape[1]
    return hits / total if total else 1.0
