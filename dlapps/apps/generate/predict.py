"""Writes text, a character at a time."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import keras
import numpy as np

from dlapps import sampling
from dlapps.apps.generate.model import CharRNN

States = list[list[np.ndarray]]
Step = Callable[[np.ndarray, list[np.ndarray]], tuple[np.ndarray, list[np.ndarray]]]


@dataclass(frozen=True)
class Style:
    """How to pick the next character.

    Args:
        temperature: Above 0; below 1 the likely characters gain.
        top_k: How many of the likeliest are left; None for all.
        top_p: The fewest of the likeliest with this probability in all are left; None for all.
        stop: Text that ends the writing; it is not written. Nothing for none.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    stop: str = ""


def predict(
    model: CharRNN, prompt: Iterable[int], length: int, style: Style, rng: np.random.Generator
) -> Iterator[str]:
    """Writes on from a prompt, and hands over each piece of text as it is written.

    Args:
        model: What writes.
        prompt: Ids of what to go on from; with none, as at the start of a line.
        length: Characters to write at most.
        style: How to pick them.
        rng: Where the chance comes from.

    Yields:
        Characters, one or several at once: those that could begin `stop` are held back until it is
        known.
    """
    characters, reader = model.characters, Reader(model)
    ids = [*prompt] or [max(characters.find("\n"), 0)]
    states = reader.start()
    for each in ids:
        logits, states = reader.step(int(each), states)
    waiting = ""
    for _ in range(length):
        chances = sampling.probabilities(logits, style.temperature, style.top_k, style.top_p)
        chosen = sampling.picked(chances, rng)
        waiting += characters[chosen]
        if style.stop and waiting.endswith(style.stop):
            waiting = waiting.removesuffix(style.stop)
            break
        keep = _begun(waiting, style.stop)
        if len(waiting) > keep:
            yield waiting[: len(waiting) - keep]
            waiting = waiting[len(waiting) - keep :]
        logits, states = reader.step(chosen, states)
    if waiting:
        yield waiting


def _begun(text: str, stop: str) -> int:
    """Returns how many characters at the end of a text may be the beginning of `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((k for k in range(longest, 0, -1) if text.endswith(stop[:k])), 0)


class Reader:
    """Reads one character at a time, as `CharRNN.read` does, with NumPy.

    A step is a few products of a vector with a matrix; to start an operation of TensorFlow takes
    as long as one of them.

    Args:
        model: Whose weights to read with.
    """

    def __init__(self, model: CharRNN):
        self.model = model
        vectors = _array(model.vectors.embeddings) if model.embedding else None
        self.steps: list[Step] = []
        for number, layer in enumerate(model.recurrent):
            weights = [_array(weight) for weight in layer.cell.trainable_weights]
            if number == 0:
                # Each character's product with the kernel is worked out once.
                kernel = weights[0] if vectors is None else vectors @ weights[0]
                self.table, weights[0] = kernel, np.empty((0, kernel.shape[1]), np.float32)
            self.steps.append(_STEPS[model.cell](*weights))
        self.norms = [(_array(norm.gamma), _array(norm.beta), norm.epsilon) for norm in model.norms]
        if vectors is not None and model.tied:
            self.kernel, self.bias = vectors.T, _array(model.bias)
        else:
            self.kernel, self.bias = _array(model.logits.kernel), _array(model.logits.bias)

    def start(self) -> States:
        """Returns the states at the start of a text."""
        zeros = np.zeros(self.model.units, np.float32)
        return [[zeros] * (2 if self.model.cell == "lstm" else 1) for _ in self.steps]

    def step(self, character: int, states: States) -> tuple[np.ndarray, States]:
        """Reads a character.

        Args:
            character: Its id.
            states: What the last step returned, or `start`.

        Returns:
            `(characters,)` logits about the next one, and the states after it.
        """
        after = []
        x = np.empty(0, np.float32)
        for number, step in enumerate(self.steps):
            added = self.table[character] if number == 0 else x
            y, state = step(added, states[number])
            if self.model.residual and number:
                y = x + y
            if self.norms:
                gamma, beta, epsilon = self.norms[number]
                centred = y - y.mean()
                y = centred / np.sqrt((centred * centred).mean() + epsilon) * gamma + beta
            x = y
            after.append(state)
        return x @ self.kernel + self.bias, after


def _array(weight: keras.Variable) -> np.ndarray:
    return keras.ops.convert_to_numpy(weight).astype(np.float32)


def _lstm(kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray) -> Step:
    units = len(recurrent)
    # A sigmoid is half a tanh of half its argument and a half, so that one tanh does for all.
    half = np.full(4 * units, 0.5, np.float32)
    half[2 * units : 3 * units] = 1
    joined, bias = np.concatenate([kernel, recurrent]) * half, bias * half
    first = not len(kernel)

    def step(x: np.ndarray, state: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
        hidden, cell = state
        if first:
            z = hidden @ joined
            z += x * half
        else:
            z = np.concatenate([x, hidden]) @ joined
        z += bias
        i, f, g, o = np.tanh(z, out=z).reshape(4, units)
        cell = (0.5 * f + 0.5) * cell + (0.5 * i + 0.5) * g
        hidden = (0.5 * o + 0.5) * np.tanh(cell)
        return hidden, [hidden, cell]

    return step


def _gru(kernel: np.ndarray, recurrent: np.ndarray, biases: np.ndarray) -> Step:
    first = not len(kernel)

    def step(x: np.ndarray, state: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
        (hidden,) = state
        from_input = (x if first else x @ kernel) + biases[0]
        from_hidden = hidden @ recurrent + biases[1]
        (xz, xr, xh), (hz, hr, hh) = np.split(from_input, 3), np.split(from_hidden, 3)
        keep, reset = 0.5 * np.tanh([(xz + hz) / 2, (xr + hr) / 2]) + 0.5
        hidden = keep * hidden + (1 - keep) * np.tanh(xh + reset * hh)
        return hidden, [hidden]

    return step


def _rnn(kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray) -> Step:
    first = not len(kernel)

    def step(x: np.ndarray, state: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
        hidden = np.tanh((x if first else x @ kernel) + state[0] @ recurrent + bias)
        return hidden, [hidden]

    return step


_STEPS: dict[str, Callable[..., Step]] = {"lstm": _lstm, "gru": _gru, "rnn": _rnn}
