"""Tells whether the learning rate fits the weights."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from dlapps.callbacks._updates import (
    hook_updates,
    innermost,
    unhook_updates,
    variable,
    weight_names,
    will_update,
)


class UpdateRatioLogger(keras.callbacks.Callback):
    """Logs how large the updates of each weight are, beside the weight itself.

    A ratio of about 1e-3 is right; far above, the learning rate is too high, far below, too low
    (CS231n, https://cs231n.github.io/neural-networks-3/#ratio). The update is the true change of
    the weights, so momentum, clipping and weight decay are in it, and steps that a float16 loss
    skips are not. Weights that are 0 have no ratio.

    It adds to the logs of an epoch `update_ratio_min`, `update_ratio_mean` and
    `update_ratio_max`, of the means by tensor. `layers` holds the last epoch: by the name of a
    tensor, the minimum, mean and maximum of its ratio, under the same names.

    Args:
        every: Updates from one that is measured to the next; the first of an epoch always is.
    """

    def __init__(self, every: int = 20):
        super().__init__()
        if every < 1:
            raise ValueError(f"every must be at least 1 update, got {every}.")
        self.every = every
        self.layers: dict[str, dict[str, float]] = {}
        self.names: list[str] = []
        # Updates of this epoch, and a row a tensor: minimum, sum, maximum and count of its ratios.
        # Made when training begins: then the tensors are known.
        self.done = variable(0.0)
        self.ratios: keras.Variable | None = None
        # The weights before an update that is measured; the others leave it as it is.
        self.kept: list[keras.Variable] = []
        self.restored: np.ndarray | None = None

    def on_train_begin(self, logs=None):
        # Not within the step: it would take TensorFlow seconds there.
        self._know(self.model.trainable_variables)
        hook_updates(self.model, self)

    def on_train_end(self, logs=None):
        unhook_updates(self.model, self)

    def on_epoch_end(self, epoch, logs=None):
        if self.ratios is None:
            return
        least, total, most, count = ops.convert_to_numpy(self.ratios).T
        known = count > 0
        mean = total[known] / count[known]
        rows = zip(np.array(self.names)[known], least[known], mean, most[known], strict=True)
        self.layers = {
            str(name): {
                "update_ratio_min": float(low),
                "update_ratio_mean": float(middle),
                "update_ratio_max": float(high),
            }
            for name, low, middle, high in rows
        }
        self._forget()
        if logs is not None and known.any():
            logs["update_ratio_min"] = float(mean.min())
            logs["update_ratio_mean"] = float(mean.mean())
            logs["update_ratio_max"] = float(mean.max())

    def before(self, weights):
        """Copies the weights where the update is to be measured; see `UpdateHook`."""
        self._know(weights)
        updated = will_update(innermost(self.model.optimizer))
        due = ops.logical_and(updated, ops.equal(self.done % self.every, 0))

        def keep():
            for kept, weight in zip(self.kept, weights, strict=True):
                kept.assign(weight)

        ops.cond(due, keep, lambda: None)
        return updated, due

    def after(self, weights, seen):
        """Measures how far the weights have moved; see `UpdateHook`."""
        updated, due = seen

        def measure():
            ratio = _ratios(self.kept, weights)
            least, total, most, count = ops.unstack(self.ratios.value, 4, axis=1)
            # Neither a weight of 0 nor a step that was no number says anything.
            known = ops.isfinite(ratio)
            new = ops.stack(
                [
                    ops.where(known, ops.minimum(least, ratio), least),
                    ops.where(known, total + ratio, total),
                    ops.where(known, ops.maximum(most, ratio), most),
                    count + ops.cast(known, "float32"),
                ],
                axis=1,
            )
            self.ratios.assign(new)

        ops.cond(due, measure, lambda: None)
        self.done.assign_add(ops.cast(updated, "float32"))

    def get_state(self):
        ratios = self.restored if self.ratios is None else self.ratios.numpy()
        return {"done": float(self.done), "ratios": ratios, "layers": self.layers}

    def set_state(self, state):
        self.done.assign(state["done"])
        self.layers = dict(state["layers"])
        self.names, self.ratios, self.restored = [], None, state["ratios"]

    def _know(self, weights):
        """Makes room for what is measured: at first, and when other layers are to be trained."""
        known = weight_names(self.model)
        names = [known.get(id(weight), weight.path) for weight in weights]
        if names != self.names:
            self.names = names
            self.ratios = variable(_empty(len(names)) if self.restored is None else self.restored)
            self.restored = None
            self.kept = [variable(np.zeros(weight.shape)) for weight in weights]

    def _forget(self):
        self.done.assign(0.0)
        self.ratios.assign(_empty(len(self.names)))


def _empty(count):
    return np.tile(np.array([np.inf, 0, 0, 0], np.float32), (count, 1))


def _ratios(kept, weights):
    """Returns how far each weight has moved, of its length, `(weights,)`."""
    old, new = [[tf.cast(each.value, "float32") for each in part] for part in (kept, weights)]
    moved = [one - other for one, other in zip(new, old, strict=True)]
    return tf.sqrt(_halves(moved)) / tf.sqrt(_halves(old))


def _halves(tensors):
    # Half of each sum of squares: in one operation, and without a copy of the tensor.
    return tf.stack([tf.nn.l2_loss(tensor) for tensor in tensors])
