import csv
import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.optimizers import SGD, LossScaleOptimizer

from dlapps.callbacks.run_recorder import RunRecorder
from dlapps.callbacks.update_ratio_logger import UpdateRatioLogger
from tests.callbacks.trainings import fit, linear, network


def table(path):
    with path.open(newline="") as file:
        return [*csv.DictReader(file)]


@pytest.fixture
def record(tmp_path):
    """Plays epochs of a phase; returns all rows of the file."""

    def play(phase, *epochs, first=0, **settings):
        recorder = RunRecorder(tmp_path / "history.csv", phase, **settings)
        recorder.set_model(linear(SGD(0.25)))
        recorder.on_train_begin()
        for epoch, logs in enumerate(epochs, first):
            recorder.on_epoch_begin(epoch)
            recorder.on_epoch_end(epoch, logs)
        recorder.on_train_end()
        return table(tmp_path / "history.csv")

    return play


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    hands = [100.0]
    monkeypatch.setattr(
        "dlapps.callbacks.run_recorder.time", SimpleNamespace(perf_counter=lambda: hands[0])
    )
    return hands


def numbers(rows, name):
    return [float(row[name]) for row in rows]


def test_every_epoch_is_a_row(record):
    rows = record(
        "head", {"loss": 2.0, "val_loss": 3.0}, {"loss": np.float32(1.5), "val_loss": 2.0}
    )
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert numbers(rows, "loss") == [2.0, 1.5]
    assert {row["phase"] for row in rows} == {"head"}
    assert numbers(rows, "learning_rate") == [0.25, 0.25]
    assert min(numbers(rows, "seconds")) >= 0


def test_a_later_phase_follows_and_may_measure_more(record):
    record("head", {"loss": 2.0})
    rows = record("finetune", {"loss": 1.0, "val_loss": 0.5}, {"loss": 0.9, "val_loss": 0.4})
    assert [(row["phase"], row["epoch"]) for row in rows] == [
        ("head", "1"),
        ("finetune", "1"),
        ("finetune", "2"),
    ]
    assert [row["val_loss"] for row in rows] == ["", "0.5", "0.4"]


def test_an_epoch_trained_again_after_a_crash_replaces_its_row(record, tmp_path):
    seen = SimpleNamespace(layers={"a": {"dead": 0.5}})
    record("head", {"loss": 9.0}, {"loss": 8.0}, layers=[seen])
    record("finetune", {"loss": 3.0}, {"loss": 2.0}, {"loss": 1.0}, layers=[seen])
    seen.layers = {"a": {"dead": 0.25}}
    rows = record("finetune", {"loss": 2.5}, first=1, layers=[seen])
    assert [(row["phase"], row["epoch"], float(row["loss"])) for row in rows] == [
        ("head", "1", 9.0),
        ("head", "2", 8.0),
        ("finetune", "1", 3.0),
        ("finetune", "2", 2.5),
    ]
    assert numbers(table(tmp_path / "layers.csv"), "dead") == [0.5, 0.5, 0.5, 0.25]


def test_no_litter_lies_beside_the_file(record, tmp_path):
    record("head", {"loss": 2.0}, {"loss": 1.0})
    assert [path.name for path in tmp_path.iterdir()] == ["history.csv"]


def test_what_callbacks_say_layer_by_layer_is_a_table_of_its_own(record, tmp_path):
    ratios = SimpleNamespace(layers={"a/kernel": {"ratio": 1.0}, "b": {"ratio": 2.0}})
    units = SimpleNamespace(layers={"a": {"dead": 0.5}, "b": {"dead": 0.25}})
    record("head", {"loss": 2.0}, layers=[ratios, units])
    ratios.layers = {"b": {"ratio": 3.0}}
    units.layers = {}
    record("finetune", {"loss": 1.0}, layers=[ratios, units])
    rows = table(tmp_path / "layers.csv")
    assert [[*row.values()] for row in rows] == [
        ["head", "1", "a/kernel", "1.0", ""],
        ["head", "1", "b", "2.0", "0.25"],
        ["head", "1", "a", "", "0.5"],
        ["finetune", "1", "b", "3.0", ""],
    ]
    assert [*rows[0]] == ["phase", "epoch", "layer", "ratio", "dead"]


def test_the_seconds_spent_and_waited_are_those_of_the_epoch(record, clock, tmp_path):
    waits = iter([0.5, 1.0, 2.0])

    def input_seconds():
        clock[0] += 3  # An epoch lasts three seconds.
        return next(waits)

    rows = record("head", {"loss": 2.0}, {"loss": 1.0}, input_seconds=input_seconds)
    assert numbers(rows, "input_seconds") == [0.5, 1.0]
    assert numbers(rows, "seconds") == [3, 3]


def test_what_was_waited_is_left_out_where_it_is_not_known(record):
    rows = record("head", {"loss": 2.0}, input_seconds=lambda: None)
    assert "input_seconds" not in rows[0]


@pytest.mark.parametrize("known", [True, False])
def test_an_epoch_that_was_broken_off_counts_the_seconds_of_both_sessions(clock, tmp_path, known):
    waits = iter([1.0, 2.0, 4.0] if known else [1.0, None, 4.0])
    first, second = (
        RunRecorder(tmp_path / "history.csv", "head", input_seconds=lambda: next(waits))
        for _ in range(2)
    )
    first.on_epoch_begin(0)
    clock[0] += 3
    first.get_state()  # As for a checkpoint that another replaces.
    clock[0] += 3
    second.set_state(json.loads(json.dumps(first.get_state())))
    assert second.get_state() == {"spent": 6.0, "waited": 3.0 if known else None}
    clock[0] += 50
    second.set_model(linear())
    second.on_epoch_begin(0)
    clock[0] += 5
    second.on_epoch_end(0, {"loss": 1.0})
    rows = table(tmp_path / "history.csv")
    assert numbers(rows, "seconds") == [11.0]
    assert rows[0].get("input_seconds") == ("7.0" if known else None)


def test_the_learning_rate_is_that_of_the_schedule(tmp_path):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([7, 9], [0.5, 0.25, 0.125])
    model = network(LossScaleOptimizer(SGD(schedule)), "mixed_float16")
    recorder = RunRecorder(tmp_path / "history.csv", "head")
    fit(model, [recorder], epochs=2)
    rates = numbers(table(tmp_path / "history.csv"), "learning_rate")
    assert rates == [0.5, 0.125]  # After 6 and 12 steps.


def test_the_same_is_written_for_tensorboard(tmp_path):
    ratios = UpdateRatioLogger()
    recorder = RunRecorder(
        tmp_path / "history.csv", "head", [ratios], lambda: 0.25, tmp_path / "tensorboard"
    )
    fit(network(), [ratios, recorder], epochs=2)
    (path,) = (tmp_path / "tensorboard").iterdir()
    found = {}
    for record in tf.compat.v1.train.summary_iterator(str(path)):
        for value in record.summary.value:
            found.setdefault(value.tag, {})[record.step] = float(tf.make_ndarray(value.tensor))
    rows = table(tmp_path / "history.csv")
    assert {*found} == {f"head/{name}" for name in rows[0]} - {"head/phase", "head/epoch"}
    for tag, values in found.items():
        assert [*values] == [1, 2]
        assert [*values.values()] == pytest.approx(numbers(rows, tag.removeprefix("head/")))
    names = [row["layer"] for row in table(tmp_path / "layers.csv")]
    assert names == [*ratios.layers] * 2
