"""Shows how training goes."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import keras


class Progress(keras.callbacks.Callback):
    """Shows a bar while an epoch runs, and one line when it is done.

    Args:
        show: Called with each line, such as `click.echo`.
        bar: Called with a description and a number of steps; returns a context that yields a
            function to be told the steps just done.
        first: Number of the first epoch shown.
        last: Number of the last.
    """

    def __init__(
        self,
        show: Callable[[str], None],
        bar: Callable[[str, int], AbstractContextManager[Callable[[int], None]]],
        first: int,
        last: int,
    ):
        super().__init__()
        self.show = show
        self.bar = bar
        self.first = first
        self.last = last
        self.started = 0.0
        self.open: AbstractContextManager[Callable[[int], None]] | None = None
        self.advance: Callable[[int], None] = lambda done: None

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()
        self.open = self.bar(self._title(epoch), self.params.get("steps") or 0)
        self.advance = self.open.__enter__()

    def on_train_batch_end(self, batch, logs=None):
        self.advance(1)

    def on_epoch_end(self, epoch, logs=None):
        self._close()
        seconds = time.perf_counter() - self.started
        measures = "  ".join(
            f"{name} {value:.4f}" for name, value in logs.items() if name != "learning_rate"
        )
        self.show(f"{self._title(epoch)}  {measures}  {seconds:.1f} s")

    def on_train_end(self, logs=None):
        self._close()

    def _title(self, epoch):
        return f"Epoch {self.first + epoch}/{self.last}"

    def _close(self):
        if self.open is not None:
            self.open.__exit__(None, None, None)
            self.open = None
