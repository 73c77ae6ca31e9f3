import csv

import keras
import numpy as np
import pytest

from dlapps.callbacks.run_recorder import RunRecorder


@pytest.fixture
def record(tmp_path):
    """Plays epochs of a phase; returns all rows of the file."""

    def play(phase, *epochs, path=tmp_path / "history.csv"):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.25), "mse")
        recorder = RunRecorder(path, phase)
        recorder.set_model(model)
        for epoch, logs in enumerate(epochs):
            recorder.on_epoch_begin(epoch)
            recorder.on_epoch_end(epoch, logs)
        with path.open(newline="") as file:
            return [*csv.DictReader(file)]

    return play


def test_every_epoch_is_a_row(record):
    rows = record(
        "head", {"loss": 2.0, "val_loss": 3.0}, {"loss": np.float32(1.5), "val_loss": 2.0}
    )
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert [float(row["loss"]) for row in rows] == [2.0, 1.5]
    assert {row["phase"] for row in rows} == {"head"}
    assert {float(row["learning_rate"]) for row in rows} == {0.25}
    assert all(float(row["seconds"]) >= 0 for row in rows)


def test_a_later_phase_follows_and_may_measure_more(record):
    record("head", {"loss": 2.0})
    rows = record("finetune", {"loss": 1.0, "val_loss": 0.5}, {"loss": 0.9, "val_loss": 0.4})
    assert [(row["phase"], row["epoch"]) for row in rows] == [
        ("head", "1"),
        ("finetune", "1"),
        ("finetune", "2"),
    ]
    assert [row["val_loss"] for row in rows] == ["", "0.5", "0.4"]


def test_no_litter_lies_beside_the_file(record, tmp_path):
    record("head", {"loss": 2.0}, {"loss": 1.0})
    assert [path.name for path in tmp_path.iterdir()] == ["history.csv"]


def test_the_learning_rate_is_that_of_the_schedule(tmp_path):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([2, 4], [0.5, 0.25, 0.125])
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(schedule), "mse")
    x = np.ones((6, 1), np.float32)
    recorder = RunRecorder(tmp_path / "history.csv", "head")
    model.fit(x, x, batch_size=2, epochs=2, verbose=0, callbacks=[recorder])
    with (tmp_path / "history.csv").open(newline="") as file:
        rates = [float(row["learning_rate"]) for row in csv.DictReader(file)]
    assert rates == [0.25, 0.125]  # After 3 and 6 steps.
