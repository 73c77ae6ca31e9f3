"""Builds each kind of section of Darknet's `.cfg` files with Keras."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops

from dlapps.errors import nearest
from dlapps.layers.anchor_decoding import AnchorDecoding
from dlapps.layers.reorganization import Reorganization
from dlapps.weights.darknet import Section

# Darknet adds it to variances, see `normalize_cpu` in
# https://github.com/AlexeyAB/darknet/blob/master/src/blas.c
EPSILON = 1e-6
# More than any layer of a network that has been published; a slip of the finger asks for more.
MOST_FILTERS = 65536
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "leaky": lambda x: ops.leaky_relu(x, 0.1),
    "linear": keras.activations.linear,
    "logistic": ops.sigmoid,
    "mish": keras.activations.mish,
    "relu": ops.relu,
    "relu6": ops.relu6,
    "swish": ops.silu,
}
# Options that change what a layer computes, with the values that leave it as it is built here.
FIXED = {
    "convolutional": {
        **dict.fromkeys(("antialiasing", "binary", "deform", "flipped", "reverse", "xnor"), "0"),
        "dilation": "1",
    },
    "maxpool": {"antialiasing": "0", "maxpool_depth": "0"},
    "shortcut": {"weights_type": "none"},
    "upsample": {"scale": "1"},
    "reorg": {"reverse": "0"},
    "region": {"coords": "4", "softmax": "1", "tree": "", "map": ""},
}


@dataclass
class Build:
    """What has been built so far.

    Args:
        images: The network's input.
        policy: Of all layers.
        grids: What each section returns.
        seen: Boxes and scores of the sections that see some.
        name: Of the layer to build next.
    """

    images: keras.KerasTensor
    policy: keras.DTypePolicy
    grids: list[keras.KerasTensor] = field(default_factory=list)
    seen: list[tuple[keras.KerasTensor, keras.KerasTensor]] = field(default_factory=list)
    name: str = ""

    @property
    def last(self) -> keras.KerasTensor:
        """What the section before returns."""
        return self.grids[-1] if self.grids else self.images

    def earlier(self, section: Section, option: str) -> list[keras.KerasTensor]:
        """Returns what the sections return that an option names, from the first or backwards."""
        places = section.wholes(option)
        for place in places:
            if not -len(self.grids) <= place < len(self.grids):
                raise ValueError(
                    f"{section.place}: {option}={place} names no layer before it; there are "
                    f"{len(self.grids)}."
                )
        if not places:
            raise ValueError(f"{section.place}: {option}= is missing, the layers it reads.")
        return [self.grids[place] for place in places]


def _activated(
    section: Section, built: Build, x: keras.KerasTensor, default: str
) -> keras.KerasTensor:
    name = section.text("activation", default)
    if name not in ACTIVATIONS:
        raise ValueError(
            f"{section.place}: activation={name} is not known.{nearest(name, ACTIVATIONS)} "
            f"Known: {', '.join(ACTIVATIONS)}."
        )
    if name == "linear":
        return x
    return keras.layers.Activation(
        ACTIVATIONS[name], dtype=built.policy, name=f"{built.name}_{name}"
    )(x)


def _convolutional(section: Section, built: Build) -> keras.KerasTensor:
    filters, size, stride, groups = (
        section.whole(name, 1, least=1) for name in ("filters", "size", "stride", "groups")
    )
    x = built.last
    if filters > MOST_FILTERS:
        raise ValueError(f"{section.place}: filters must be at most {MOST_FILTERS}, got {filters}.")
    if x.shape[-1] % groups or filters % groups:
        raise ValueError(
            f"{section.place}: groups={groups} does not divide {x.shape[-1]} channels and "
            f"{filters} filters."
        )
    around = size // 2 if section.whole("pad", 0) else section.whole("padding", 0, least=0)
    same = stride == 1 and size == 2 * around + 1
    if around and not same:
        x = keras.layers.ZeroPadding2D(around, dtype=built.policy, name=f"{built.name}_pad")(x)
    normalize = bool(section.whole("batch_normalize", 0))
    x = keras.layers.Conv2D(
        filters, size, stride, "same" if same else "valid", groups=groups, use_bias=not normalize,
        dtype=built.policy, name=built.name,
    )(x)  # fmt: skip
    if normalize:
        x = keras.layers.BatchNormalization(
            epsilon=EPSILON, dtype=built.policy, name=f"{built.name}_norm"
        )(x)
    return _activated(section, built, x, "logistic")


def _maxpool(section: Section, built: Build) -> keras.KerasTensor:
    stride = section.whole("stride", 1, least=1)
    size = section.whole("size", stride, least=1)
    padding = section.whole("padding", size - 1, least=0)
    x = built.last
    # What Keras does without copying the grid is the same in these cases, at any even size.
    same = padding == size - 1 and (stride == 1 or size == stride == 2)
    if padding and not same:
        # Half of it before the first cell, the odd one behind the last; lower than any cell.
        sides = (padding // 2, padding - padding // 2)
        lowest = float(np.finfo(np.float16).min)
        x = ops.pad(x, ((0, 0), sides, sides, (0, 0)), constant_values=lowest)
    way = "same" if same else "valid"
    return keras.layers.MaxPooling2D(size, stride, way, dtype=built.policy, name=built.name)(x)


def _route(section: Section, built: Build) -> keras.KerasTensor:
    groups = section.whole("groups", 1, least=1)
    which = section.whole("group_id", 0, least=0)
    parts = built.earlier(section, "layers")
    if which >= groups:
        raise ValueError(f"{section.place}: group_id must be below groups={groups}, got {which}.")
    if any(part.shape[-1] % groups for part in parts):
        raise ValueError(f"{section.place}: groups={groups} does not divide the channels.")
    if groups > 1:
        widths = [part.shape[-1] // groups for part in parts]
        parts = [
            part[..., which * width : (which + 1) * width]
            for part, width in zip(parts, widths, strict=True)
        ]
    return _named(parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=-1), built)


def _named(x: keras.KerasTensor, built: Build) -> keras.KerasTensor:
    return keras.layers.Identity(dtype=built.policy, name=built.name)(x)


def _shortcut(section: Section, built: Build) -> keras.KerasTensor:
    total = built.last
    for other in built.earlier(section, "from"):
        if other.shape[-1] != total.shape[-1]:
            raise ValueError(
                f"{section.place}: it adds {other.shape[-1]} channels to {total.shape[-1]}."
            )
        total = ops.add(total, other)
    return _activated(section, built, total, "linear")


def _upsample(section: Section, built: Build) -> keras.KerasTensor:
    stride = section.whole("stride", 2, least=1)
    return keras.layers.UpSampling2D(stride, dtype=built.policy, name=built.name)(built.last)


def _reorg(section: Section, built: Build) -> keras.KerasTensor:
    stride = section.whole("stride", 1, least=1)
    if built.last.shape[-1] % stride**2:
        raise ValueError(
            f"{section.place}: it wants a multiple of {stride**2} channels, got "
            f"{built.last.shape[-1]}."
        )
    return Reorganization(stride, dtype=built.policy, name=built.name)(built.last)


def _region(section: Section, built: Build) -> keras.KerasTensor:
    anchors = _anchors(section, range(section.whole("num", 1, least=1)))
    return _decoded(section, built, anchors, in_cells=True, softmax=True)


def _yolo(section: Section, built: Build) -> keras.KerasTensor:
    mask = section.wholes("mask") or [*range(section.whole("num", 1, least=1))]
    scale = section.number("scale_x_y", 1.0)
    squared = bool(section.whole("new_coords", 0))
    return _decoded(section, built, _anchors(section, mask), scale=scale, squared=squared)


def _anchors(section: Section, places: Sequence[int]) -> list[tuple[float, float]]:
    sides = section.numbers("anchors")
    pairs = [*zip(sides[::2], sides[1::2], strict=False)]
    if min(places) < 0 or max(places) >= len(pairs):
        raise ValueError(
            f"{section.place}: it wants anchor {max(places)}, counted from 0; anchors= has "
            f"{len(pairs)}, each of width and height."
        )
    return [pairs[place] for place in places]


def _decoded(section: Section, built: Build, anchors: list, **settings: Any) -> keras.KerasTensor:
    wanted = len(anchors) * (5 + section.whole("classes", 20, least=1))
    grid = built.last
    if grid.shape[-1] != wanted:
        raise ValueError(
            f"{section.place}: it wants {wanted} channels, {len(anchors)} anchors times 5 and the "
            f"classes; the layer before it has {grid.shape[-1]}."
        )
    decode = AnchorDecoding(anchors, **settings, dtype=built.policy, name=built.name)
    built.seen.append(decode(grid, built.images))
    return grid


LAYERS: dict[str, Callable[[Section, Build], keras.KerasTensor]] = {
    "convolutional": _convolutional,
    "maxpool": _maxpool,
    "region": _region,
    "reorg": _reorg,
    "route": _route,
    "shortcut": _shortcut,
    "upsample": _upsample,
    "yolo": _yolo,
}
