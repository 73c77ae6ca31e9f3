"""A sample of pictures with several things in each: handwritten digits scattered over walls."""

import functools
from dataclasses import dataclass

import numpy as np
from PIL import Image

from dlapps.data import samples

# Scenes of each part, and where its digits begin and end among scikit-learn's, as parts of them:
# no handwriting is both learnt from and measured on.
PARTS = {
    "train": (480, 0.0, 0.7),
    "validation": (120, 0.7, 0.85),
    "test": (120, 0.85, 1.0),
}
SIDES = (192, 256)  # of a scene, pixels
HEIGHTS = (22, 84)  # of a digit's cell, pixels
MOST_DIGITS = 6
ATTEMPTS = 60
# Part of a digit's box that others may cover.
OVERLAP = 0.05
# Ink that can be seen; the cells of scikit-learn's digits are 17 greys.
SEEN = 0.25


@dataclass(frozen=True)
class Scene:
    """A picture of digits.

    Args:
        image: `(height, width, 3)` uint8.
        digits: What each is, 0 to 9.
        boxes: `(digits, 4)` float32, xyxy, pixels, tight around the ink.
    """

    image: np.ndarray
    digits: list[int]
    boxes: np.ndarray


@functools.cache
def scenes(part: str) -> list[Scene]:
    """Draws the scenes of a part, the same every time.

    Args:
        part: "train", "validation" or "test".
    """
    count, start, stop = PARTS[part]
    grey, digits = samples.cells()
    own = slice(round(start * len(digits)), round(stop * len(digits)))
    streams = np.random.default_rng(list(part.encode())).spawn(count)
    return [_scene(grey[own], digits[own], rng) for rng in streams]


def _scene(grey: np.ndarray, digits: np.ndarray, rng: np.random.Generator) -> Scene:
    width, height = (int(side) for side in rng.integers(SIDES[0], SIDES[1] + 1, size=2))
    paper, ink = _colours(rng)
    wall = _wall(width, height, paper, rng)
    found: list[int] = []
    boxes: list[np.ndarray] = []
    wanted = rng.integers(1, MOST_DIGITS + 1)
    for _ in range(ATTEMPTS):
        if len(found) == wanted:
            break
        which = rng.integers(len(digits))
        cover = _cover(grey[which], rng)
        left = int(rng.integers(width - cover.shape[1] + 1))
        top = int(rng.integers(height - cover.shape[0] + 1))
        box = _around(cover) + np.array([left, top, left, top])
        if all(_covered(box, other) <= OVERLAP for other in boxes):
            colour = np.clip(ink + rng.normal(0, 12, 3), 0, 255)
            part = wall[top : top + cover.shape[0], left : left + cover.shape[1]]
            part += cover[..., None] * (colour - part)
            found.append(int(digits[which]))
            boxes.append(box)
    grain = rng.standard_normal((height, width, 1), dtype=np.float32)
    wall += rng.uniform(2, 10) * grain
    image = np.clip(np.rint(wall), 0, 255).astype(np.uint8)
    return Scene(image, found, np.array(boxes, np.float32))


def _colours(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns a colour for the wall and one for the ink that stands out from it."""
    while True:
        paper, ink = rng.uniform(0, 255, (2, 3))
        if abs((paper - ink) @ [0.299, 0.587, 0.114]) > 90:  # difference of brightness
            return paper, ink


def _wall(width: int, height: int, paper: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns an uneven wall with some bars on it, `(height, width, 3)` float."""
    coarse = np.clip(paper + rng.normal(0, 14, (5, 5, 3)), 0, 255).astype(np.uint8)
    wall = np.asarray(
        Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.float32
    ).copy()
    for _ in range(rng.integers(5)):
        colour = np.clip(paper + rng.normal(0, 25, 3), 0, 255)
        long, thin = int(rng.integers(30, 120)), int(rng.integers(2, 12))
        wide, high = (long, thin) if rng.random() < 0.5 else (thin, long)
        x, y = int(rng.integers(width)), int(rng.integers(height))
        wall[y : y + high, x : x + wide] = colour
    return wall


def _cover(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns how far the ink of a digit covers the wall, `(height, width)` in [0, 1]."""
    low, high = np.log(HEIGHTS)
    height = round(np.exp(rng.uniform(low, high)))
    width = round(height * rng.uniform(0.85, 1.15))
    cell = Image.fromarray(grey.astype(np.float32) / 16)
    cover = np.asarray(cell.resize((width, height), Image.Resampling.BICUBIC))
    # Sharper than the sixteenth of a cell that it was scanned with.
    return np.clip((cover - 0.5) * 2.5 + 0.5, 0, 1)


def _around(cover: np.ndarray) -> np.ndarray:
    rows, columns = (np.flatnonzero((cover > SEEN).any(axis)) for axis in (1, 0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)


def _covered(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the part of the smaller box that the larger covers."""
    near, far = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    least = min(float((box[2:] - box[:2]).prod()) for box in (one, other))
    return float(np.clip(far - near, 0, None).prod()) / least
