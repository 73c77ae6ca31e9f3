"""How far a detector is from the truth."""

import keras
from keras import ops

from dlapps import boxes as geometry
from dlapps.layers._task_alignment import assigned


@keras.saving.register_keras_serializable(package="dlapps")
class DetectionLoss(keras.layers.Layer):
    """Compares what the cells of a detector say with the boxes that are there.

    Each box is assigned to the cells that see it best. Those learn its place, by CIoU and by the
    distribution of each side (distribution focal loss, Li et al. 2020,
    https://arxiv.org/abs/2006.04388), and are to be as sure of its class as their box is good;
    all others are to be sure of nothing.

    Call arguments:
        sides: `(batch, cells, 4, bins)` float logits of the distances, in strides.
        logits: `(batch, cells, classes)` float.
        cells: `(batch, cells, 3)` float, x and y of the centres and the stride, pixels; not less
            than 10 cells.
        boxes: `(batch, boxes, 4)` float, the true boxes, pixels.
        labels: `(batch, boxes)` int, their classes; -1 where there is no box.

    Returns:
        `(batch, 4)` float32: the sums over the cells of the losses of place, distribution and
        class, and the sum of what the cells should be sure of, by which to divide them.
    """

    def __init__(self, **kwargs):
        # Without autocast: in half a precision pixels beyond 2048 are even numbers.
        super().__init__(autocast=False, **kwargs)

    def call(self, sides, logits, cells, boxes, labels):
        sides, logits, cells, boxes = (
            ops.cast(each, "float32") for each in (sides, logits, cells, boxes)
        )
        strides = cells[..., 2:]
        found = geometry.around(cells[..., :2], expected(sides) * strides)
        chosen, weights = assigned(
            ops.stop_gradient(ops.sigmoid(logits)), ops.stop_gradient(found), cells, boxes, labels
        )
        weights = ops.stop_gradient(weights)
        truth = ops.take_along_axis(boxes, ops.expand_dims(chosen, -1), axis=1)
        label = ops.take_along_axis(labels, chosen, axis=1)
        sure = ops.one_hot(ops.maximum(label, 0), ops.shape(logits)[-1], dtype="float32")
        sure = sure * ops.expand_dims(weights, -1)  # (batch, cells, classes)
        place = weights * (1 - geometry.complete_iou(found, truth))
        aim = geometry.distances_to(truth, cells[..., :2]) / strides
        spread = weights * ops.mean(_distribution_loss(sides, aim), axis=-1)
        kind = ops.sum(_cross_entropy(logits, sure), axis=-1)
        losses = [ops.sum(each, axis=-1) for each in (place, spread, kind, weights)]
        return ops.stack(losses, axis=-1)

    def compute_output_spec(self, sides, logits, cells, boxes, labels):
        return keras.KerasTensor((sides.shape[0], 4), "float32")


def expected(sides):
    """Returns the distances that distributions mean, in strides.

    Args:
        sides: `(..., 4, bins)` float logits.

    Returns:
        `(..., 4)` float in [0, bins - 1].
    """
    distances = ops.arange(sides.shape[-1], dtype="float32")
    return ops.matmul(ops.softmax(sides), ops.expand_dims(distances, -1))[..., 0]


def _distribution_loss(sides, aim):
    """Returns the cross-entropy with the two whole distances beside each aim, `(..., 4)`."""
    bins = sides.shape[-1]
    aim = ops.expand_dims(ops.clip(aim, 0.0, bins - 1.01), -1)
    # 1 at the aim, falling to 0 at a distance of 1: linear interpolation, without a gather.
    share = ops.maximum(1 - ops.abs(aim - ops.arange(bins, dtype="float32")), 0.0)
    return -ops.sum(share * ops.log_softmax(sides), axis=-1)


def _cross_entropy(logits, probabilities):
    return ops.relu(logits) - logits * probabilities + ops.log1p(ops.exp(-ops.abs(logits)))
