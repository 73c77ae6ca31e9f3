"""Writes down what happened in every epoch of a training."""

import csv
import time
from pathlib import Path

import keras


class RunRecorder(keras.callbacks.Callback):
    """Appends one row an epoch to a CSV file: phase, epoch, seconds and every measure.

    Rows of a later phase follow those of an earlier one; a measure that came later is empty in
    the rows before it.

    Args:
        path: The file, such as `history.csv`.
        phase: What this part of the training is called.
    """

    def __init__(self, path: Path, phase: str):
        super().__init__()
        self.path = path
        self.phase = phase
        self.started = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        rows: list[dict] = []
        if self.path.exists():
            with self.path.open(newline="") as file:
                rows = [*csv.DictReader(file)]
        seconds = round(time.perf_counter() - self.started, 3)
        row = {"phase": self.phase, "epoch": epoch + 1, "seconds": seconds}
        row["learning_rate"] = float(keras.ops.convert_to_numpy(self._learning_rate()))
        rows.append(row | {name: float(value) for name, value in (logs or {}).items()})
        beside = self.path.with_name(f".{self.path.name}")
        with beside.open("w", newline="") as file:
            names = [*dict.fromkeys(name for each in rows for name in each)]
            writer = csv.DictWriter(file, names, restval="")
            writer.writeheader()
            writer.writerows(rows)
        beside.replace(self.path)

    def _learning_rate(self):
        return self.model.optimizer.learning_rate
