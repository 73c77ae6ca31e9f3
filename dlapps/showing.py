"""What an app says of its model for people: what they give it, and what they see of its answer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Ask = Callable[[], Mapping[str, Any]]


@dataclass(frozen=True)
class Answer:
    """What is seen of an answer.

    Args:
        text: A line.
        classes: Probabilities by label.
        picture: A Pillow picture, or None.
        rows: Of a table.
    """

    text: str = ""
    classes: Mapping[str, float] = field(default_factory=dict)
    picture: Any = None
    rows: Sequence[Sequence[str]] = ()


@dataclass(frozen=True)
class Looking:
    """A model that is shown a picture.

    Args:
        parts: Which fields of an `Answer` it fills, in the order in which they are read.
        answer: From the bytes of a file, and a function that returns the outputs of
            `serving_default` about it by name, to what is seen. Raises UserError if the file
            cannot be read.
        columns: Titles of the table.
        alone: Whether it computes by itself instead, so that one picture at a time is enough.
    """

    parts: tuple[str, ...]
    answer: Callable[[bytes, Ask], Answer]
    columns: tuple[str, ...] = ()
    alone: bool = False


@dataclass(frozen=True)
class Writing:
    """A model that goes on from a text.

    Args:
        write: From a prompt, the characters to write, the temperature and the seed to pieces of
            text as they are written. Raises UserError if the prompt cannot be read.
        prompt: An example.
    """

    write: Callable[[str, int, float, int], Iterator[str]]
    prompt: str
