"""What an app says of its model for export: what it answers, and how to check that it does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

DEFAULT = "serving_default"
# The check that is put to the part of a model that takes and returns numbers alone.
NUMERIC = "numeric"
Arrays = Mapping[str, Any]


@dataclass(frozen=True)
class Check:
    """Real inputs, and what the trained model says to them.

    Args:
        signature: Whom to ask: the name of a signature, or `NUMERIC`.
        inputs: An array for each input, bytes as objects.
        expected: For outputs, by name, what the trained model says. Of texts in rows, the first
            of each row is the answer and the rest is not looked at.
        truth: What is right, a row each, if that is known: int, which column of the first of
            `expected` should be the highest; or what `measure` takes.
        pixels: Which of `expected` are places in a picture, in pixels.
        same: From all of `expected` and what the export says to the part of the answers that are
            the same, in [0, 1]; None if the answer is the highest of the first of `expected`.
        measure: From all outputs and `truth` to how good they are, in [0, 1]; None for the part of
            the answers that is right.
        measured: What that is called.
    """

    signature: str
    inputs: Mapping[str, np.ndarray]
    expected: Mapping[str, np.ndarray]
    truth: np.ndarray | None = None
    pixels: tuple[str, ...] = ()
    same: Callable[[Arrays, Arrays], float] | None = None
    measure: Callable[[Arrays, Any], float] | None = None
    measured: str = "accuracy"


@dataclass(frozen=True)
class Checks:
    """All that is asked of an exported model.

    Args:
        source: Where the inputs come from, a few words.
        each: The checks.
        left_out: Why inputs were left out, by name.
    """

    source: str
    each: list[Check]
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Numeric:
    """The part of a model that takes and returns numbers alone, for runtimes that know no text.

    Args:
        function: A concrete function of tensors, each of a name, that returns a list of tensors;
            its variables are constants.
        outputs: The names of these.
        about: What stands before and behind it, for a JSON file: labels, preprocessing.
        quantize_activations: Whether int8 pays for activations too, or for weights only.
    """

    function: Any
    outputs: list[str]
    about: dict[str, Any]
    quantize_activations: bool

    def __call__(self, *tensors: Any) -> dict[str, Any]:
        """Returns the outputs by name."""
        found = self.function(*tensors)
        several = found if isinstance(found, list | tuple) else [found]
        return dict(zip(self.outputs, several, strict=True))


@dataclass(frozen=True)
class Limits:
    """What a request may ask for at most.

    Args:
        pixels: Of one picture.
        length: Characters or words to write.
        prompt: Characters of one prompt.
    """

    pixels: int = 25_000_000
    length: int = 2000
    prompt: int = 10_000
