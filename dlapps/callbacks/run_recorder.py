"""Writes down what happened in every epoch of a training."""

import csv
import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from dlapps import files
from dlapps.callbacks._updates import innermost

LAYERS = "layers.csv"
# What TensorBoard's own tf.summary.scalar writes; that needs TensorBoard to be installed.
SCALAR = tf.compat.v1.SummaryMetadata(
    data_class="DATA_CLASS_SCALAR",
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"),
)


class RunRecorder(keras.callbacks.Callback):
    """Appends one row an epoch to a CSV file: phase, epoch, seconds and every measure.

    Rows of a later phase follow those of an earlier one; a measure that came later is empty in
    the rows before it. An epoch that is trained again, after a crash, replaces its row. Beside the
    file, `layers.csv` holds a row a layer an epoch, of what callbacks say layer by layer.

    Args:
        path: The file, such as `history.csv`.
        phase: What this part of the training is called.
        layers: Callbacks with a dictionary `layers`, of measures by the name of a layer or
            tensor; they stand before this one in the list given to `fit`.
        input_seconds: Returns for how long the model waited for input since last called, or
            None where that is not known.
        tensorboard: Folder to write the same to for TensorBoard, or None.
    """

    def __init__(
        self,
        path: Path,
        phase: str,
        layers: Sequence[Any] = (),
        input_seconds: Callable[[], float | None] = lambda: None,
        tensorboard: Path | None = None,
    ):
        super().__init__()
        self.path = Path(path)
        self.phase = phase
        self.layers = list(layers)
        self.input_seconds = input_seconds
        self.tensorboard = tensorboard
        self.writer: Any = None
        self.started = 0.0
        self.spent = 0.0  # Seconds of this epoch before this call of fit,
        self.waited: float | None = 0.0  # and of them, those spent waiting for input.

    def on_train_begin(self, logs=None):
        if self.tensorboard is not None:
            self.writer = tf.summary.create_file_writer(str(self.tensorboard))

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        which = {"phase": self.phase, "epoch": epoch + 1}
        state = self.get_state()
        row = {**which, "seconds": round(state["spent"], 3)}
        if state["waited"] is not None:
            row["input_seconds"] = round(state["waited"], 3)
        self.spent, self.waited, self.started = 0.0, 0.0, 0.0
        row["learning_rate"] = float(innermost(self.model.optimizer).learning_rate)
        row |= {name: float(value) for name, value in (logs or {}).items()}
        count = self._append(self.path, [row], epoch)
        seen: dict[str, dict] = {}
        for callback in self.layers:
            for name, measures in callback.layers.items():
                seen.setdefault(name, {}).update(measures)
        if seen:
            rows = [{**which, "layer": name, **measures} for name, measures in seen.items()]
            self._append(self.path.with_name(LAYERS), rows, epoch)
        if self.writer is not None:
            with self.writer.as_default(step=count):
                for name, value in row.items():
                    if name not in which:
                        number = tf.constant(value, tf.float32)
                        tf.summary.write(f"{self.phase}/{name}", number, metadata=SCALAR)
            self.writer.flush()

    def on_train_end(self, logs=None):
        if self.writer is not None:
            self.writer.close()

    def get_state(self):
        if self.started:
            waited = self.input_seconds()
            unknown = waited is None or self.waited is None
            self.waited = None if unknown else self.waited + waited
        since = time.perf_counter() - self.started if self.started else 0.0
        return {"spent": self.spent + since, "waited": self.waited}

    def set_state(self, state):
        self.spent = state["spent"]
        self.waited = state["waited"]

    def _append(self, path, new, epoch):
        rows: list[dict] = []
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                rows = [*csv.DictReader(file)]
        # What a session that crashed wrote of this epoch and after it is trained again.
        rows = [row for row in rows if row["phase"] != self.phase or int(row["epoch"]) <= epoch]
        rows += new
        names = [*dict.fromkeys(name for each in rows for name in each)]
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
        files.write(path, text.getvalue())
        return len(rows)
