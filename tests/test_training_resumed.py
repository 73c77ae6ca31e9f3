"""What `training.fit` makes of a run that was stopped, whenever and however that was."""

import csv
import dataclasses
import os
import signal

import keras
import numpy as np
import pytest

from dlapps import runs, terminal, training
from dlapps.callbacks.full_state_checkpoint import FullStateCheckpoint
from dlapps.data.array_batches import ArrayBatches
from dlapps.errors import UserError
from dlapps.states import read_state
from dlapps.training_config import TrainingConfig

RNG = np.random.default_rng(0)
X = RNG.normal(size=(11, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int32)
STEPS = 3
PHASE = training.Phase("head", 2, 0.1, weight_decay=0.1, measure="accuracy", higher_is_better=True)
CLOCKS = {"seconds", "input_seconds"}


def fresh(policy="float32"):
    keras.utils.set_random_seed(0)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    hidden = [keras.layers.Dense(5, "relu"), keras.layers.Dropout(0.4)]
    model = keras.Sequential([keras.Input((4,)), *hidden, keras.layers.Dense(2)])
    keras.config.set_dtype_policy(before)
    return model


def new_run():
    return runs.create("classify", "rows", None, options={})


def again(run):
    """Returns a run as it is read in another process."""
    run = runs.read(run.folder)
    return dataclasses.replace(run, state=read_state(run.checkpoint))


def fit(run, phase=PHASE, config=None, model=None, **more):
    model = model or fresh()
    training.fit(
        model,
        phase,
        run,
        config or TrainingConfig(),
        ArrayBatches(X, Y, 4, seed=0),
        (X, Y),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        look_at=X[:4],
        **more,
    )
    return model


def rows(run):
    with (run.folder / "history.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in CLOCKS} for row in csv.DictReader(file)]


def assert_same_end(one, other):
    (model, run), (other_model, other_run) = one, other
    assert rows(run) == rows(other_run)
    assert again(run).phases == again(other_run).phases
    for left, right in zip(model.get_weights(), other_model.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def stopping_after_every_step(*args, **settings):
    return FullStateCheckpoint(*args, **{**settings, "stop": lambda: "a test"})


SETTINGS = {
    "all-at-once": {"optimizer": "adam", "accumulate": 2, "clip": "auto", "schedule": "plateau"},
    "adamw": {},
    "sgd": {"optimizer": "sgd", "schedule": "step", "schedule_per": "epoch", "clip": "value:0.1"},
    "nesterov": {"optimizer": "nesterov", "schedule": "inverse-time", "warm_up": 0.5},
    "rmsprop": {"optimizer": "rmsprop", "accumulate": 3, "on_divergence": "warn"},
}


@pytest.mark.parametrize(
    ("settings", "phase", "policy"),
    [
        pytest.param(SETTINGS["all-at-once"], {}, "float32", id="all-at-once"),
        *(
            pytest.param(SETTINGS[name], {}, "float32", id=name, marks=pytest.mark.slow)
            for name in ("adamw", "sgd", "nesterov", "rmsprop")
        ),
        pytest.param({}, {"steps_at_once": 2}, "float32", id="two-at-once", marks=pytest.mark.slow),
        pytest.param({}, {}, "mixed_float16", id="float16", marks=pytest.mark.slow),
    ],
)
def test_stopped_after_every_single_step_it_ends_as_if_never_stopped(
    monkeypatch, settings, phase, policy
):
    config, phase = TrainingConfig(**settings), dataclasses.replace(PHASE, **phase)
    whole, broken = new_run(), new_run()
    never_stopped = fit(whole, phase, config, fresh(policy))
    monkeypatch.setattr(training, "FullStateCheckpoint", stopping_after_every_step)
    stops = 0
    while True:
        try:
            resumed = fit(broken, phase, config, fresh(policy))
            break
        except runs.Stopped:
            broken = again(broken)
            stops += 1
            assert broken.state["epoch"] * STEPS + broken.state["step"] >= stops
    assert stops >= phase.epochs * 2
    assert_same_end((never_stopped, whole), (resumed, broken))
    scaled = isinstance(resumed.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")


class DiedError(Exception):
    """In place of a kill."""


def dying(times):
    """Returns a function that dies when it is called for the given time."""
    calls = iter(range(1, 1000))

    def die(*_, **__):
        if next(calls) == times:
            raise DiedError

    return die


def test_an_epoch_whose_row_was_written_but_not_its_state_is_trained_again():
    whole, broken = new_run(), new_run()
    phase = dataclasses.replace(PHASE, measure="loss", higher_is_better=False, epochs=3)
    never_stopped = fit(whole, phase)
    with pytest.raises(DiedError):
        fit(broken, phase, save=dying(2))  # The best epoch is saved before the state.
    assert len(rows(broken)) == 2
    broken = again(broken)
    assert (broken.state["epoch"], broken.state["step"]) == (1, 0)
    assert_same_end((never_stopped, whole), (fit(broken, phase), broken))


def test_a_run_that_died_before_its_first_state_begins_anew():
    whole, broken = new_run(), new_run()
    with pytest.raises(DiedError):
        fit(broken, save=dying(1))
    assert not broken.checkpoint.exists()
    assert_same_end((fit(whole), whole), (fit(broken), broken))


def test_what_one_signal_asks_for_is_done_after_the_step_and_told_how_to_go_on(capsys):
    run, whole = new_run(), new_run()
    with pytest.raises(runs.Stopped) as caught:
        fit(run, save=lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert str(caught.value) == (
        f"Stopped by SIGTERM. The state is saved in {run.folder}. "
        f"Go on: dlapps classify --resume {run.folder}"
    )
    assert caught.value.exit_code == 130
    assert (
        "SIGTERM: stopping after this step. Once more to stop at once." in capsys.readouterr().err
    )
    run = again(run)
    assert_same_end((fit(whole), whole), (fit(run), run))
    assert "Going on with phase 'head' at epoch 2 of 2 epochs." in capsys.readouterr().err


def test_the_second_signal_stops_at_once(capsys):
    def insist():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("It went on.")

    run = new_run()
    with pytest.raises(KeyboardInterrupt, match="Ctrl-C"):
        fit(run, save=insist)
    assert not run.checkpoint.exists()


def test_a_signal_after_the_last_epoch_is_not_lost(monkeypatch):
    def note(text):
        if text.startswith("Best epoch"):
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(terminal, "note", note)
    run = new_run()
    with pytest.raises(runs.Stopped, match=r"Stopped by Ctrl-C\. The state is saved"):
        fit(run)
    assert again(run).phases.keys() == {"head"}


def test_more_epochs_go_on_where_the_last_ones_ended():
    run = new_run()
    fit(run)
    before = rows(run)
    best = again(run).phases["head"]
    fit(again(run), dataclasses.replace(PHASE, epochs=4))
    assert rows(run)[:2] == before
    assert [row["epoch"] for row in rows(run)] == ["1", "2", "3", "4"]
    assert again(run).phases["head"]["accuracy"] >= best["accuracy"]


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(TrainingConfig(patience=1, min_improvement=5.0), id="patience"),
        pytest.param(TrainingConfig(time_budget=1e-6), id="time"),
    ],
)
def test_a_phase_that_was_over_early_stays_so(config):
    """As when the run is killed after the phase, before the next has saved a state."""
    run = new_run()
    phase = dataclasses.replace(PHASE, epochs=9)
    one = fit(run, phase, config)
    before = rows(run)
    assert len(before) < 9
    other = fit(again(run), phase, config)
    assert rows(run) == before
    assert_same_end((one, run), (other, run))


def test_a_finished_phase_is_past_once_the_next_has_begun():
    run, second = new_run(), dataclasses.replace(PHASE, name="finetune")
    model = fit(run)
    assert not again(run).is_past("head")
    fit(run, second, model=model)
    assert again(run).is_past("head")
    assert not again(run).is_past("finetune")


def test_a_state_that_does_not_fit_the_model_is_one_line():
    run = new_run()
    fit(run)
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(UserError, match="state of the run does not fit its options: The state hol"):
        fit(again(run), dataclasses.replace(PHASE, epochs=3), model=other)
