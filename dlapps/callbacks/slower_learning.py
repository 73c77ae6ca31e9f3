"""Lets what was pretrained learn more slowly than what is new."""

from collections.abc import Sequence

import keras

from dlapps.callbacks._updates import hook_updates, unhook_updates


class SlowerLearning(keras.callbacks.Callback):
    """Shortens the steps of some weights, as a lower learning rate for them would.

    What was pretrained needs small steps, or it forgets; what is new beside it needs large ones
    (discriminative rates, Howard and Ruder 2018, https://arxiv.org/abs/1801.06146). The update of
    a weight is taken back in part, after the optimizer has made it; so it is right for every
    optimizer, weight decay included.

    It stands before callbacks that look at updates.

    Args:
        weights: The weights to slow down.
        factor: Part of each update that is kept, in (0, 1].
    """

    def __init__(self, weights: Sequence[keras.Variable], factor: float = 0.1):
        super().__init__()
        if not 0 < factor <= 1:
            raise ValueError(f"factor must be in (0, 1], got {factor}.")
        self.slow = {id(weight) for weight in weights}
        self.factor = factor

    def on_train_begin(self, logs=None):
        hook_updates(self.model, self)

    def on_train_end(self, logs=None):
        unhook_updates(self.model, self)

    def before(self, weights):
        """Keeps the slow weights as they are; see `UpdateHook`."""
        return {id(w): keras.ops.copy(w.value) for w in weights if id(w) in self.slow}

    def after(self, weights, seen):
        """Takes back a part of what was done to them; see `UpdateHook`."""
        for weight in weights:
            if id(weight) in seen:
                before = seen[id(weight)]
                weight.assign(before + self.factor * (weight.value - before))

    def get_state(self):
        return {}

    def set_state(self, state):
        pass
