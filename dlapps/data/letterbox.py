"""Fits a whole picture into the view of a detector, and boxes with it."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

# The grey of the field since YOLOv3's PyTorch port (https://github.com/ultralytics/yolov3).
GREY = 114


@dataclass(frozen=True)
class Placement:
    """Where a picture stands in a view.

    Args:
        scale: Pixels of the view for one of the picture. The sides of a picture are rounded to
            whole pixels, so that its far edges may lie half a pixel from where this puts them.
        left: Pixels of the view left of the picture.
        top: Pixels of the view above it.
    """

    scale: float
    left: float
    top: float

    def into(self, boxes: np.ndarray) -> np.ndarray:
        """Returns `(..., 4)` boxes of the picture in pixels of the view, float32."""
        return (np.asarray(boxes, np.float32) * self.scale + self._corner).astype(np.float32)

    def back(self, boxes: np.ndarray) -> np.ndarray:
        """Returns `(..., 4)` boxes of the view in pixels of the picture, float32."""
        return ((np.asarray(boxes, np.float32) - self._corner) / self.scale).astype(np.float32)

    @property
    def _corner(self) -> np.ndarray:
        return np.array([self.left, self.top, self.left, self.top], np.float32)


def letterboxed(image: Image.Image, width: int, height: int) -> tuple[np.ndarray, Placement]:
    """Returns a picture scaled to fit, in the middle of a grey view.

    Args:
        image: The picture, mode "RGB".
        width: Of the view, pixels.
        height: Of the view, pixels.

    Returns:
        The view, `(height, width, 3)` uint8, and where the picture stands in it.
    """
    scale = min(width / image.width, height / image.height)
    inner = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    if inner != image.size:
        image = image.resize(inner, Image.Resampling.BILINEAR)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    view = np.full((height, width, 3), GREY, np.uint8)
    view[top : top + inner[1], left : left + inner[0]] = np.asarray(image)
    return view, Placement(scale, left, top)


def fitting_sides(width: int, height: int, size: int, stride: int = 32) -> tuple[int, int]:
    """Returns the least sides, multiples of `stride`, that hold a picture scaled to `size`.

    Args:
        width: Of the picture, pixels.
        height: Of the picture, pixels.
        size: Its longer side in the view, pixels, a multiple of `stride`.
        stride: Pixels.
    """
    scale = size / max(width, height)
    wide, high = (-(-max(1, round(side * scale)) // stride) * stride for side in (width, height))
    return wide, high
