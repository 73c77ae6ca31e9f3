"""Reads the models of Darknet: a `.cfg` of sections, and the `.weights` that belong to it."""

import math
import struct
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

NETWORK = ("net", "network")


@dataclass(frozen=True)
class Section:
    """One section of a `.cfg`: the whole network's, or one layer.

    Args:
        kind: What stands in its brackets.
        line: Its line in the file, from 1 on.
        options: Values by name, as they stand there, whether we know them or not.
    """

    kind: str
    line: int
    options: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where the section stands, in words."""
        return f"line {self.line}, [{self.kind}]"

    def text(self, name: str, default: str) -> str:
        """Returns an option as it stands there."""
        return self.options.get(name, default)

    def whole(self, name: str, default: int, least: int | None = None) -> int:
        """Returns an option that is one whole number, `least` or more."""
        self.number(name, default)  # One, not several.
        (value,) = self.wholes(name, default)
        if least is not None and value < least:
            raise ValueError(f"{self.place}: {name} must be at least {least}, got {value}.")
        return value

    def wholes(self, name: str, default: int | None = None) -> list[int]:
        """Returns an option that is one or more whole numbers; none if there is no default."""
        numbers = self.numbers(name, default)
        if any(value != int(value) for value in numbers):
            raise ValueError(f"{self.place}: {name}={self.options[name]} is no whole number.")
        return [int(value) for value in numbers]

    def number(self, name: str, default: float) -> float:
        """Returns an option that is one number."""
        numbers = self.numbers(name, default)
        if len(numbers) != 1:
            raise ValueError(f"{self.place}: {name}={self.options[name]} is not one number.")
        return numbers[0]

    def numbers(self, name: str, default: float | None = None) -> list[float]:
        """Returns an option that is numbers with commas between; none if there is no default."""
        if name not in self.options:
            return [] if default is None else [default]
        words = self.options[name].split(",")
        try:
            # A comma behind the last number is harmless, and Darknet's own files have some.
            values = [float(word) for word in words if word]
        except ValueError:
            values = []
        if not values or not all(np.isfinite(values)):
            raise ValueError(f"{self.place}: {name}={self.options[name]} is no number.")
        return values


def sections_of(text: str) -> list[Section]:
    """Splits the text of a `.cfg` into its sections, in their order.

    Spaces count nowhere, and comments begin with `#` or `;`. Of an option that a section gives
    twice the first counts, as in Darknet.

    Returns:
        The network's section, then one a layer. Names of sections may come more than once.

    Raises:
        ValueError: If it is something else; says in which line.
    """
    if "\0" in text:
        raise ValueError("it is no text.")
    sections: list[Section] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = "".join(raw.split("#")[0].split(";")[0].split())
        name, equals, value = line.partition("=")
        if not line:
            continue
        if line.startswith("[") and line.endswith("]"):
            sections.append(Section(line[1:-1], number))
        elif not sections:
            raise ValueError(f"line {number}: a section such as [net] must come first.")
        elif not equals or not name:
            raise ValueError(f"line {number}: '{line[:40]}' is neither a section nor name=value.")
        else:
            sections[-1].options.setdefault(name, value)
    if not sections or sections[0].kind not in NETWORK:
        raise ValueError("it does not begin with a section [net].")
    return sections


def read_cfg(path: str | Path) -> str:
    """Returns the text of a `.cfg`.

    Raises:
        ValueError: If it is no text.
        OSError: If it cannot be read.
    """
    # Comments may be in any encoding; what counts is ASCII.
    text = Path(path).read_bytes().decode("utf-8-sig", errors="replace")
    sections_of(text)
    return text


def read_names(path: str | Path) -> list[str]:
    """Returns the names of the classes, one a line; blank lines are none.

    Raises:
        ValueError: If it is no text, or names none.
        OSError: If it cannot be read.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if "\0" in text or not names:
        raise ValueError("it is no text with the name of a class in every line.")
    return names


def read_weights(path: str | Path) -> np.ndarray:
    """Returns the numbers of a `.weights` file behind its header, `(weights,)` float32.

    Raises:
        ValueError: If it is shorter than a header, or ends within a number.
        OSError: If it cannot be read.
    """
    data = Path(path).read_bytes()
    if len(data) < 20:
        raise ValueError(f"it has {len(data)} bytes, fewer than a header.")
    major, minor, _ = struct.unpack("<3i", data[:12])
    # Since 0.2, the number of images seen has 64 bits instead of 32.
    body = data[20 if 10 * major + minor >= 2 else 16 :]
    return np.frombuffer(body[: len(body) // 4 * 4], "<f4")


def load_weights(network: keras.Model, path: str | Path) -> None:
    """Gives a network the weights of a file that was made for it.

    Args:
        network: As `fill` wants it.
        path: The `.weights` file.

    Raises:
        ValueError: If its length is another; says by how many bytes. The network is unchanged.
        OSError: If it cannot be read.
    """
    values = read_weights(path)
    wanted = network.count_params()
    excess = 4 * (len(values) - wanted) + Path(path).stat().st_size % 4
    if excess:
        raise ValueError(_length(excess, wanted))
    fill(network, values)


def check_length(sections: list[Section], path: str | Path) -> None:
    """Checks that a file is long enough for a network, before that takes any memory.

    Args:
        sections: As `sections_of` returns them; what does not fit together counts as nothing.
        path: The `.weights` file.

    Raises:
        ValueError: If it is shorter; says by how many bytes.
        OSError: If it cannot be read.
    """
    channels: list[int] = []
    wanted = 0
    for section in sections[1:]:
        last = channels[-1] if channels else 3
        if section.kind == "convolutional":
            filters, size, groups = (
                section.whole(name, 1, least=1) for name in ("filters", "size", "groups")
            )
            first = 4 if section.whole("batch_normalize", 0) else 1
            wanted += filters * (first + last // groups * size**2)
            last = filters
        elif section.kind == "route":
            places = [k for k in section.wholes("layers") if -len(channels) <= k < len(channels)]
            last = sum(channels[k] for k in places) // section.whole("groups", 1, least=1)
        elif section.kind == "reorg":
            last *= section.whole("stride", 1, least=1) ** 2
        channels.append(last)
    short = wanted - len(read_weights(path))
    if short > 0:
        raise ValueError(_length(-4 * short, wanted))


def _length(excess: int, wanted: int) -> str:
    return (
        f"it is {abs(excess)} bytes too {'long' if excess > 0 else 'short'} for the cfg, "
        f"which wants {wanted} weights of 4 bytes behind the header."
    )


def fill(network: keras.Model, values: np.ndarray) -> None:
    """Gives a network the numbers of a `.weights` file, as many as it needs.

    The file holds of every convolution the biases, or instead the shift, scale, mean and variance
    of its batch norm, and then the kernel, in the order of the `.cfg`.

    Args:
        network: The last part of its convolutions' names is `convolutional_<place>`, that of their
            batch norms' `convolutional_<place>_norm`.
        values: As `read_weights` returns them; at least as many as the network has.
    """
    layers = {layer.name.rpartition("convolutional_")[2]: layer for layer in network.layers}
    start = 0

    def following(*shape: int) -> np.ndarray:
        nonlocal start
        start += math.prod(shape)
        return values[start - math.prod(shape) : start].reshape(shape)

    for place in sorted(int(name) for name in layers if name.isdecimal()):
        convolution, norm = layers[str(place)], layers.get(f"{place}_norm")
        height, width, channels, filters = convolution.kernel.shape
        first = [following(filters) for _ in range(4 if norm else 1)]
        kernel = following(filters, channels, height, width).transpose(2, 3, 1, 0)
        if norm is None:
            convolution.set_weights([kernel, *first])
        else:
            beta, gamma, mean, variance = first
            convolution.set_weights([kernel])
            norm.set_weights([gamma, beta, mean, variance])
