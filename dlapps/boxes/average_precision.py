"""How well a detector ranks what it finds, measured while it trains."""

import keras
import numpy as np
from keras import ops

from dlapps.boxes import geometry

# The overlaps at which COCO counts a box as found.
OVERLAPS = tuple(float(x) for x in np.linspace(0.5, 0.95, 10))
# Scores are told apart up to this many steps, which moves the measure by about 0.001.
STEPS = 500


@keras.saving.register_keras_serializable(package="dlapps")
class AveragePrecision(keras.metrics.Metric):
    """Measures average precision inside the graph, by class and by the overlap asked for.

    The boxes found in a picture are matched with the true ones from the surest on, each true box
    once, and precision is averaged over 101 recalls, as COCO does. pycocotools, which `dlapps
    evaluate` asks, knows of crowds, too, and no steps of the score.

    Args:
        num_classes: Classes of the detector.
    """

    def __init__(self, num_classes, name="average_precision", **kwargs):
        super().__init__(name=name, **kwargs)
        self.num_classes = num_classes
        shape = (len(OVERLAPS), num_classes, STEPS)
        self.hits = self.add_variable(shape, "zeros", name="hits")
        self.found = self.add_variable((num_classes, STEPS), "zeros", name="found")
        self.true = self.add_variable((num_classes,), "zeros", name="true")

    def update_state(self, found, true):
        """Adds the pictures of a batch.

        Args:
            found: `boxes` `(batch, found, 4)`, `scores` `(batch, found)`, the surest first, and
                `labels` `(batch, found)` int, -1 where there is none.
            true: `boxes` `(batch, true, 4)` and `labels` `(batch, true)` int, -1 likewise.
        """
        _, scores, labels = found
        hits = matches(found, true)  # (overlaps, batch, found)
        counted = ops.concatenate([hits, ops.ones_like(hits[:1])], axis=0)
        counted = ops.where(labels >= 0, counted, 0.0)
        step = ops.cast(ops.clip(scores * STEPS, 0, STEPS - 1), "int32")
        place = ops.reshape(ops.maximum(labels, 0) * STEPS + step, (-1,))
        rows = ops.transpose(ops.reshape(counted, (len(OVERLAPS) + 1, -1)))
        sums = ops.transpose(ops.segment_sum(rows, place, self.num_classes * STEPS))
        self.hits.assign_add(ops.reshape(sums[:-1], self.hits.shape))
        self.found.assign_add(ops.reshape(sums[-1], self.found.shape))
        one_hot = ops.one_hot(true[1], self.num_classes, dtype="float32")  # None for -1
        self.true.assign_add(ops.sum(one_hot, axis=(0, 1)))

    def result(self):
        """Returns the mean over the classes that are there: `(overlaps,)` in [0, 1]."""
        hits = ops.cumsum(ops.flip(self.hits, -1), axis=-1)  # From the surest score on.
        found = ops.cumsum(ops.flip(self.found, -1), axis=-1)
        precision = hits / ops.maximum(found, 1.0)
        # What is lost at one recall and regained at a higher one does not count as lost.
        precision = _highest_from_here_on(precision)
        recall = hits / ops.maximum(self.true, 1.0)[:, None]
        reached = ops.floor(100 * recall + 1e-3) + 1  # Of the recalls 0, 0.01, ... 1.
        gained = reached - ops.pad(reached, ((0, 0), (0, 0), (1, 0)))[..., :-1]
        by_class = ops.sum(gained * precision, axis=-1) / 101
        there = ops.cast(self.true > 0, "float32")
        return ops.sum(by_class * there, axis=-1) / ops.maximum(ops.sum(there), 1.0)

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}


def _highest_from_here_on(precision):
    """Returns the maximum over this place and all behind it, on the last axis.

    Each round looks twice as far ahead; `ops.associative_scan` would be a thousand operations,
    which take a second to trace.
    """
    reach, steps = 1, precision.shape[-1]
    while reach < steps:
        ahead = ops.pad(precision[..., reach:], ((0, 0), (0, 0), (0, reach)))
        precision = ops.maximum(precision, ahead)
        reach *= 2
    return precision


def matches(found, true):
    """Says which of the boxes found are true, at each of `OVERLAPS`.

    Args:
        found: As in `AveragePrecision.update_state`.
        true: As there.

    Returns:
        `(overlaps, batch, found)` float32, 1 or 0.
    """
    boxes, _, labels = found
    overlap = geometry.iou(ops.expand_dims(boxes, 2), ops.expand_dims(true[0], 1))
    same = ops.expand_dims(labels, 2) == ops.expand_dims(true[1], 1)
    there = ops.logical_and(ops.expand_dims(labels, 2) >= 0, ops.expand_dims(true[1], 1) >= 0)
    overlap = ops.where(ops.logical_and(same, there), overlap, 0.0)  # (batch, found, true)
    least = ops.reshape(ops.convert_to_tensor(OVERLAPS, "float32"), (-1, 1))

    def match(index, state):
        free, hits = state
        left = free * overlap[:, index]  # (overlaps, batch, true)
        is_hit = ops.cast(ops.max(left, axis=-1) >= least, "float32")
        taken = ops.one_hot(ops.argmax(left, axis=-1), most, dtype="float32")
        free = free * (1 - taken * ops.expand_dims(is_hit, -1))
        return free, hits + ops.expand_dims(is_hit, -1) * ops.one_hot(index, count, dtype="float32")

    batch, count, most = ops.shape(overlap)
    free = ops.ones((len(OVERLAPS), batch, most), "float32")
    hits = ops.zeros((len(OVERLAPS), batch, count), "float32")
    return ops.fori_loop(0, count, match, (free, hits))[1]
