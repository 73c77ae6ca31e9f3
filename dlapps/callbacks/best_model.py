"""Keeps the best model of a training."""

import math
from collections.abc import Callable

import keras


class BestModel(keras.callbacks.Callback):
    """Keeps the weights of the best epoch, and gives them back when training ends.

    Args:
        measure: A name in the logs, such as "val_accuracy".
        tie: Another, the lower the better, that decides between epochs equal in the first.
        save: Called whenever an epoch is the best so far, or None.
        to_beat: What the model reached before, as a pair of measure and tie, or None. If no epoch
            is better, the weights from before come back.
    """

    def __init__(
        self,
        measure: str,
        tie: str,
        save: Callable[[], None] | None = None,
        to_beat: tuple[float, float] | None = None,
    ):
        super().__init__()
        self.measure = measure
        self.tie = tie
        self.save = save
        self.best = (to_beat[0], -to_beat[1]) if to_beat else None
        self.epoch: int | None = None
        self.weights: list | None = None

    def on_train_begin(self, logs=None):
        if self.best is not None:
            self.weights = self.model.get_weights()

    def on_epoch_end(self, epoch, logs=None):
        reached = (logs[self.measure], -logs[self.tie])
        if not all(map(math.isfinite, reached)):
            return  # Nothing is better or worse than NaN, so it would stay the best for ever.
        if self.best is None or reached > self.best:
            self.best = reached
            self.epoch = epoch
            self.weights = self.model.get_weights()
            if self.save is not None:
                self.save()

    def on_train_end(self, logs=None):
        if self.weights is not None:
            self.model.set_weights(self.weights)
