"""Stops a training in time, with the best it has reached."""

import math
import time
from collections.abc import Callable

import keras

from dlapps.callbacks._updates import Show, snapshot
from dlapps.states import Kept


class EarlyStopping(keras.callbacks.Callback):
    """Keeps the weights of the best epoch, and stops when no better one comes.

    Stopping at the best epoch on held-out data is regularisation that costs less than nothing
    (Prechelt 1998, https://doi.org/10.1007/978-3-642-35289-8_5). Measures that are no numbers are
    never the best.

    Args:
        measure: A name in the logs, such as "val_loss".
        higher_is_better: Whether more of it is better.
        tie: Another measure, the lower the better, that decides between epochs equal in the
            first; or None.
        patience: Epochs without progress after which to stop, or None for never.
        min_improvement: What counts as progress; a smaller gain is kept, but not waited for.
        warm_up: Epochs at the start in which patience is not lost.
        seconds: Time after which to stop, at the end of a step, or None.
        restore: Whether the model has the best weights when training ends, or the last.
        save: Called whenever an epoch is the best so far, or None.
        to_beat: The logs of the model as it comes, or None. If no epoch is better, it stays so.
        show: Called with what was decided and why, such as `click.echo`.
    """

    def __init__(
        self,
        measure: str = "val_loss",
        higher_is_better: bool = False,
        tie: str | None = None,
        patience: int | None = None,
        min_improvement: float = 0.0,
        warm_up: int = 0,
        seconds: float | None = None,
        restore: bool = True,
        save: Callable[[], None] | None = None,
        to_beat: dict | None = None,
        show: Show | None = None,
    ):
        super().__init__()
        if patience is not None and patience < 1:
            raise ValueError(f"patience must be at least 1 epoch, got {patience}.")
        if min_improvement < 0:
            raise ValueError(f"min_improvement must not be negative, got {min_improvement}.")
        self.measure = measure
        self.sign = 1 if higher_is_better else -1
        self.tie = tie
        self.patience = patience
        self.min_improvement = min_improvement
        self.warm_up = warm_up
        self.seconds = seconds
        self.restore = restore
        self.save = save
        self.show = show or (lambda text: None)
        self.best_logs = dict(to_beat) if to_beat else None
        self.epoch: int | None = None  # The best, from 0; None while `to_beat` stands.
        self.weights: list | None = None
        self.progress = self.sign * to_beat[measure] if to_beat else -math.inf
        self.waited = 0
        self.spent = 0.0
        self.started = 0.0
        self.reason: str | None = None

    def on_train_begin(self, logs=None):
        self.started = time.perf_counter()
        self.reason = None
        if self.best_logs is not None and self.weights is None:
            self.weights = Kept(snapshot(self.model.weights))

    def on_train_batch_end(self, batch, logs=None):
        if self.seconds is not None and self._elapsed() >= self.seconds and not self.reason:
            self._stop(f"the time budget of {self.seconds:g} s is spent")

    def on_epoch_end(self, epoch, logs=None):
        if self.measure not in (logs or {}):
            raise ValueError(f"There is no measure {self.measure!r}; there are {', '.join(logs)}.")
        if self._is_best(logs):
            self.best_logs = {name: float(value) for name, value in logs.items()}
            self.epoch = epoch
            self.weights = Kept(snapshot(self.model.weights))
            if self.save is not None:
                self.save()
        now = self.sign * logs[self.measure]
        self.waited += 1
        if now > self.progress + self.min_improvement:
            self.progress = now
            self.waited = 0
        if epoch < self.warm_up:
            self.waited = 0
        if self.patience is not None and self.waited >= self.patience and not self.reason:
            epochs = f"{self.patience} epoch{'s' * (self.patience > 1)}"
            self._stop(f"{self.measure} has not improved for {epochs}")

    def on_train_end(self, logs=None):
        self.spent, self.started = self._elapsed(), 0.0
        if self.reason:
            self.show(f"Stopped early: {self.reason}.")
        if self.best_logs is None:
            return
        value = f"{self.measure} {self.best_logs[self.measure]:.4f}"
        if self.restore:
            self.model.set_weights(self.weights)
        if self.epoch is None:
            kept = "the model stays as it was" if self.restore else "the last weights are kept"
            self.show(f"No epoch was better than {value}; {kept}.")
        else:
            kept = "its weights are restored" if self.restore else "the last weights are kept"
            self.show(f"Best epoch: {self.epoch + 1}, {value}; {kept}.")

    def get_state(self):
        names = ("best_logs", "epoch", "weights", "progress", "waited")
        return {"spent": self._elapsed(), **{name: getattr(self, name) for name in names}}

    def set_state(self, state):
        for name, value in state.items():
            setattr(self, name, value)

    def _is_best(self, logs):
        reached = self._rank(logs)
        if not all(map(math.isfinite, reached)):
            return False
        return self.best_logs is None or reached > self._rank(self.best_logs)

    def _rank(self, logs):
        return self.sign * logs[self.measure], -logs[self.tie] if self.tie else 0.0

    def _elapsed(self):
        return self.spent + (time.perf_counter() - self.started if self.started else 0.0)

    def _stop(self, why):
        self.reason = why
        self.model.stop_training = True
