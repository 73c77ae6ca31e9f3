"""Compares what annotations say with the pictures they are about."""

from collections.abc import Sequence

import numpy as np

from dlapps.data.annotations import Annotation, Findings
from dlapps.data.orientation import turned_boxes, turned_size
from dlapps.errors import UserError

# Pixels that a box may reach beyond its picture before that is worth telling: rounding.
ROUNDING = 0.5
# Sizes of the same shape, within this part, are of a picture that was resized.
SAME_SHAPE = 0.01
# Kinds of oddities, and what becomes of them.
RESIZED = "Annotations of a picture since resized, resized with it"
TURNED = "Annotations of a picture not yet turned upright, turned with it"
OTHER_SIZE = "Annotations of a picture of another size, left out"
REACHING = "Boxes that reach beyond their picture, clipped"
EMPTY = "Boxes without width or height, left out"
OUTSIDE = "Boxes outside their picture, left out"
TWICE = "Boxes that repeat another, same place and class, left out"


def in_pixels(
    annotation: Annotation, header: tuple[int, int, int], findings: Findings
) -> np.ndarray | None:
    """Returns an annotation's boxes in pixels of the upright picture, None if it cannot be.

    Boxes in parts of the sides are of the upright picture, as people see it. Those in pixels are
    of the picture whose size the annotation gives: upright, or as it lies in the file.

    Args:
        annotation: What is said.
        header: Width, height and EXIF orientation in the picture's file.
        findings: Where oddities are counted.

    Raises:
        UserError: If a box holds no numbers, or its far edge comes before its near one.
    """
    width, height, orientation = header
    upright = turned_size(orientation, (width, height))
    boxes = annotation.boxes
    _check_order(annotation)
    if annotation.relative:
        return boxes * [*upright, *upright]
    size = annotation.size
    if size == upright or not all(size):
        return boxes
    if size == (width, height):
        findings.add(TURNED, annotation.file)
        return turned_boxes(boxes, orientation, size)
    ratio = np.divide(upright, size)
    if abs(ratio[0] / ratio[1] - 1) <= SAME_SHAPE:
        findings.add(RESIZED, f"{annotation.file}{_sizes(size, upright)}")
        return boxes * [*ratio, *ratio]
    findings.add(OTHER_SIZE, f"{annotation.file}{_sizes(size, upright)}")
    return None


def _sizes(size: tuple[int, int], upright: tuple[int, int]) -> str:
    return f" ({size[0]} x {size[1]}, the picture {upright[0]} x {upright[1]})"


def _check_order(annotation: Annotation) -> None:
    boxes = annotation.boxes
    bad = ~np.isfinite(boxes).all(1) | (boxes[:, 2:] < boxes[:, :2]).any(1)
    for row in np.flatnonzero(bad).tolist():
        place = place_of(annotation, row)
        left, top, right, bottom = (float(value) for value in boxes[row])
        if not np.isfinite(boxes[row]).all():
            raise UserError(f"{place}: a box of four numbers is needed, got {boxes[row].tolist()}.")
        if right < left:
            raise UserError(
                f"{place}: the right edge ({right:g}) lies left of the left ({left:g})."
            )
        raise UserError(f"{place}: the lower edge ({bottom:g}) lies above the upper ({top:g}).")


def place_of(annotation: Annotation, row: int) -> str:
    """Returns where a box stands, as its reader would look it up."""
    return f"{annotation.file}, {annotation.numbers[row]}"


def clipped(
    annotation: Annotation, boxes: np.ndarray, size: tuple[int, int], findings: Findings
) -> tuple[np.ndarray, np.ndarray]:
    """Clips boxes to their picture and leaves out those of which nothing is left.

    Args:
        annotation: Where they come from.
        boxes: `(boxes, 4)` xyxy, pixels of the upright picture.
        size: Its width and height.
        findings: Where oddities are counted.

    Returns:
        The boxes that are left, and their rows in `boxes`.
    """
    sides = np.array([*size, *size])
    inside = np.clip(boxes, 0, sides)
    empty = (boxes[:, 2:] <= boxes[:, :2]).any(1)
    outside = ~empty & (inside[:, 2:] <= inside[:, :2]).any(1)
    beyond = (np.abs(inside - boxes) > ROUNDING).any(1) & ~empty & ~outside
    twice = _repeated(inside, annotation.labels) & ~empty & ~outside
    for what, rows in ((EMPTY, empty), (OUTSIDE, outside), (REACHING, beyond), (TWICE, twice)):
        for row in np.flatnonzero(rows).tolist():
            findings.add(what, place_of(annotation, row))
    left = np.flatnonzero(~(empty | outside | twice))
    return inside[left], left


def _repeated(boxes: np.ndarray, labels: Sequence[int]) -> np.ndarray:
    """Tells which boxes came before with the same label."""
    repeated = np.zeros(len(boxes), bool)
    seen: set[tuple] = set()
    for row, key in enumerate(zip(*boxes.T.tolist(), labels, strict=True)):
        repeated[row] = key in seen
        seen.add(key)
    return repeated
