"""The network of the detector, and what loads it and those of Darknet."""

from types import MappingProxyType

import keras
import numpy as np
from keras import ops

from dlapps import backbones, saving
from dlapps.boxes import geometry
from dlapps.boxes.average_precision import AveragePrecision
from dlapps.darknet.detector import DarknetDetector
from dlapps.darknet.loading import load_darknet
from dlapps.errors import UserError
from dlapps.layers.detection_head import DetectionHead
from dlapps.layers.detection_loss import DetectionLoss, expected
from dlapps.layers.non_max_suppression import NonMaxSuppression
from dlapps.layers.path_aggregation import PathAggregation
from dlapps.weights import yolov4_tiny

STRIDES = (8, 16, 32)
# How much place, distribution and class count in the loss: YOLOv8's weights; boxes matter most.
WEIGHTS = {"place": 7.5, "distribution": 1.5, "class": 0.5}


@keras.saving.register_keras_serializable(package="dlapps")
class YOLODetector(keras.Model):
    """Finds things in a picture: where they are and what they are, in one look.

    A backbone looks at three scales, a neck lets the scales know of each other, and every cell of
    every grid says whether something has its middle about here, what it is and how far its sides
    are. There are no anchors: a cell is a point.

    Args:
        labels: Names of the classes, in the order of the scores.
        backbone: A name that `backbones.build` knows.
        image_size: Longer side of the images that it is meant for, pixels, a multiple of 32.
        width: Channels of the neck's finest grid, a multiple of 4.
        depth: Pairs of convolutions in each block of the neck.

    Call arguments:
        images: `(batch, height, width, 3)`, 0 to 255, RGB; sides are multiples of 32.
        training: Whether to normalise by the batch, outside the backbone.

    Returns:
        A dictionary of `sides`, `(batch, cells, 4, 16)` float32 logits of the distances to the
        left, top, right and bottom, in strides, and `logits`, `(batch, cells, labels)` float32;
        but in training also of `boxes` and `scores`, see `predictions`.
    """

    def __init__(
        self,
        labels,
        backbone=backbones.BUILT_IN,
        image_size=320,
        width=64,
        depth=1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if image_size < 1 or image_size % backbones.STRIDE:
            raise ValueError(f"image_size must be a multiple of 32, got {image_size}.")
        if width < 4 or width % 4:
            raise ValueError(f"width must be a multiple of 4 and at least 4, got {width}.")
        self.labels = list(labels)
        self.backbone = backbone
        self.image_size = image_size
        self.width = width
        self.depth = depth
        policy = self.dtype_policy
        built = backbones.build(backbone, policy)
        self.normalization = built.normalization
        self.network = _with_grids(built.network)
        self.neck = PathAggregation(
            (width, 3 * width // 2, 2 * width), depth, dtype=policy, name="neck"
        )
        # A handful of things in a picture, and so many cells of a stride that could say so.
        priors = [min(0.1, 5 / len(self.labels) * (stride / image_size) ** 2) for stride in STRIDES]
        self.heads = [
            DetectionHead(len(self.labels), filters=width, prior=prior, dtype=policy,
                          name=f"head_{stride}")
            for stride, prior in zip(STRIDES, priors, strict=True)
        ]  # fmt: skip
        self.detection_loss = DetectionLoss(dtype="float32")
        # As many and as unsure as a measure of average precision wants to see.
        self.suppression = NonMaxSuppression(confidence=0.005, iou=0.6, max_detections=100)
        # A mapping of its own, unseen by Keras: what a training measures is no part of the model.
        measures = [*map(_mean, WEIGHTS), AveragePrecision(len(self.labels))]
        self.measures = MappingProxyType({metric.name: metric for metric in measures})

    def build(self, images_shape):
        shapes = [(None, None, None, grid.shape[-1]) for grid in self.network.outputs]
        self.neck.build(*shapes)
        for head, channels in zip(self.heads, self.neck.filters, strict=True):
            head.build((None, None, None, channels))

    def call(self, images, training=None):
        # The backbone keeps its statistics: those of small batches are worse than none.
        grids = self.network(self.normalization(images), training=False)
        grids = self.neck(*grids, training=training)
        said = [head(grid, training=training) for head, grid in zip(self.heads, grids, strict=True)]
        sides, logits = (ops.concatenate(each, axis=1) for each in zip(*said, strict=True))
        if training:
            return {"sides": sides, "logits": logits}
        cells = _cells(images)
        boxes = geometry.around(cells[..., :2], expected(sides) * cells[..., 2:])
        scores = ops.sigmoid(logits)
        return {"sides": sides, "logits": logits, "boxes": boxes, "scores": scores}

    def predictions(self, images):
        """Says for every cell what it sees.

        Args:
            images: As in a call.

        Returns:
            boxes: `(batch, cells, 4)` float32, pixels of the images.
            scores: `(batch, cells, labels)` float32 in [0, 1].
        """
        said = self(images, training=False)
        return said["boxes"], said["scores"]

    def unfreeze(self, num_blocks):
        """Lets the last blocks of the backbone learn; its batch norms keep their statistics.

        Args:
            num_blocks: How many blocks, counted from the output; 0 for none.
        """
        for distance, group in enumerate(reversed(backbones.blocks(self.network))):
            for layer in group:
                layer.trainable = distance < num_blocks

    @property
    def metrics(self):
        return [*super().metrics, *self.measures.values()]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Returns the weighted sum of the losses of place, distribution and class.

        Args:
            x: The images.
            y: `boxes` `(batch, boxes, 4)`, pixels, and `labels` `(batch, boxes)` int, -1 where
                there is no box.
            y_pred: What a call returned.
            sample_weight: Not supported.
            training: Whether this is a step of training.
        """
        boxes, labels = y
        cells = ops.broadcast_to(_cells(x), (*ops.shape(y_pred["sides"])[:2], 3))
        sums = self.detection_loss(y_pred["sides"], y_pred["logits"], cells, boxes, labels)
        total = ops.sum(sums, axis=0)
        # The last is what all cells together should be sure of, or 1 if there is nothing at all.
        parts = total[:3] / ops.maximum(total[3], 1.0)
        for name, part in zip(WEIGHTS, ops.unstack(parts), strict=True):
            self.measures[name].update_state(part)
        return ops.sum(parts * ops.convert_to_tensor(list(WEIGHTS.values()), "float32"))

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Returns the running losses, and in validation average precision.

        Args:
            x: The images.
            y: As in `compute_loss`.
            y_pred: What a call returned, with `boxes` and `scores` in validation.
            sample_weight: Not supported.
        """
        *parts, average_precision = self.measures.values()
        losses = [self.metrics[0], *parts]  # The first is the mean of the loss.
        measures = {metric.name: metric.result() for metric in losses}
        if "boxes" in y_pred:
            found = self.suppression(y_pred["boxes"], y_pred["scores"])
            average_precision.update_state(found, y)
            precision = average_precision.result()
            measures |= {"map50": precision[0], "map50_95": ops.mean(precision)}
        return measures

    def get_config(self):
        return {
            **super().get_config(),
            "labels": self.labels,
            "backbone": self.backbone,
            "image_size": self.image_size,
            "width": self.width,
            "depth": self.depth,
        }


def _mean(name):
    return keras.metrics.Mean(name=name)


def _cells(images):
    """Returns x and y of the cells' centres and their stride, `(1, cells, 3)` float32 pixels."""
    height, width = ops.shape(images)[1:3]
    levels = []
    for stride in STRIDES:
        rows, columns = (ops.arange(0, side, stride) for side in (height, width))
        x, y = ops.meshgrid(ops.cast(columns, "float32"), ops.cast(rows, "float32"))
        x, y = (ops.reshape(each + stride / 2, (-1,)) for each in (x, y))
        levels.append(ops.stack([x, y, ops.full_like(x, stride)], axis=-1))
    return ops.expand_dims(ops.concatenate(levels, axis=0), 0)


def _with_grids(network: keras.Model) -> keras.Model:
    levels = backbones.pyramid(network)
    names = [levels[stride][-1] for stride in STRIDES]
    grids = [network.get_layer(name).output for name in names]
    return keras.Model(network.input, grids, name=network.name)


def new_model(
    labels: list[str], backbone: str, image_size: int, width: int, depth: int
) -> YOLODetector:
    """Makes a detector with a pretrained backbone, and neck and heads that know nothing yet.

    Args:
        labels: Names of the classes.
        backbone: A name that `backbones.build` knows.
        image_size: Longer side of the images, pixels.
        width: Channels of the neck's finest grid.
        depth: Pairs of convolutions in each block of the neck.

    Raises:
        UserError: If the weights cannot be had.
    """
    model = YOLODetector(labels, backbone, image_size, width, depth)
    model.build((None, image_size, image_size, 3))
    backbones.load_pretrained(backbone, model.network)
    return model


def adapted(start: YOLODetector, labels: list[str], image_size: int) -> YOLODetector:
    """Makes a detector of other classes from a trained one.

    Args:
        start: All that it knows but the classes is taken over, and those of the same name.
        labels: Names of the classes.
        image_size: Longer side of the images, pixels.
    """
    model = YOLODetector(labels, start.backbone, image_size, start.width, start.depth)
    model.build((None, image_size, image_size, 3))
    known = [(k, start.labels.index(name)) for k, name in enumerate(labels) if name in start.labels]
    own, old = np.array(known, int).reshape(-1, 2).T
    for new, before in zip(model.heads, start.heads, strict=True):
        for part, old_part in zip(
            [*new.place, *new.kind, new.sides],
            [*before.place, *before.kind, before.sides],
            strict=True,
        ):
            part.set_weights(old_part.get_weights())
        # A class that is new is as unlikely as any is at the start.
        fresh = new.logits.get_weights()
        for weight, value in zip(fresh, before.logits.get_weights(), strict=True):
            weight[..., own] = value[..., old]
        new.logits.set_weights(fresh)
    model.network.set_weights(start.network.get_weights())
    model.neck.set_weights(start.neck.get_weights())
    return model


def load_model(name: str) -> YOLODetector | DarknetDetector:
    """Loads a detector.

    Args:
        name: A run folder, a `.keras` file, or `coco`.

    Raises:
        UserError: If it is none of these.
    """
    model = saving.load(name, keras.Model, {"coco": _coco})
    if not isinstance(model, YOLODetector | DarknetDetector):
        raise UserError(f"{name} holds a {type(model).__name__}, which does not find boxes.")
    return model


def _coco() -> DarknetDetector:
    return load_darknet(*map(yolov4_tiny.file, yolov4_tiny.SHA256))
