"""What an annotation file says about pictures, as it stands there."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dlapps.data.pictures import Source


@dataclass(frozen=True)
class Annotation:
    """What is said about one picture: boxes as written, not yet compared with the picture.

    Args:
        name: The words the picture goes by.
        source: The picture.
        boxes: `(boxes, 4)` float, xyxy; in pixels, or in parts of the sides if `relative`.
        labels: Index of each box's label.
        crowd: Whether a box is neither learnt from nor counted.
        file: The file that says so; with `numbers`, the place that a message names.
        numbers: What tells the boxes of the file apart, such as "line 3".
        size: Width and height that the file claims for the picture, (0, 0) for none.
        relative: Whether boxes are in parts of the picture's sides.
    """

    name: str
    source: Source
    boxes: np.ndarray
    labels: Sequence[int]
    crowd: Sequence[bool]
    file: str
    numbers: Sequence[str]
    size: tuple[int, int] = (0, 0)
    relative: bool = False


@dataclass(frozen=True)
class Annotations:
    """What a set of annotation files says.

    Args:
        name: What a run on it is called.
        labels: Names of the classes.
        splits: What is said about each picture, by split: "train", "validation", "test".
        notes: What the reader left out, and why.
    """

    name: str
    labels: list[str]
    splits: dict[str, list[Annotation]]
    notes: list[str] = field(default_factory=list)


class Findings:
    """Counts what is odd, kind by kind, and remembers where it was first seen."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.first: dict[str, str] = {}

    def add(self, kind: str, place: str) -> None:
        """Counts one more.

        Args:
            kind: What is odd and what became of it, such as "Empty boxes, left out".
            place: Where, as the reader would look it up.
        """
        self.counts[kind] += 1
        self.first.setdefault(kind, place)

    def notes(self) -> list[str]:
        """Returns a line for each kind."""
        return [f"{kind}: {n}, first {self.first[kind]}." for kind, n in self.counts.items()]


def counted(number: int, thing: str) -> str:
    """Returns `1 box` or `2 boxes`."""
    ending = "es" if thing.endswith(("s", "x")) else "s"
    return f"{number} {thing}{ending * (number != 1)}"
