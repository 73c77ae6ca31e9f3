"""What a served model takes and gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dlapps.serving import Limits
from dlapps.showing import Looking, Writing

Refusal = Callable[[Mapping[str, np.ndarray], Limits], str]


@dataclass(frozen=True)
class Spec:
    """What an input or output is: its kind, objects for texts, and its sides, None for any."""

    dtype: np.dtype
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Signature:
    """One way of asking a model.

    Args:
        inputs: By name.
        outputs: By name.
        call: From arrays by name to arrays by name.
    """

    inputs: dict[str, Spec]
    outputs: dict[str, Spec]
    call: Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Served:
    """A model under the name that clients know.

    Args:
        name: In the URL.
        version: In the URL.
        signatures: By name.
        refusal: Says why a request is not worth computing.
        example: The body of a request, for people to read.
        about: What it is, a line.
        shown: How people use it, if that is known.
    """

    name: str
    version: int
    signatures: dict[str, Signature]
    refusal: Refusal = field(default=lambda inputs, limits: "")
    example: dict[str, Any] = field(default_factory=dict)
    about: str = ""
    shown: Looking | Writing | None = None
