"""Draws what a detector sees of a picture, the whole or tiles, and brings its answers together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dlapps.data.inputs import Input
from dlapps.data.letterbox import Placement, fitting_sides, letterboxed
from dlapps.data.pictures import read_picture, size_of
from dlapps.data.tiles import Area, cut_off, merged, tiles
from dlapps.matching import Found


@dataclass(frozen=True)
class View:
    """A part of a picture as the network sees it.

    Args:
        image: `(height, width, 3)` uint8.
        placement: Where the part stands in it.
        part: Left, top, right and bottom of the part, in pixels of the picture.
        zoom: Pixels of the picture for one of what was scaled, across and down.
    """

    image: np.ndarray
    placement: Placement
    part: Area
    zoom: tuple[float, float]

    def back(self, boxes: np.ndarray) -> np.ndarray:
        """Returns boxes in pixels of the picture, clipped to the part."""
        left, top, right, bottom = self.part
        moved = self.placement.back(boxes) * (*self.zoom, *self.zoom) + (left, top, left, top)
        return np.clip(moved, (left, top, left, top), (right, bottom, right, bottom))


@dataclass(frozen=True)
class Looked:
    """A picture in views.

    Args:
        input: The picture.
        size: Its width and height, upright, pixels.
        views: What the network sees; none if it cannot be read.
        why: Why not.
    """

    input: Input
    size: tuple[int, int]
    views: Sequence[View]
    why: str = ""


def looked(one: Input, size: int, tile: int | None) -> Looked:
    """Reads a picture and draws what the network is to see of it.

    Args:
        one: The picture.
        size: Pixels of the longer side of each view.
        tile: Side of the tiles, pixels of the picture; None for the whole picture alone.

    Raises:
        UnreadablePictureError: If it cannot be read.
    """
    width, height = size_of(one.source)
    # A JPEG decoded at a part of its size is a little blurred; at twice what is needed, no more.
    short_side = 0 if tile else -(-2 * size * min(width, height) // max(width, height, 1))
    image = read_picture(one.source, short_side)
    if (width > height) != (image.width > image.height):
        width, height = height, width  # The header of a picture that lies on its side.
    if max(image.size) == max(width, height):
        width, height = image.size  # Read at its full size.
    views = []
    for part in tiles(width, height, tile) if tile else [(0, 0, width, height)]:
        piece = image if part == (0, 0, width, height) else image.crop(part)
        view, placement = letterboxed(piece, *fitting_sides(*piece.size, size))
        zoom = ((part[2] - part[0]) / piece.width, (part[3] - part[1]) / piece.height)
        views.append(View(view, placement, part, zoom))
    return Looked(one, (width, height), views)


def together(
    one: Looked, answers: Sequence[list[np.ndarray]], iou: float, max_detections: int
) -> Found:
    """Brings the boxes of a picture's views together, in its pixels.

    Args:
        one: The picture.
        answers: Boxes, scores and labels in each view, as `NonMaxSuppression` returns them.
        iou: Overlap above which the less sure of two boxes of a class goes.
        max_detections: Boxes to keep.
    """
    every: list[tuple[np.ndarray, ...]] = []
    for view, (boxes, scores, labels) in zip(one.views, answers, strict=True):
        moved = view.back(boxes)
        # What lies on the grey around the picture alone is nothing.
        good = (labels >= 0) & (moved[:, 2:] > moved[:, :2]).all(axis=1)
        found = (moved[good], scores[good], labels[good])
        every.append((*found, cut_off(found[0], view.part, *one.size)))
    none = (np.empty((0, 4)), np.empty(0), np.empty(0, int), np.empty(0, bool))
    boxes, scores, labels, seams = map(np.concatenate, zip(none, *every, strict=True))
    if len(one.views) > 1:
        kept = merged(boxes, scores, labels, seams, iou)[:max_detections]
        boxes, scores, labels = boxes[kept], scores[kept], labels[kept]
    return Found(boxes.astype(np.float32), scores.astype(np.float32), labels.astype(int))
