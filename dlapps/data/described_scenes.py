"""The sample of pictures with captions: scenes of handwritten digits, described in words."""

from collections.abc import Iterator

import numpy as np

from dlapps.data import digit_scenes
from dlapps.data.digit_scenes import Scene

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COUNTS = ("no", "one", "two", "three", "four", "five", "six")
# Heights of the ink below and above which a digit is called small and large, pixels.
SMALL, LARGE = 28, 52
CAPTIONS = 3


def scenes(part: str) -> list[tuple[np.ndarray, list[str]]]:
    """Returns the pictures of a part, each with captions such as "a three left of a small seven".

    Args:
        part: "train", "validation" or "test".
    """
    return [(scene.image, [*_captions(scene)]) for scene in digit_scenes.scenes(part)]


def _captions(scene: Scene) -> Iterator[str]:
    heights = scene.boxes[:, 3] - scene.boxes[:, 1]
    order = [int(k) for k in np.argsort(-heights, kind="stable")]
    first, *rest = (_named(scene, k) for k in order)
    if not rest:
        yield from (_a(first), f"{_a(first)} alone", f"only {_a(first)}")
        return
    one, other = order[:2]
    more = f" and {COUNTS[len(order) - 2]} more" if len(order) > 2 else ""
    yield f"{_a(first)} {_place(scene, one, other)} {_a(rest[0])}{more}"
    yield f"{_a(rest[0])} {_place(scene, other, one)} {_a(first)}{more}"
    yield f"{COUNTS[len(order)]} digits , the largest {_a(NAMES[scene.digits[one]])}"


def _a(thing: str) -> str:
    return f"an {thing}" if thing.startswith("eight") else f"a {thing}"


def _named(scene: Scene, place: int) -> str:
    height = scene.boxes[place, 3] - scene.boxes[place, 1]
    size = "small " if height < SMALL else "large " if height > LARGE else ""
    return size + NAMES[scene.digits[place]]


def _place(scene: Scene, one: int, other: int) -> str:
    """Says where a digit stands as seen from another, by the longer way between their middles."""
    middles = (scene.boxes[:, :2] + scene.boxes[:, 2:]) / 2
    across, down = middles[one] - middles[other]
    if abs(across) >= abs(down):
        return "left of" if across < 0 else "right of"
    return "above" if down < 0 else "below"
