"""Turns the last grid of an anchor-based YOLO into boxes and scores."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="dlapps")
class AnchorDecoding(keras.layers.Layer):
    """Reads boxes and scores from a grid, as Darknet's `yolo` and `region` sections do.

    Every cell speaks of one box an anchor: its centre within the cell, its sides as factors of
    the anchor's, how sure it is that something is there, and what (Redmon and Farhadi 2018,
    https://arxiv.org/abs/1804.02767).

    Args:
        anchors: Pairs of width and height.
        in_cells: Whether anchors are measured in cells, as YOLOv2's, not in pixels.
        softmax: Whether the classes exclude one another, as YOLOv2's.
        scale: How far a centre may lie, as a part of the cell around which it moves, at least 1.
        squared: Whether the grid holds values in [0, 1] already, and sides are four times their
            square, as in scaled YOLOv4 (`new_coords`).

    Call arguments:
        grid: `(batch, rows, columns, anchors * (5 + classes))` float.
        images: `(batch, height, width, channels)`, of which only the size counts.

    Returns:
        boxes: `(batch, rows * columns * anchors, 4)` float32, pixels of the images.
        scores: `(batch, rows * columns * anchors, classes)` float32 in [0, 1].
    """

    def __init__(self, anchors, in_cells=False, softmax=False, scale=1.0, squared=False, **kwargs):
        # Without autocast: in half a precision, pixels beyond 2048 are even numbers only.
        super().__init__(autocast=False, **kwargs)
        self.anchors = [tuple(float(side) for side in anchor) for anchor in anchors]
        if not self.anchors or any(len(anchor) != 2 for anchor in self.anchors):
            raise ValueError(f"anchors must be pairs of width and height, got {anchors}.")
        if scale < 1:
            raise ValueError(f"scale must be at least 1, got {scale}.")
        self.in_cells = in_cells
        self.softmax = softmax
        self.scale = scale
        self.squared = squared

    def build(self, grid_shape, images_shape):
        values = grid_shape[-1]
        if values % len(self.anchors) or values // len(self.anchors) < 6:
            raise ValueError(
                f"grid must have {len(self.anchors)} times 5 + classes channels, got {values}."
            )

    def call(self, grid, images):
        rows, columns = ops.shape(grid)[1:3]
        values = grid.shape[-1] // len(self.anchors)
        grid = ops.reshape(
            ops.cast(grid, "float32"), (-1, rows * columns, len(self.anchors), values)
        )
        cell = ops.cast(ops.stack(ops.shape(images)[2:0:-1]), "float32")
        cell = cell / ops.cast(ops.stack([columns, rows]), "float32")
        anchors = ops.convert_to_tensor(self.anchors, "float32")
        anchors = anchors * cell if self.in_cells else anchors
        inside, factors, sure, classes = ops.split(grid, [2, 4, 5], axis=-1)
        if self.squared:
            sides = 4 * ops.square(factors) * anchors
        else:
            inside, sure = ops.sigmoid(inside), ops.sigmoid(sure)
            sides = ops.exp(factors) * anchors
            classes = ops.softmax(classes) if self.softmax else ops.sigmoid(classes)
        centres = (inside - 0.5) * self.scale + 0.5 + _corners(rows, columns)
        centres = centres * cell
        boxes = ops.concatenate([centres - sides / 2, centres + sides / 2], axis=-1)
        shape = (-1, rows * columns * len(self.anchors))
        return ops.reshape(boxes, (*shape, 4)), ops.reshape(sure * classes, (*shape, values - 5))

    def compute_output_spec(self, grid, images):
        batch, rows, columns, channels = grid.shape
        boxes = rows * columns * len(self.anchors) if rows and columns else None
        classes = channels // len(self.anchors) - 5
        shapes = ((batch, boxes, 4), (batch, boxes, classes))
        return tuple(keras.KerasTensor(shape, "float32") for shape in shapes)

    def get_config(self):
        return {
            **super().get_config(),
            "anchors": self.anchors,
            "in_cells": self.in_cells,
            "softmax": self.softmax,
            "scale": self.scale,
            "squared": self.squared,
        }


def _corners(rows, columns):
    """Returns the column and the row of every cell, `(rows * columns, 1, 2)` float32."""
    x, y = ops.meshgrid(ops.arange(columns), ops.arange(rows))
    places = ops.stack([ops.reshape(x, (-1, 1)), ops.reshape(y, (-1, 1))], axis=-1)
    return ops.cast(places, "float32")
