import csv
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlapps import runs
from dlapps.errors import UserError
from dlapps.training import Phase, fit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int32)


@pytest.fixture
def run():
    return runs.create("classify", "rows", None)


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])


def phase(**settings):
    return Phase(**{"name": "head", "epochs": 4, "steps": 6, "learning_rate": 0.1, **settings})


def rows(run):
    with (run.folder / "history.csv").open(newline="") as file:
        return [*csv.DictReader(file)]


def measured(model):
    logits = keras.ops.convert_to_numpy(model(X))
    return float(np.mean(logits.argmax(axis=1) == Y))


def test_learns_and_leaves_the_weights_of_the_best_epoch(model, run, capsys):
    best = fit(model, phase(), run, (X, Y), (X, Y), batch_size=8)
    assert best["val_accuracy"] > 0.9
    assert best["val_accuracy"] == pytest.approx(measured(model))
    assert best["phase"] == "head"
    row = rows(run)[best["epoch"] - 1]
    assert float(row["val_accuracy"]) == pytest.approx(best["val_accuracy"])
    assert len(rows(run)) == 4
    assert [line[:9] for line in capsys.readouterr().err.splitlines()] == [
        f"Epoch {k}/4" for k in (1, 2, 3, 4)
    ]


def test_a_dataset_serves_as_well_as_arrays(model, run):
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
    best = fit(model, phase(), run, data, data)
    assert best["val_accuracy"] > 0.9


def test_the_rate_warms_up_and_falls_to_nothing(model, run):
    fit(model, phase(epochs=10, steps=6), run, (X, Y), (X, Y), batch_size=8)
    rates = [float(row["learning_rate"]) for row in rows(run)]
    assert max(rates) == pytest.approx(0.1, rel=0.01)
    assert rates[0] == max(rates)  # 6 of the 60 steps are the warm-up.
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-6)


def test_a_few_steps_need_no_warm_up(model, run):
    before = model.get_weights()
    fit(model, phase(epochs=1, steps=1), run, (X, Y), (X, Y), batch_size=48)
    assert not np.array_equal(before[0], model.get_weights()[0])


def test_saves_whenever_an_epoch_is_the_best(model, run):
    saved = []
    fit(
        model,
        phase(),
        run,
        (X, Y),
        (X, Y),
        save=lambda: saved.append(measured(model)),
        batch_size=8,
    )
    assert saved == sorted(saved)
    assert saved[-1] == pytest.approx(measured(model))


def test_a_model_that_gets_no_better_stays_as_it_was(model, run, capsys):
    before = model.get_weights()
    beat = {"val_accuracy": 1.1, "val_loss": 0.0, "epoch": 3, "phase": "earlier"}
    assert fit(model, phase(), run, (X, Y), (X, Y), to_beat=beat, batch_size=8) == beat
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert "No epoch of phase 'head' was better" in capsys.readouterr().err


def test_a_loss_that_is_no_number_names_a_smaller_rate(model, run):
    bad = X.copy()
    bad[3] = math.nan
    with pytest.raises(
        UserError, match=r"phase 'head'.*rate was 0\.1; try a tenth of --learning-rate"
    ):
        fit(model, phase(), run, (bad, Y), (X, Y), batch_size=8)
