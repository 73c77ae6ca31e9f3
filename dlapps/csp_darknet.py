"""The part of YOLOv4-tiny that looks at pictures, as a backbone."""

from collections.abc import Iterator

import keras

from dlapps import darknet
from dlapps.weights import yolov4_tiny
from dlapps.weights.darknet import Section, fill, read_weights

# Filters of the stages; each halves the sides of its grid.
STAGES = (64, 128, 256)


def network(name: str) -> keras.Model:
    """Builds CSPDarknet53-tiny with random weights.

    It is the first 29 sections of YOLOv4-tiny (https://arxiv.org/abs/2011.08036): the backbone,
    and of the branch that detects on its last grid all but what names the classes.

    Args:
        name: Of the model.

    Returns:
        A functional model from images in [0, 1] to a grid of stride 32 with 512 channels.
    """
    prefixes, sections = zip(*_sections(), strict=True)
    return darknet.network([Section("net", 0), *sections], prefixes=prefixes, name=name)


def load_backbone(network: keras.Model) -> None:
    """Gives it what YOLOv4-tiny learnt on COCO."""
    fill(network, read_weights(yolov4_tiny.file("yolov4-tiny.weights")))


def _sections() -> Iterator[tuple[str, Section]]:
    """Yields each section and what the names of its layers begin with."""
    yield "stem_", _convolution(32, 3, stride=2)
    yield "block1_", _convolution(STAGES[0], 3, stride=2)
    for number, filters in enumerate(STAGES, start=1):
        block = f"block{number}_"
        if number > 1:
            yield block, _section("maxpool", size=2, stride=2)
        # Half of the channels go through two convolutions, the others by (CSP).
        yield block, _convolution(filters, 3)
        yield block, _section("route", layers=-1, groups=2, group_id=1)
        yield block, _convolution(filters // 2, 3)
        yield block, _convolution(filters // 2, 3)
        yield block, _section("route", layers="-1,-2")
        yield block, _convolution(filters, 1)
        yield block, _section("route", layers="-6,-1")
    yield "block4_", _section("maxpool", size=2, stride=2)
    yield "block4_", _convolution(512, 3)
    yield "block5_", _convolution(256, 1)
    yield "block5_", _convolution(512, 3)


def _convolution(filters: int, size: int, stride: int = 1) -> Section:
    settings = {"filters": filters, "size": size, "stride": stride}
    return _section("convolutional", batch_normalize=1, pad=1, activation="leaky", **settings)


def _section(kind: str, **options: object) -> Section:
    return Section(kind, 0, {name: str(value) for name, value in options.items()})
