"""Real pictures to compare exports on."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from dlapps import runs
from dlapps.data import samples
from dlapps.data.pictures import Source
from dlapps.graphs import pictures
from dlapps.held_out import held_out_of

HELD_OUT = "pictures held out in training"
PHOTOS = "photos that come with the packages, and pieces of them"
DECODED = (*pictures.FORMATS.values(), b"GIF8")
NOT_DECODED = "TensorFlow decodes no such file, but JPEG, PNG, WebP, BMP and GIF"
Example = TypeVar("Example")


def held_out(
    name: str, count: int, read_dataset: Callable[[str, float, int], Any]
) -> list[Any] | None:
    """Returns examples that a run held out, evenly spread; None of another model, or without them.

    Args:
        name: What `load_model` took.
        count: Examples at most.
        read_dataset: Reads a dataset as for training.
    """
    if not (Path(name) / runs.RECORD).is_file():
        return None
    record = runs.load(name).record
    found = held_out_of(record["dataset"]["data"], record, read_dataset)
    return None if found is None else some_of(found, count)


def some_of(examples: Sequence[Example], count: int) -> list[Example]:
    """Returns at most so many, evenly spread, in their order."""
    places = np.unique(np.linspace(0, len(examples) - 1, count).astype(int))
    return [examples[k] for k in places]


def file_of(source: Source) -> bytes:
    """Returns a picture as the bytes of a file.

    Raises:
        OSError: If it is a path that cannot be read.
    """
    if isinstance(source, bytes):
        return source
    return samples.as_png(source) if isinstance(source, np.ndarray) else Path(source).read_bytes()
