"""What an annotation file says about pictures, as it stands there."""

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
        self.places: dict[tuple[str, str, str], list[str]] = {}

    def add(self, thing: str, what: str, place: str, aside: str = "") -> None:
        """Counts one more.

        Args:
            thing: What is counted, such as "box"; its plural is made here.
            what: What is said of several, such as "are empty and left out".
            place: Where, as the reader would look it up.
            aside: What follows.
        """
        self.places.setdefault((thing, what, aside), []).append(place)

    def notes(self) -> list[str]:
        """Returns a sentence for each kind."""
        return [
            f"{counted(len(places), thing)} {what}, "
            f"{'the first' if len(places) > 1 else 'namely'} {places[0]}.{aside}"
            for (thing, what, aside), places in self.places.items()
        ]


def counted(number: int, thing: str) -> str:
    """Returns `1 box` or `2 boxes`."""
    ending = "es" if thing.endswith(("s", "x")) else "s"
    return f"{number} {thing}{ending * (number != 1)}"
