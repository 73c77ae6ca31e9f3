"""Draws what a detector sees of a picture: the whole of it, or tiles."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dlapps.data.inputs import Input
from dlapps.data.letterbox import Placement, fitting_sides, letterboxed
from dlapps.data.pictures import read_picture, size_of
from dlapps.data.tiles import Area, tiles


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
    short_side = 0 if tile else -(-size * min(width, height) // max(width, height, 1))
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
