import csv
import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlapps import runs, training
from dlapps.callbacks import run_recorder
from dlapps.data.array_batches import ArrayBatches
from dlapps.errors import UserError
from dlapps.training_config import TrainingConfig

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int32)
PHASE = training.Phase("head", 4, 0.3, measure="val_accuracy", higher_is_better=True)
QUIET = TrainingConfig(weight_decay=0.0)


@pytest.fixture
def run():
    return runs.create("classify", "rows", None, options={})


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])


def fit(model, run, phase=PHASE, config=QUIET, x=X, validation=(X, Y), batch_size=8, **more):
    return training.fit(
        model,
        phase,
        run,
        config,
        ArrayBatches(x, Y[: len(x)], batch_size, seed=0),
        validation,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        **more,
    )


def rows(run, name="history.csv"):
    with (run.folder / name).open(newline="") as file:
        return [*csv.DictReader(file)]


def measured(model):
    logits = keras.ops.convert_to_numpy(model(X))
    return float(np.mean(logits.argmax(axis=1) == Y))


def test_learns_and_leaves_the_weights_of_the_best_epoch(model, run, capsys):
    best = fit(model, run)
    assert best["val_accuracy"] > 0.9
    assert best["val_accuracy"] == pytest.approx(measured(model))
    assert best["phase"] == "head"
    row = rows(run)[best["epoch"] - 1]
    assert float(row["val_accuracy"]) == pytest.approx(best["val_accuracy"])
    assert len(rows(run)) == 4
    shown = capsys.readouterr().err.splitlines()
    assert [line[:9] for line in shown[:4]] == [f"Epoch {k}/4" for k in (1, 2, 3, 4)]
    assert shown[4].startswith(f"Best epoch: {best['epoch']}, val_accuracy ")
    assert runs.read(run.folder).phases == {"head": best}


def test_validation_may_be_a_dataset(model, run):
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
    assert fit(model, run, validation=data)["val_accuracy"] > 0.9


def test_the_rate_warms_up_and_falls_to_nothing(model, run):
    config = dataclasses.replace(QUIET, warm_up=0.25)
    fit(model, run, dataclasses.replace(PHASE, epochs=8), config)
    rates = [float(row["learning_rate"]) for row in rows(run)]
    assert rates[:2] == sorted(rates[:2])
    assert max(rates) == rates[1] == pytest.approx(0.3)  # Two of the eight are the warm-up.
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert rates[-1] < 1e-3


def test_a_few_steps_need_no_warm_up(model, run):
    before = model.get_weights()
    fit(model, run, dataclasses.replace(PHASE, epochs=1), batch_size=48)
    assert not np.array_equal(before[0], model.get_weights()[0])


@pytest.mark.parametrize("examples", [3, 16, 40])
def test_fewer_examples_than_a_batch_or_than_run_at_once_are_learnt_too(model, run, examples):
    phase = dataclasses.replace(PHASE, epochs=3, steps_at_once=4)
    fit(model, run, phase, x=X[:examples], batch_size=16)
    assert model.steps_per_execution == 4
    assert int(model.optimizer.iterations) == 3 * math.ceil(examples / 16)
    assert [row["epoch"] for row in rows(run)] == ["1", "2", "3"]


def test_the_history_tells_how_the_training_goes(run):
    config = dataclasses.replace(QUIET, clip="auto")
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, "relu"), keras.layers.Dense(2)]
    )
    fit(model, run, dataclasses.replace(PHASE, epochs=1), config, look_at=X[:8])
    told = {"loss", "val_loss", "accuracy", "val_accuracy", "seconds", "input_seconds"}
    told |= {"gradient_norm", "clip_threshold", "update_ratio_mean", "dead_units"}
    assert told <= rows(run)[0].keys()
    of_layers = rows(run, "layers.csv")
    assert {"update_ratio_mean", "dead"} <= of_layers[0].keys()
    assert len(of_layers) == 3  # Two kernels and an activation; biases of 0 have no ratio.


def test_tensorboard_gets_the_same_numbers(model, run):
    config = dataclasses.replace(QUIET, tensorboard=True)
    fit(model, run, dataclasses.replace(PHASE, epochs=2), config)
    (path,) = (run.folder / "tensorboard").glob("events*")
    written = {}
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        event = tf.compat.v1.Event.FromString(record)
        for value in event.summary.value:
            assert value.metadata.plugin_data.plugin_name == "scalars"
            written[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    for step, row in enumerate(rows(run), start=1):
        for name in ("loss", "val_accuracy", "learning_rate", "seconds"):
            assert written[f"head/{name}", step] == pytest.approx(float(row[name]))


def test_a_history_that_cannot_be_written_is_one_line(model, run, monkeypatch):
    def full(path, content):
        raise UserError(f"{path} cannot be written: No space left on device.")

    monkeypatch.setattr(run_recorder.files, "write", full)
    with pytest.raises(UserError, match=r"history\.csv cannot be written: No space left on"):
        fit(model, run)


def test_saves_whenever_an_epoch_is_the_best(model, run):
    saved = []
    fit(model, run, save=lambda: saved.append(measured(model)))
    assert saved == sorted(saved)
    assert saved[-1] == pytest.approx(measured(model))


def test_a_model_that_gets_no_better_stays_as_it_was(model, run, capsys):
    before = model.get_weights()
    beat = {"val_accuracy": 1.1, "val_loss": 0.0, "epoch": 3, "phase": "earlier"}
    assert fit(model, run, to_beat=beat) == beat
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert "No epoch was better than val_accuracy 1.1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("action", "said"),
    [
        pytest.param("stop", "The loss is nan at step", id="stop"),
        pytest.param("rollback", "after 3 rollbacks of phase 'head'", id="rollback"),
    ],
)
def test_a_loss_that_is_no_number_names_a_smaller_rate(model, run, action, said):
    bad = X.copy()
    bad[3] = math.nan
    config = dataclasses.replace(QUIET, on_divergence=action)
    with pytest.raises(UserError, match=rf"{said}.*rate was 0\.3; try a tenth of --learning-rate"):
        fit(model, run, config=config, x=bad)


def test_training_stops_when_patience_is_lost(model, run):
    config = dataclasses.replace(QUIET, patience=1, min_improvement=2.0)
    fit(model, run, config=config)
    assert len(rows(run)) == 2


def test_the_options_choose_the_optimizer(model, run):
    config = TrainingConfig(optimizer="nesterov", weight_decay=0.5, accumulate=2, clip="norm:1")
    fit(model, run, dataclasses.replace(PHASE, epochs=1, weight_decay=0.25), config)
    assert isinstance(model.optimizer, keras.optimizers.SGD)
    assert model.optimizer.nesterov
    assert model.optimizer.weight_decay == 0.25  # The phase's, which knows what is decayed.
    assert model.optimizer.gradient_accumulation_steps == 2


def test_the_schedule_of_a_phase_is_that_of_the_options():
    config = TrainingConfig(schedule="step", schedule_period=3, schedule_drop=0.5, warm_up=0.1)
    decay = training.decay(config, dataclasses.replace(PHASE, epochs=20), steps=5)
    assert (decay.kind, decay.rate, decay.period, decay.drop) == ("step", 0.3, 3, 0.5)
    assert (decay.warm_up, decay.per, decay.steps) == (2, "step", 5)
