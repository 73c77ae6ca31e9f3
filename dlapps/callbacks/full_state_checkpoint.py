"""Saves all that a training needs to go on as if it had never stopped."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dlapps.callbacks._updates import Show, snapshot
from dlapps.states import write_state

# Said to Keras as a reason to stop, which then ends the epoch; at its end it is taken back.
END_OF_EPOCH = "the epoch is over"


class FullStateCheckpoint(keras.callbacks.Callback):
    """Saves the full state of a training: after every epoch, and within long ones now and then.

    The state is the weights, the random states of the layers, the optimizer, the running measures
    of the epoch, the other callbacks, the random state of Python and numpy, and the place in the
    data. It replaces the one before whole or not at all; where the disk is full, the one before
    stays, and training goes on.

    `restore` brings it all back; then `fit(..., initial_epoch=checkpoint.epoch)` goes on. If
    `checkpoint.step` is not 0, the data of that epoch must begin after as many batches.

    Args:
        path: The file; its name should end in `.npz`.
        companions: The other callbacks by name, each with `get_state` and `set_state`. They stand
            before this one in the list given to `fit`.
        metrics: The metrics given to `compile`, for a training that goes on within an epoch.
        seconds: Time from one state saved within an epoch to the next, or None for none.
        steps: Steps an epoch; None to take what Keras says.
        note: What else to save, JSON-able, such as the options of the training.
        stop: Asked after each step and epoch whether to save now and stop: returns why, or None.
        show: Called with a line when a state cannot be saved, such as `click.echo`.
    """

    def __init__(
        self,
        path: Path | str,
        companions: Mapping[str, keras.callbacks.Callback] | None = None,
        metrics: Sequence[keras.metrics.Metric] = (),
        seconds: float | None = 60.0,
        steps: int | None = None,
        note: Mapping[str, Any] | None = None,
        stop: Callable[[], str | None] = lambda: None,
        show: Show | None = None,
    ):
        super().__init__()
        self.path = Path(path)
        self.companions = dict(companions or {})
        self.metrics = list(metrics)
        self.seconds = seconds
        self.steps = steps
        self.note = dict(note or {})
        self.stop = stop
        self.show = show or (lambda text: None)
        self.epoch = 0
        self.step = 0  # Steps of the epoch that are done.
        self.before = 0  # Of them, those before this call of fit.
        self.stopped: str | None = None
        self.saved = time.monotonic()
        self.sums: list | None = None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        self.before = self.step
        if self.sums is not None:  # Keras has just reset them.
            for variable, value in zip(self._running(), self.sums, strict=True):
                variable.assign(value)
            self.sums = None

    def on_train_batch_end(self, batch, logs=None):
        self.step = self.before + batch + 1
        if self.step >= (self.steps or self.params.get("steps") or self.step + 1):
            # Keras takes the first epoch that runs out of data for the length of all that follow;
            # one that was begun before is shorter.
            self.model.stop_training = self.model.stop_training or END_OF_EPOCH
            return  # The validation belongs to the epoch.
        self.stopped = self.stop()
        due = self.seconds is not None and time.monotonic() - self.saved >= self.seconds
        if self.stopped or due:
            self.save()
        if self.stopped:
            raise TrainingStoppedError(self.stopped)

    def on_epoch_end(self, epoch, logs=None):
        self.epoch, self.step, self.before = epoch + 1, 0, 0
        if self.model.stop_training is END_OF_EPOCH:
            self.model.stop_training = False
        self.save()
        self.stopped = self.stop()
        if self.stopped:
            raise TrainingStoppedError(self.stopped)

    def save(self):
        """Saves the state as it is now; where that is not possible, says so and goes on."""
        self.saved = time.monotonic()
        version, words, *rest = random.getstate()
        name, keys, *more = np.random.get_state()
        state = {
            "epoch": self.epoch,
            "step": self.step,
            "note": self.note,
            "weights": snapshot(self.model.variables),
            "optimizer": snapshot(self.model.optimizer.variables),
            "running": snapshot(self._running()),
            "callbacks": {each: one.get_state() for each, one in self.companions.items()},
            "python": [version, np.array(words, np.uint32), *rest],
            "numpy": [name, keys, *more],
        }
        try:
            write_state(self.path, state)
        except OSError as error:
            self.show(f"{self.path} could not be saved: {error.strerror}. The one before stays.")

    def restore(self, model: keras.Model, state: dict[str, Any]) -> None:
        """Brings back what `read_state` has read.

        Args:
            model: Compiled, and built.
            state: The state.

        Raises:
            ValueError: If it is of another model, optimizer or set of callbacks.
        """
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        _assign("weights", model.variables, state["weights"])
        _assign("variables of the optimizer", model.optimizer.variables, state["optimizer"])
        if self.companions.keys() != state["callbacks"].keys():
            names = ", ".join(sorted(self.companions.keys() ^ state["callbacks"].keys()))
            raise ValueError(f"companions must be the same as in the state, but {names} differ.")
        for name, one in self.companions.items():
            one.set_state(state["callbacks"][name])
        version, words, *rest = state["python"]
        random.setstate((version, tuple(words.tolist()), *rest))
        np.random.set_state(tuple(state["numpy"]))
        self.epoch, self.step = state["epoch"], state["step"]
        self.sums = state["running"] if self.step else None
        self.set_model(model)

    def _running(self):
        metrics = [self.model.metrics[0], *self.metrics]  # The first is the mean of the loss.
        return [variable for metric in metrics for variable in metric.variables]


class TrainingStoppedError(Exception):
    """Raised out of `fit` when a checkpoint was asked to stop; the state is saved."""


def _assign(kind: str, variables: Sequence[keras.Variable], values: Sequence[np.ndarray]) -> None:
    shapes = [tuple(variable.shape) for variable in variables]
    kept = [value.shape for value in values]
    if shapes != kept:
        raise ValueError(f"The state holds {len(kept)} {kind} of other shapes than {len(shapes)}.")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
