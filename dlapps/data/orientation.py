"""The eight ways that a picture can lie, and how boxes turn with it."""

import numpy as np
from PIL import Image

# EXIF's numbers for how a picture lies in its file, and what makes it upright; 1 is upright.
UPRIGHT_BY = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
FLIPPED = 2


def turned_size(orientation: int, size: tuple[int, int]) -> tuple[int, int]:
    """Returns width and height after turning."""
    return (size[1], size[0]) if orientation >= 5 else size


def turned_picture(image: Image.Image, orientation: int) -> Image.Image:
    """Returns a picture turned as one of that orientation is made upright."""
    return image.transpose(UPRIGHT_BY[orientation]) if orientation > 1 else image


def turned_boxes(boxes: np.ndarray, orientation: int, size: tuple[int, int]) -> np.ndarray:
    """Turns boxes as `turned_picture` turns the picture they are in.

    Args:
        boxes: `(boxes, 4)` xyxy, pixels before turning.
        orientation: EXIF's number, 1 to 8.
        size: Width and height before turning, pixels.
    """
    width, height = size
    left, top, right, bottom = np.moveaxis(boxes, -1, 0)
    x, y = (left, right), (top, bottom)
    if orientation in (2, 3, 7, 8):
        x = (width - right, width - left)
    if orientation in (3, 4, 6, 7):
        y = (height - bottom, height - top)
    if orientation >= 5:
        x, y = y, x
    return np.stack([x[0], y[0], x[1], y[1]], axis=-1)
