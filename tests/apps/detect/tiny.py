"""A backbone that is built in no time, and drawn pictures that a tiny detector learns by heart."""

import json

import keras
import numpy as np
from click.testing import CliRunner
from PIL import Image, ImageDraw

from dlapps import backbones
from dlapps.cli import cli
from dlapps.layers.image_normalization import ImageNormalization

SIDE = 64
LABELS = ["disc", "square"]
# Name, filters and stride of what the backbone consists of.
PARTS = (("stem", 8, 4), ("block1", 8, 2), ("block2", 12, 2), ("block3", 16, 2))
# What makes a training on the pictures short.
TINY = (
    "--image-size", SIDE, "--width", 8, "--batch-size", 4, "--precision", "float32",
    "--augment", "none", "--checkpoint-seconds", 0,
)  # fmt: skip


def backbone(name=backbones.BUILT_IN, policy=None):
    """Stands in for `backbones.build`: a stem of stride 4 and three blocks."""
    with backbones._policy(policy or keras.config.dtype_policy()):
        grid = inputs = keras.Input((None, None, 3))
        for part, filters, stride in PARTS:
            grid = keras.layers.Conv2D(
                filters, 2 * stride, stride, padding="same", use_bias=False, name=f"{part}_conv"
            )(grid)
            grid = keras.layers.BatchNormalization(name=f"{part}_norm")(grid)
            grid = keras.layers.ReLU(name=f"{part}_relu")(grid)
        normalization = ImageNormalization((127.0,) * 3, (128.0,) * 3)
        return backbones.Backbone(normalization, keras.Model(inputs, grid, name=name))


def load_pretrained(name, network):
    """Stands in for `backbones.load_pretrained`: the same weights each time."""
    rng = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D):
            shape = layer.kernel.shape
            layer.set_weights([rng.normal(scale=np.prod(shape[:3]) ** -0.5, size=shape)])


def pretrained():
    """Returns a tiny backbone with these weights."""
    made = backbone(backbones.BUILT_IN)
    load_pretrained(backbones.BUILT_IN, made.network)
    return made


def stand_in(patch):
    """Makes every backbone the tiny one, as long as a `MonkeyPatch` lasts."""
    patch.setattr(backbones, "build", backbone)
    patch.setattr(backbones, "load_pretrained", load_pretrained)


def drawn(seed):
    """Draws a red disc, a blue square or both on a noisy ground; returns their boxes, too."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(90, 150, (SIDE, SIDE, 3)).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    boxes = []
    for half, kind in enumerate(rng.permutation(2)[: 1 + seed % 2]):
        left, top = int(rng.integers(2, 10)) + 30 * half, int(rng.integers(2, 36))
        side = int(rng.integers(18, 24))
        corners = (left, top, left + side - 1, top + side - 1)
        if kind == 0:
            pen.ellipse(corners, fill=(220, 30, 30))
        else:
            pen.rectangle(corners, fill=(30, 30, 220))
        boxes.append((int(kind), (left, top, left + side, top + side)))
    return image, boxes


def write_yolo(root, train=12, validation=4, labels=LABELS):
    """Writes drawn pictures as a dataset in YOLO's format; returns its `data.yaml`."""
    for split, numbers in (("train", range(train)), ("val", range(100, 100 + validation))):
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True, exist_ok=True)
        for number in numbers:
            image, boxes = drawn(number)
            image.save(root / "images" / split / f"{number}.png")
            lines = [
                f"{kind} {(x + u) / 2 / SIDE} {(y + v) / 2 / SIDE} {(u - x) / SIDE} "
                f"{(v - y) / SIDE}\n"
                for kind, (x, y, u, v) in boxes
            ]
            (root / "labels" / split / f"{number}.txt").write_text("".join(lines))
    names = ", ".join(labels)
    (root / "data.yaml").write_text(f"train: images/train\nval: images/val\nnames: [{names}]\n")
    return root / "data.yaml"


def detect(*words):
    """Runs `dlapps detect`; returns what `CliRunner.invoke` does."""
    return CliRunner().invoke(cli, ["detect", *map(str, words)])


def record(run):
    """Returns what a run says of itself."""
    return json.loads((run / "run.json").read_text())
