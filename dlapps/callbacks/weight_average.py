"""Validates and keeps the average of the weights, not the last."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from dlapps.callbacks._updates import (
    changing_weights,
    hook_updates,
    snapshot,
    unhook_updates,
    variable,
)


class WeightAverage(keras.callbacks.Callback):
    """Validates, saves and ends with a moving average of the weights.

    The average of the last steps is where the noise of single batches would cancel out, so the
    learning rate may stay high for longer (Polyak and Juditsky 1992,
    https://doi.org/10.1137/0330046; exponential as in https://arxiv.org/abs/1905.11946). Training
    itself goes on from the last weights: the average takes their place when validation begins,
    and gives way when the next epoch does. The statistics that layers keep, such as those of batch
    normalization, are averaged with the weights they belong to.

    It stands before callbacks that keep or save the weights at the end of an epoch.

    Args:
        decay: Weight of the past, in [0, 1), once there is enough of it: in the first steps it is
            `(1 + step) / (10 + step)`, so that the start is soon forgotten.
    """

    def __init__(self, decay: float = 0.99):
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be in [0, 1), got {decay}.")
        self.decay = decay
        self.steps = variable(0.0)
        # By the place in `_averaged`; made when training begins.
        self.averages: list[keras.Variable] = []
        self.restored: list[np.ndarray] | None = None
        self.last: list[np.ndarray] | None = None  # The last weights, while the average is in.

    def on_train_begin(self, logs=None):
        if not self.averages:
            values = self.restored or self._averaged()
            self.averages = [variable(value) for value in values]
        hook_updates(self.model, self)

    def on_train_end(self, logs=None):
        self._swap_in()
        self.last = None
        unhook_updates(self.model, self)

    def on_epoch_begin(self, epoch, logs=None):
        if self.last is not None:
            for weight, value in zip(self._averaged(), self.last, strict=True):
                weight.assign(value)
            self.last = None

    def on_test_begin(self, logs=None):
        self._swap_in()

    def on_epoch_end(self, epoch, logs=None):
        self._swap_in()

    def before(self, weights):
        """Needs nothing of the weights before an update; see `UpdateHook`."""

    def after(self, weights, seen):
        """Takes the new weights into the average; see `UpdateHook`."""
        self.steps.assign_add(1)
        decay = ops.minimum(self.decay, (1 + self.steps) / (10 + self.steps))
        share = ops.convert_to_tensor(1 - decay)
        for average, weight in zip(self.averages, self._averaged(), strict=True):
            apart = average.value - tf.cast(weight.value, "float32")
            # What is no number would stay in the average for ever.
            apart = tf.where(tf.math.is_finite(apart), apart, 0.0)
            # In place and in one operation, where `assign_add` of Keras makes a copy.
            tf.raw_ops.ResourceApplyGradientDescent(
                var=average.value.handle, alpha=share, delta=apart
            )

    def get_state(self):
        averages = snapshot(self.averages) or self.restored
        return {"steps": float(self.steps), "averages": averages, "last": self.last}

    def set_state(self, state):
        self.steps.assign(state["steps"])
        self.restored = state["averages"]
        self.last = state["last"]
        for average, value in zip(self.averages, self.restored or [], strict=False):
            average.assign(value)

    def _swap_in(self):
        if self.last is None and self.averages:
            weights = self._averaged()
            self.last = snapshot(weights)
            for weight, average in zip(weights, self.averages, strict=True):
                weight.assign(average)

    def _averaged(self):
        """Returns the weights that learn, and the statistics that their layers keep."""
        return [
            weight
            for weight in changing_weights(self.model)
            if keras.backend.is_float_dtype(weight.dtype)
        ]
