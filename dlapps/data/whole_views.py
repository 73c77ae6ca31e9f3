"""Draws pictures whole, or nearly so, as a captioner sees them."""

from collections.abc import Sequence

import numpy as np

from dlapps.data.captioned import Described
from dlapps.data.pictures import resized
from dlapps.data.pipeline import PictureStore

# Area of a random view, of that of the picture.
AREAS = (0.72, 1.0)


class WholeViews:
    """Draws pictures whole, or parts of them by chance, the same for the same seed.

    A caption speaks of the whole picture, so that all of it is squeezed into the square that the
    network sees, and of a random view little is cut off.

    Args:
        pictures: What to draw.
        image_size: Side of a view, pixels.
        flip: Whether every other view is mirrored.
        seed: Where the chance comes from.
    """

    def __init__(
        self, pictures: Sequence[Described], image_size: int, flip: bool = False, seed: int = 0
    ):
        self.pictures = pictures
        self.image_size = image_size
        self.flip = flip
        self.seed = seed
        self.store = PictureStore([each.source for each in pictures], image_size)

    def draw(self, index: int, turn: int = 0) -> np.ndarray:
        """Returns a view of one picture, `(size, size, 3)` uint8; the whole one in turn 0."""
        image = self.store.read(index)
        part, left, top = 1.0, 0.0, 0.0
        if turn:
            picture = int(self.pictures[index].digest[:16], 16)
            rng = np.random.default_rng([self.seed, turn, picture])
            part = rng.uniform(*AREAS) ** 0.5
            left, top = rng.random(2) * (1 - part)
        width, height = image.size
        box = (left * width, top * height, (left + part) * width, (top + part) * height)
        view = resized(image, self.image_size, box)
        return np.ascontiguousarray(view[:, ::-1]) if self.flip and turn % 2 else view
