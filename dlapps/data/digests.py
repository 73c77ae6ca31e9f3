"""Tells pictures apart by their bytes, whatever they are called."""

import dataclasses
import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import numpy as np

from dlapps.data.pictures import Source
from dlapps.errors import UserError, reason


class Digested(Protocol):
    """What has a picture and the digest of its bytes."""

    @property
    def source(self) -> Source:
        """The picture."""

    @property
    def digest(self) -> str:
        """SHA-256 of its bytes."""


T = TypeVar("T", bound=Any)  # A dataclass that is `Digested`.


def hashed(examples: list[T]) -> list[T]:
    """Returns examples, dataclasses with a `source`, with their `digest` filled in.

    Raises:
        UserError: If a file cannot be read.
    """
    with ThreadPoolExecutor() as pool:
        return [
            dataclasses.replace(example, digest=digest)
            for example, digest in zip(
                examples, pool.map(lambda example: _digest(example.source), examples), strict=True
            )
        ]


def shared(one: Iterable[Digested], other: Iterable[Digested]) -> int:
    """Returns how many pictures stand in both."""
    return len({e.digest for e in one} & {e.digest for e in other})


def _digest(source: Source) -> str:
    if isinstance(source, np.ndarray):
        return hashlib.sha256(source.tobytes()).hexdigest()
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    try:
        with open(source, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{source} cannot be read: {reason(error)}.") from error
