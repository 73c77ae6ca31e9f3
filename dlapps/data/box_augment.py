"""Random views of pictures with boxes for training, four to a view or one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageEnhance

from dlapps.data.augment import relit
from dlapps.data.letterbox import GREY
from dlapps.data.orientation import FLIPPED, turned_boxes, turned_picture

# Less than a tenth of a box, or two pixels, are not enough to tell what it holds: the limits that
# YOLOv5 and its successors train with (https://github.com/ultralytics/yolov5, box_candidates).
LEAST_PART = 0.1
LEAST_SIDE = 2.0
# Where the corner common to four pictures may lie, in sides of the view.
MIDDLE = (0.25, 0.75)
# A picture, its boxes in pixels of it, and their labels.
Boxed = tuple[Image.Image, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class BoxAugmentation:
    """How far views may differ from the pictures they are drawn from.

    Args:
        scales: Range of a picture's size in the view; at 1 its longer side fits in.
        mosaic: Part of the views that show four pictures, in [0, 1].
        turns: Whether pictures also lie on their sides and stand on their heads.
        light: Largest change of brightness and of contrast, in [0, 1).
        colour: Standard deviation of the jitter along the principal components of colour.
        saturation: Largest change of how colourful a picture is, in [0, 1].
    """

    scales: tuple[float, float]
    mosaic: float = 0.0
    turns: bool = False
    light: float = 0.0
    colour: float = 0.0
    saturation: float = 0.0


_STANDARD = BoxAugmentation((0.5, 1.5), mosaic=1.0, light=0.2, colour=0.1, saturation=0.4)
BOX_AUGMENTATIONS = {
    "none": None,
    "light": BoxAugmentation((0.8, 1.2), light=0.1, colour=0.1, saturation=0.2),
    "standard": _STANDARD,
    "strong": BoxAugmentation((0.3, 1.8), mosaic=1.0, light=0.4, colour=0.2, saturation=0.7),
    # For what has no up, as seen through a microscope or from above; a street upside down would
    # teach nothing, however strong the augmentation.
    "overhead": replace(_STANDARD, turns=True),
}


def random_boxed_view(
    read: Callable[[int], Boxed],
    indices: Sequence[int],
    size: int,
    augmentation: BoxAugmentation,
    rng: np.random.Generator,
    flip: bool = True,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns a view of one picture, or of four around a common corner, and the boxes in it.

    Mosaics show four times as many things and their surroundings as other views do
    (Bochkovskiy et al. 2020, https://arxiv.org/abs/2004.10934).

    Args:
        read: Returns a picture by its index.
        indices: One, or four.
        size: Side of the view, pixels.
        augmentation: How far to go.
        rng: Where chance comes from; the same state gives the same view.
        flip: Whether left and right may change places.

    Returns:
        The view, `(size, size, 3)` uint8; `(boxes, 4)` float32 in its pixels, clipped to what is
        seen; `(boxes,)` int32 labels.
    """
    view = np.full((size, size, 3), GREY, np.uint8)
    low, high = MIDDLE
    x, y = (round(size * (low + (high - low) * chance)) for chance in rng.random(2))
    frames = [(0, 0, x, y), (x, 0, size, y), (0, y, x, size), (x, y, size, size)]
    if len(indices) == 1:
        frames = [(0, 0, size, size)]
    found = []
    for index, frame in zip(indices, frames, strict=True):
        orientation = _orientation(augmentation, flip, rng)
        low, high = augmentation.scales
        scale = size * (low + (high - low) * rng.random())
        picture = _turned(read(index), orientation)
        found.append(_drawn(view, picture, scale, frame, rng.random(2)))
    boxes, labels = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return _lit(view, augmentation, rng), boxes, labels


def _orientation(augmentation: BoxAugmentation, flip: bool, rng: np.random.Generator) -> int:
    """Draws one of EXIF's numbers."""
    chance, way = rng.random(), int(rng.integers(4))
    flipped = flip and chance < 0.5
    if not augmentation.turns:
        return FLIPPED if flipped else 1
    return ((2, 4, 5, 7) if flipped else (1, 3, 6, 8))[way]


def _turned(picture: Boxed, orientation: int) -> Boxed:
    image, boxes, labels = picture
    turned = turned_boxes(boxes, orientation, image.size)
    return turned_picture(image, orientation), turned, labels


def _drawn(
    view: np.ndarray,
    picture: Boxed,
    longer_side: float,
    frame: tuple[int, int, int, int],
    chances: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a picture somewhere in a frame of the view; returns its boxes there and their labels.

    Where it is larger than the frame, a part of it is seen; where smaller, some grey beside it.
    """
    image, boxes, labels = picture
    scale = longer_side / max(image.size)
    sides = np.maximum(np.rint(scale * np.array(image.size)).astype(int), 1)
    corner = np.array(frame[:2])
    corner += np.rint(chances * (np.array(frame[2:]) - corner - sides)).astype(int)
    left, top = np.maximum(corner, frame[:2])
    right, bottom = np.minimum(corner + sides, frame[2:])
    ratio = np.array(image.size) / sides  # pixels of the picture for one of the view
    part = np.concatenate([((left, top) - corner) * ratio, ((right, bottom) - corner) * ratio])
    part = np.clip(part, 0, [*image.size, *image.size])
    seen = image.resize((right - left, bottom - top), Image.Resampling.BILINEAR, box=tuple(part))
    view[top:bottom, left:right] = np.asarray(seen)
    moved = boxes / np.tile(ratio, 2) + np.tile(corner, 2)
    return _seen(moved, labels, (left, top, right, bottom))


def _seen(
    boxes: np.ndarray, labels: np.ndarray, window: tuple[int, int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Clips boxes to a window, without those of which too little is left."""
    left, top, right, bottom = window
    inside = np.clip(boxes, [left, top, left, top], [right, bottom, right, bottom])
    sides = inside[:, 2:] - inside[:, :2]
    whole = boxes[:, 2:] - boxes[:, :2]
    enough = sides.prod(1) >= LEAST_PART * whole.prod(1)
    enough &= (sides >= LEAST_SIDE).all(1)
    return inside[enough].astype(np.float32), labels[enough]


def _lit(view: np.ndarray, augmentation: BoxAugmentation, rng: np.random.Generator) -> np.ndarray:
    light, contrast, saturation = rng.random(3)
    tint = rng.normal(size=3)
    if augmentation.saturation:
        colourful = 1 + augmentation.saturation * (2 * saturation - 1)
        image = ImageEnhance.Color(Image.fromarray(view)).enhance(colourful)
        view = np.asarray(image)
    return relit(view, augmentation.light, augmentation.colour, (light, contrast), tint)
