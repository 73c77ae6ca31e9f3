"""Pretrained feature extractors by name, each with its pyramid and its preprocessing."""

import contextlib
import math
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
from keras_cv.models import EfficientNetLiteBackbone

from dlapps import terminal
from dlapps.darknet import csp as csp_darknet
from dlapps.errors import UserError, nearest
from dlapps.layers.depthwise_conv2d import DepthwiseConv2D
from dlapps.layers.image_normalization import ImageNormalization
from dlapps.weights import efficientnet_lite0

BUILT_IN = "efficientnet_lite0"
DARKNET = "yolov4-tiny"
ONLINE = "keras:"
# Pixels from one cell of the last grid to the next. Sides that are multiples of it are even at
# every halving, so that padding is the same at every size.
STRIDE = 32

# What `keras.applications.<module>.preprocess_input` computes, by its mode; None where the network
# rescales by itself.
_TF = {"mean": (127.5,) * 3, "scale": (127.5,) * 3}
_CAFFE = {"mean": (123.68, 116.779, 103.939), "reverse": True}
APPLICATIONS: dict[str, dict | None] = {
    "ConvNeXtTiny": None,
    "ConvNeXtSmall": None,
    "EfficientNetB0": None,
    "EfficientNetB1": None,
    "EfficientNetB2": None,
    "EfficientNetB3": None,
    "EfficientNetV2B0": None,
    "EfficientNetV2B1": None,
    "EfficientNetV2B2": None,
    "EfficientNetV2B3": None,
    "EfficientNetV2S": None,
    "MobileNetV2": _TF,
    "MobileNetV3Large": None,
    "MobileNetV3Small": None,
    "ResNet50": _CAFFE,
    "ResNet50V2": _TF,
    "ResNet101V2": _TF,
    "VGG16": _CAFFE,
    "Xception": _TF,
}
_LOADERS = {BUILT_IN: efficientnet_lite0.load_backbone, DARKNET: csp_darknet.load_backbone}
# The layers of one block share the start of their names: block2a_, conv3_block1_, block_4_,
# expanded_conv_2_, stage_1_block_0_.
_BLOCK = re.compile(r"^(.*?(?:block_?\d+[a-z]?|expanded_conv(?:_\d+)?))(?:_|$)")


@dataclass(frozen=True)
class Backbone:
    """A feature extractor and what brings images of 0 to 255 to the range it wants.

    Args:
        normalization: From `(batch, height, width, 3)` 0 to 255 to what `network` takes.
        network: A functional model that ends in a grid, `(batch, height, width, channels)`; the
            sides of its images are multiples of `STRIDE` pixels.
    """

    normalization: ImageNormalization
    network: keras.Model


def check_name(name: str) -> None:
    """Checks that there is a backbone of this name.

    Raises:
        UserError: If there is none; names the nearest.
    """
    known = [BUILT_IN, DARKNET, *(ONLINE + application for application in APPLICATIONS)]
    if name not in known:
        raise UserError(
            f"There is no backbone '{name}'.{nearest(name, known)} 'dlapps models' lists them all."
        )


def build(name: str, policy: keras.DTypePolicy | None = None) -> Backbone:
    """Builds a backbone with random weights, which a saved model then fills.

    Args:
        name: `efficientnet_lite0`, `yolov4-tiny`, or `keras:` and a name of
            `keras.applications`.
        policy: Of all its layers; None for Keras' global one.

    Raises:
        UserError: If there is no such backbone.
    """
    check_name(name)
    with _policy(policy or keras.config.dtype_policy()):
        if name == BUILT_IN:
            with _fast_filters():
                network = _efficientnet_lite0()
            return Backbone(ImageNormalization((127.0,) * 3, (128.0,) * 3), network)
        if name == DARKNET:
            return Backbone(ImageNormalization(scale=(255.0,) * 3), csp_darknet.network(DARKNET))
        return _application(name, weights=None)


@contextlib.contextmanager
def _policy(policy: keras.DTypePolicy) -> Iterator[None]:
    """Makes a policy that of all layers: ready-made networks take no other word for it."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@contextlib.contextmanager
def _fast_filters() -> Iterator[None]:
    """Makes our depthwise convolution that of KerasCV's networks, which take no other word."""
    before = keras.layers.DepthwiseConv2D
    keras.layers.DepthwiseConv2D = DepthwiseConv2D
    try:
        yield
    finally:
        keras.layers.DepthwiseConv2D = before


def pretrained(name: str) -> Backbone:
    """Builds a backbone with the weights it learnt on ImageNet, or on COCO.

    Args:
        name: `efficientnet_lite0` or `yolov4-tiny`, whose weights come with the package; or
            `keras:` and a name of `keras.applications`, whose weights Keras downloads once.

    Raises:
        UserError: If there is no such backbone, or its weights cannot be downloaded.
    """
    check_name(name)
    if name in _LOADERS:
        backbone = build(name)
        load_pretrained(name, backbone.network)
        return backbone
    if not _downloaded(name):
        terminal.note(f"Downloading the weights of {name} from Keras' storage.")
    try:
        return _application(name, weights="imagenet")
    except Exception as error:  # Keras raises a bare Exception when a download fails.
        if "fetch failure" not in str(error):
            raise
        raise UserError(
            f"The weights of {name} could not be downloaded from Keras' storage. "
            f"Without a network, use --backbone {BUILT_IN}."
        ) from error


def load_pretrained(name: str, network: keras.Model) -> None:
    """Gives a network the weights that its backbone learnt.

    Args:
        name: As `pretrained` takes it.
        network: What `build` made of that name, or its part from the input on.

    Raises:
        UserError: As `pretrained` does.
    """
    if name in _LOADERS:
        _LOADERS[name](network)
    else:
        copy_weights(pretrained(name).network, network)


def copy_weights(source: keras.Model, network: keras.Model) -> None:
    """Gives the layers of a network the weights of those of the same names."""
    layers = {layer.name: layer for layer in source.layers}
    for layer in network.layers:
        if layer.weights:
            layer.set_weights(layers[layer.name].get_weights())


def _downloaded(name: str) -> bool:
    folder = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"
    # ResNet50's file is resnet50_weights...h5, not resnet50v2_weights...h5.
    own = re.compile(name.removeprefix(ONLINE).lower() + r"(?!v\d)")
    return any(own.search(re.sub("[-_]", "", file.name.lower())) for file in folder.glob("*"))


def blocks(network: keras.Model) -> list[list[keras.layers.Layer]]:
    """Groups the layers of a backbone into the blocks that `--unfreeze` counts.

    Returns:
        The blocks from input to output. What lies before the first named block is one (the stem),
        what lies behind the last another (the top).
    """
    groups: list[list[keras.layers.Layer]] = [[]]
    current = None
    for layer in network.layers:
        match = _BLOCK.match(layer.name)
        name = match.group(1) if match else None
        if name != current and (name is not None or _is_top(layer, network)):
            groups.append([])
            current = name
        groups[-1].append(layer)
    return [group for group in groups if any(layer.weights for layer in group)]


def _is_top(layer: keras.layers.Layer, network: keras.Model) -> bool:
    index = network.layers.index(layer)
    return not any(_BLOCK.match(later.name) for later in network.layers[index:])


def pyramid(network: keras.Model) -> dict[int, list[str]]:
    """Names the layers whose grids are worth reading: where each block ends.

    Returns:
        By stride (4, 8, 16, 32, ...), the last layer of every block whose grid has that stride,
        from input to output.
    """
    ends = [group[-1] for group in blocks(network) if len(group[-1].output.shape) == 4]
    probe = keras.Model(network.input, [end.output for end in ends])
    side = 8 * STRIDE
    shapes = probe.compute_output_spec(keras.KerasTensor((1, side, side, 3)))
    levels: dict[int, list[str]] = {}
    for end, grid in zip(ends, shapes, strict=True):
        levels.setdefault(2 ** round(math.log2(side / grid.shape[1])), []).append(end.name)
    return levels


def split(network: keras.Model, num_blocks: int) -> tuple[keras.Model, keras.Model] | None:
    """Cuts a backbone in two before its last blocks; both parts share its layers.

    Args:
        network: A functional model; its outputs are in order from input to output.
        num_blocks: How many blocks the second part has, counted from the output.

    Returns:
        A model from images to a list of the grid at the cut and the outputs before it, and a
        model from that grid to a list of the outputs behind it; Keras unpacks a list of one. None
        where no single grid lies there, or no block is left before it.
    """
    before = blocks(network)[:-num_blocks]
    if not before or len(before) == len(blocks(network)):
        return None
    place = {layer.name: k for k, layer in enumerate(network.layers)}
    end = before[-1][-1]
    early: list[keras.KerasTensor] = []
    late: list[keras.KerasTensor] = []
    for output in network.outputs:
        is_late = place[output._keras_history.operation.name] > place[end.name]
        (late if is_late else early).append(output)
    try:
        # Without names Keras would count, and `layers.csv` would not go on when a run is resumed.
        trunk = keras.Model(network.input, [end.output, *early], name=f"{network.name}_trunk")
        return trunk, keras.Model(end.output, late, name=network.name)
    except ValueError:  # Something else leads past the cut, as in a backbone with long branches.
        return None


def _efficientnet_lite0() -> keras.Model:
    # Table 1 of https://arxiv.org/abs/1905.11946 without squeeze-and-excitation; "Lite" as in
    # https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
    return EfficientNetLiteBackbone(
        include_rescaling=False,
        width_coefficient=1.0,
        depth_coefficient=1.0,
        stackwise_kernel_sizes=[3, 3, 5, 3, 5, 5, 3],
        stackwise_num_repeats=[1, 2, 2, 3, 3, 4, 1],
        stackwise_input_filters=[32, 16, 24, 40, 80, 112, 192],
        stackwise_output_filters=[16, 24, 40, 80, 112, 192, 320],
        stackwise_expansion_ratios=[1, 6, 6, 6, 6, 6, 6],
        stackwise_strides=[1, 2, 2, 2, 1, 2, 1],
        input_shape=(None, None, 3),
        name=BUILT_IN,
    )


def _application(name: str, weights: str | None) -> Backbone:
    application = name.removeprefix(ONLINE)
    make: Callable[..., keras.Model] = getattr(keras.applications, application)
    network = make(include_top=False, weights=weights, input_shape=(None, None, 3))
    return Backbone(ImageNormalization(**(APPLICATIONS[application] or {})), network)
