"""Shows how training goes."""

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import keras

from dlapps.callbacks._updates import Show

# Takes a description and a number of steps; gives a function to be told the steps just done.
Bar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


class Progress(keras.callbacks.Callback):
    """Shows a bar while an epoch runs, and one line when it is done.

    It stands before callbacks that add to the logs, so that the line holds the measures alone.

    Args:
        show: Called with each line, such as `click.echo`.
        bar: Called with a description and a number of steps; returns a context that yields a
            function to be told the steps just done.
        last: Number of the last epoch.
        steps: Steps an epoch; None to take what Keras says.
    """

    def __init__(self, show: Show, bar: Bar, last: int, steps: int | None = None):
        super().__init__()
        self.show = show
        self.bar = bar
        self.last = last
        self.steps = steps
        self.started = 0.0
        self.done = 0  # Steps of this epoch.
        self.before = 0  # Of them, those before this call of fit.
        self.spent = 0.0  # Seconds of this epoch before this call of fit.
        self.open: AbstractContextManager[Callable[[int], None]] | None = None
        self.advance: Callable[[int], None] = lambda done: None

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()
        self.before = self.done
        self.open = self.bar(self._title(epoch), self.steps or self.params.get("steps") or 0)
        self.advance = self.open.__enter__()
        self.advance(self.done)

    def on_train_batch_end(self, batch, logs=None):
        # Of several steps per execution, Keras tells the last, even when the data ended before it.
        here = min(batch + 1, self.params.get("steps") or math.inf)
        done = min(self.before + here, self.steps or math.inf)
        self.advance(done - self.done)
        self.done = done

    def on_epoch_end(self, epoch, logs=None):
        self.close()
        seconds = self._elapsed()
        self.done, self.spent, self.started = 0, 0.0, 0.0
        measures = "  ".join(f"{name} {value:.4f}" for name, value in logs.items())
        self.show(f"{self._title(epoch)}  {measures}  {seconds:.1f} s")

    def on_train_end(self, logs=None):
        self.close()

    def get_state(self):
        return {"done": self.done, "spent": self._elapsed()}

    def set_state(self, state):
        self.done = state["done"]
        self.spent = state["spent"]

    def close(self):
        """Takes the bar away, if there is one."""
        if self.open is not None:
            self.open.__exit__(None, None, None)
            self.open = None

    def _elapsed(self):
        return self.spent + (time.perf_counter() - self.started if self.started else 0.0)

    def _title(self, epoch):
        return f"Epoch {epoch + 1}/{self.last}"
