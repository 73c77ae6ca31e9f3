"""Keeps single batches from throwing the weights off."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from dlapps.callbacks._updates import innermost, variable

WAYS = ("value", "norm", "global_norm", "auto")


class GradientClipping(keras.callbacks.Callback):
    """Shortens gradients that are too long, and records how long they are.

    Clipping keeps the exploding gradients of recurrent nets, and of outliers elsewhere, from
    undoing what was learnt (Pascanu et al. 2013, https://arxiv.org/abs/1211.5063). It acts inside
    the compiled step, after the gradients of an accumulation have been added up and a float16
    loss has been scaled back.

    It adds to the logs of an epoch: `gradient_norm` and `gradient_norm_max`, the mean and largest
    global norm before clipping; where it clips, `clip_threshold`, the mean, and `clipped`, the
    part of the updates that were clipped, in [0, 1]. Norms that are not finite are not counted.

    Args:
        by: "value" limits every number to plus or minus the threshold; "norm" shortens each
            tensor to the threshold; "global_norm" all tensors together, which keeps their
            direction; "auto" is "global_norm" with the `percentile` of the norms seen so far as
            the threshold (AutoClip, Seetharaman et al. 2020, https://arxiv.org/abs/2007.14469);
            None only records.
        threshold: For all but "auto" and None, above 0.
        percentile: For "auto", of the norms, in (0, 100].
        window: For "auto", how many of the latest norms count.
    """

    def __init__(
        self,
        by: str | None = "global_norm",
        threshold: float | None = None,
        percentile: float = 10.0,
        window: int = 1000,
    ):
        super().__init__()
        if by is not None and by not in WAYS:
            raise ValueError(f"by must be None or one of {', '.join(WAYS)}, got {by!r}.")
        if by in ("value", "norm", "global_norm") and not (threshold and threshold > 0):
            raise ValueError(f"threshold must be above 0 to clip by {by}, got {threshold}.")
        if not 0 < percentile <= 100:
            raise ValueError(f"percentile must be in (0, 100], got {percentile}.")
        if window < 1:
            raise ValueError(f"window must be at least 1 update, got {window}.")
        self.by = by
        self.threshold = threshold
        self.percentile = percentile
        self.window = window
        # Of this epoch: updates, sum and maximum of norms, sum of thresholds, updates clipped.
        self.sums = variable(np.zeros(5))
        self.norms = variable(np.zeros(window if by == "auto" else 0))
        self.seen = variable(0.0)

    def on_train_begin(self, logs=None):
        vars(innermost(self.model.optimizer))["_clip_gradients"] = self._clip
        self.model.make_train_function(force=True)

    def on_train_end(self, logs=None):
        vars(innermost(self.model.optimizer)).pop("_clip_gradients", None)
        self.model.make_train_function(force=True)

    def on_epoch_end(self, epoch, logs=None):
        updates, total, largest, thresholds, clipped = ops.convert_to_numpy(self.sums).tolist()
        self.sums.assign(np.zeros(5))
        if updates and logs is not None:
            logs |= {"gradient_norm": total / updates, "gradient_norm_max": largest}
            if self.by is not None:
                logs |= {"clip_threshold": thresholds / updates, "clipped": clipped / updates}

    def get_state(self):
        return {"sums": self.sums.numpy(), "norms": self.norms.numpy(), "seen": float(self.seen)}

    def set_state(self, state):
        self.sums.assign(state["sums"])
        self.norms.assign(state["norms"])
        self.seen.assign(state["seen"])

    def _clip(self, gradients):
        """Takes the place of the optimizer's own clipping, whose settings stay in force."""
        # Those of an embedding hold a row for each use of an id, to be added up first.
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
        # Half of the sum of squares: in one operation, and without a copy of the tensor.
        halves = tf.stack([tf.nn.l2_loss(tf.cast(each, "float32")) for each in dense])
        norm = tf.sqrt(2 * tf.reduce_sum(halves))
        threshold = self._threshold(norm)
        clipped = tf.zeros((), "bool")
        if self.by == "value":
            clipped = tf.reduce_any(
                tf.stack([ops.max(ops.abs(each)) for each in dense]) > threshold
            )
            gradients = [ops.clip(each, -threshold, threshold) for each in dense]
        elif self.by is not None:
            lengths = tf.sqrt(2 * halves) if self.by == "norm" else norm
            clipped = tf.reduce_any(lengths > threshold)
            shares = tf.minimum(1.0, threshold / tf.maximum(lengths, 1e-30))
            shares = tf.unstack(shares) if self.by == "norm" else [shares] * len(dense)
            gradients = [
                each * tf.cast(share, each.dtype) for each, share in zip(dense, shares, strict=True)
            ]
        self._record(norm, threshold, clipped)
        own = type(innermost(self.model.optimizer))._clip_gradients
        return own(innermost(self.model.optimizer), gradients)

    def _threshold(self, norm):
        if self.by != "auto":
            return ops.convert_to_tensor(self.threshold or 0.0, "float32")
        # The norm itself counts, so that the first is never clipped.
        place = ops.cast(self.seen, "int32") % self.window
        here = ops.equal(ops.arange(self.window), place)
        norms = ops.where(here & ops.isfinite(norm), norm, self.norms.value)
        self.norms.assign(norms)
        self.seen.assign_add(ops.cast(ops.isfinite(norm), "float32"))
        known = ops.minimum(self.seen.value, float(self.window))
        ordered = ops.sort(
            ops.where(ops.arange(self.window) < ops.cast(known, "int32"), norms, 1e38)
        )
        # Between the two nearest ranks, as numpy's percentile.
        rank = self.percentile / 100 * ops.maximum(known - 1, 0.0)
        low = ops.floor(rank)
        below = ops.take(ordered, ops.cast(low, "int32"))
        above = ops.take(ordered, ops.cast(ops.ceil(rank), "int32"))
        return below + (rank - low) * (above - below)

    def _record(self, norm, threshold, clipped):
        before = self.sums.value
        new = ops.stack([1.0, norm, norm, threshold, ops.cast(clipped, "float32")])
        largest = np.array([False, False, True, False, False])
        sums = ops.where(largest, ops.maximum(before, new), before + new)
        self.sums.assign(ops.where(ops.isfinite(norm), sums, before))
