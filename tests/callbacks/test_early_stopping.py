import math
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras.optimizers import SGD

from dlapps.callbacks.early_stopping import EarlyStopping
from dlapps.states import read_state, write_state
from tests.callbacks.trainings import X, Y, fit, network, split, whole

# Losses as they come: falling, with a plateau, with ties, rising at once, up and down.
SERIES = [
    [5, 4, 3, 2, 1, 0.5, 0.25, 0.125],
    [5, 4, 4.5, 4.2, 4.1, 4.3, 1, 2],
    [3, 3, 3, 2, 2, 2, 2, 2],
    [1, 2, 3, 4, 5, 6, 7, 8],
    [4, 2, 3, 1.9, 2.5, 1.8, 2.1, 2.0],
]


def model_of(weight):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([np.full((1, 1), weight)])
    model.stop_training = False
    return model


def play(stopping, logs, model=None, first=0):
    """Plays epochs, each with its number as the weight, until stopped; returns how many."""
    model = model or model_of(-1.0)
    stopping.set_model(model)
    stopping.on_train_begin()
    for epoch, each in enumerate(logs, first):
        model.set_weights([np.full((1, 1), epoch)])
        stopping.on_epoch_end(epoch, {"loss": 0.0, **each})
        if model.stop_training:
            break
    stopping.on_train_end()
    return epoch + 1 - first if logs else 0


def weight(stopping):
    return float(stopping.model.get_weights()[0][0, 0])


def losses(values):
    return [{"val_loss": value} for value in values]


def both(*reached):
    return [{"val_accuracy": accuracy, "val_loss": loss} for accuracy, loss in reached]


def by_accuracy(**settings):
    return EarlyStopping("val_accuracy", higher_is_better=True, tie="val_loss", **settings)


@pytest.mark.parametrize("higher", [False, True])
@pytest.mark.parametrize("patience", [1, 2, 3])
@pytest.mark.parametrize("improvement", [0.0, 0.3])
def test_stops_where_keras_does(patience, higher, improvement):
    for series in SERIES:
        values = np.negative(series) if higher else series
        ours = EarlyStopping("val_loss", higher, patience=patience, min_improvement=improvement)
        mode = "max" if higher else "min"
        theirs = keras.callbacks.EarlyStopping(
            "val_loss", improvement, patience, mode=mode, restore_best_weights=True
        )
        assert play(ours, losses(values)) == play(theirs, losses(values))
        if not improvement:  # Of improvements too small to count, Keras keeps none.
            assert weight(ours) == weight(theirs)


@pytest.mark.parametrize(
    ("reached", "expected"),
    [
        pytest.param([(0.1, 9), (0.9, 9), (0.5, 1)], 1, id="highest"),
        pytest.param([(0.5, 3), (0.5, 1), (0.5, 2)], 1, id="tie-lowest-loss"),
        pytest.param([(0.5, 1), (0.5, 1)], 0, id="equal-first"),
        pytest.param([(0.2, 5), (0.3, 4), (0.4, 3)], 2, id="last"),
        pytest.param([(0.5, 1), (0.4, math.nan)], 0, id="nan-later"),
        pytest.param([(math.nan, 1), (0.4, 2)], 1, id="nan-first"),
    ],
)
def test_the_weights_of_the_best_epoch_come_back(reached, expected):
    best = by_accuracy()
    play(best, both(*reached))
    assert best.epoch == expected
    assert weight(best) == expected


def test_an_epoch_without_a_number_is_never_the_best():
    saved = []
    best = by_accuracy(save=lambda: saved.append(1))
    play(best, both((0.9, math.nan), (0.5, 1.0)))
    assert best.epoch == 1
    assert weight(best) == 1
    assert len(saved) == 1


def test_an_epoch_without_a_number_is_no_progress():
    stopping = EarlyStopping(patience=2)
    assert play(stopping, losses([1, math.nan, math.nan, 0])) == 3
    assert weight(stopping) == 0


def test_saves_each_time_it_gets_better():
    saved = []
    reached = both((0.1, 1), (0.3, 1), (0.2, 1), (0.3, 0.5), (0.3, 0.5), (0.9, 1))
    play(by_accuracy(save=lambda: saved.append(len(saved))), reached)
    assert len(saved) == 4


def test_no_epoch_better_than_before_gives_the_weights_from_before_back():
    saved, said = [], []
    to_beat = {"val_accuracy": 0.6, "val_loss": 1.0}
    best = by_accuracy(to_beat=to_beat, save=lambda: saved.append(1), show=said.append)
    play(best, both((0.5, 0.1), (0.6, 1.0)))
    assert best.epoch is None
    assert weight(best) == -1
    assert not saved
    assert said == ["No epoch was better than val_accuracy 0.6000; the model stays as it was."]


def test_an_epoch_better_than_before_is_taken():
    best = by_accuracy(to_beat={"val_accuracy": 0.6, "val_loss": 1.0})
    play(best, both((0.5, 0.1), (0.6, 0.9), (0.1, 0.1)))
    assert best.epoch == 1
    assert weight(best) == 1


def test_what_is_to_be_beaten_is_progress_already():
    values = losses([3.0, 2.5, 0.5])
    assert play(EarlyStopping(patience=2, to_beat={"val_loss": 2.0}), values) == 2
    assert play(EarlyStopping(patience=2), values) == 3


def test_no_epoch_leaves_the_model_alone():
    best = EarlyStopping()
    play(best, [])
    assert best.epoch is None
    assert weight(best) == -1


def test_a_gain_too_small_to_wait_for_is_kept():
    stopping = EarlyStopping(patience=2, min_improvement=0.5)
    assert play(stopping, losses([1.0, 0.8, 0.6, 0.0])) == 3
    assert weight(stopping) == 2


def test_many_small_gains_are_progress_together():
    stopping = EarlyStopping(patience=2, min_improvement=0.5)
    assert play(stopping, losses([2.0, 1.7, 1.4, 1.1, 0.8, 0.8, 0.8])) == 7


def test_no_patience_is_lost_during_the_warm_up():
    values = losses([1, 2, 2, 2, 2, 2, 2, 2])
    assert play(EarlyStopping(patience=2), values) == 3
    stopping = EarlyStopping(patience=2, warm_up=4)
    assert play(stopping, values) == 6
    assert weight(stopping) == 0


def test_the_last_weights_stay_where_the_best_are_not_to_be_restored():
    said = []
    stopping = EarlyStopping(patience=2, restore=False, show=said.append)
    play(stopping, losses([2, 1, 3, 3, 3]))
    assert weight(stopping) == 3
    assert stopping.epoch == 1
    assert said == [
        "Stopped early: val_loss has not improved for 2 epochs.",
        "Best epoch: 2, val_loss 1.0000; the last weights are kept.",
    ]


def test_says_which_epoch_was_the_best():
    said = []
    play(EarlyStopping(patience=1, show=said.append), losses([2, 1, 3]))
    assert said == [
        "Stopped early: val_loss has not improved for 1 epoch.",
        "Best epoch: 2, val_loss 1.0000; its weights are restored.",
    ]


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    hands = [100.0]
    monkeypatch.setattr(
        "dlapps.callbacks.early_stopping.time", SimpleNamespace(perf_counter=lambda: hands[0])
    )
    return hands


def test_the_time_budget_counts_all_sessions(clock):
    said = []
    stopping = EarlyStopping(seconds=10.0)
    play(stopping, losses([1, 2]))
    clock[0] += 6
    state = stopping.get_state()  # The clock went on after the end of the training.
    assert state["spent"] == 0
    stopping.set_model(model_of(0))
    stopping.on_train_begin()
    clock[0] += 6
    assert stopping.get_state()["spent"] == 6
    resumed = EarlyStopping(seconds=10.0, show=said.append)
    resumed.set_state(stopping.get_state())
    clock[0] += 50
    resumed.set_model(model_of(0))
    resumed.on_train_begin()
    clock[0] += 3.5
    resumed.on_train_batch_end(0)
    assert not resumed.model.stop_training
    clock[0] += 0.5
    resumed.on_train_batch_end(1)
    assert resumed.model.stop_training
    resumed.on_train_end()
    assert said[0] == "Stopped early: the time budget of 10 s is spent."
    assert resumed.get_state()["spent"] == 10


def test_stops_in_the_midst_of_an_epoch_when_the_time_is_spent():
    seen = []
    count = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(batch)
    )
    stopping = EarlyStopping("loss", seconds=0.0)
    assert len(fit(network(), [stopping, count], epochs=3)["loss"]) == 1
    assert seen == [0]
    assert stopping.epoch == 0


def test_works_in_a_real_training():
    model, stopping = network(SGD(0.3, 0.9)), EarlyStopping(patience=3)
    held_out = (X[:8], Y[:8])
    values = fit(model, [stopping], 20, X[8:], Y[8:], validation_data=held_out)["val_loss"]
    assert stopping.epoch == np.argmin(values)
    assert 0 < stopping.epoch < len(values) - 1
    assert len(values) == stopping.epoch + 4
    after = model.evaluate(X[:8], Y[:8], verbose=0)
    assert after == pytest.approx(values[stopping.epoch], rel=1e-4)


def test_a_resumed_training_stops_as_one_never_stopped(tmp_path):
    def make():
        return [EarlyStopping("loss", patience=2)]

    model, other = network(SGD(0.3, 0.9)), network(SGD(0.3, 0.9))
    (one,), expected = whole(model, make, epochs=20)
    (two,), logs = split(tmp_path, other, make, epoch=len(expected) - 1, epochs=20)
    assert logs == expected
    assert len(logs) < 20
    assert two.epoch == one.epoch
    for ours, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_resumed_after_any_epoch_it_decides_the_same(tmp_path):
    for series in SERIES:
        never_stopped = EarlyStopping(patience=2, min_improvement=0.15)
        epochs = play(never_stopped, losses(series))
        for epoch in range(1, epochs):
            before = EarlyStopping(patience=2, min_improvement=0.15)
            play(before, losses(series[:epoch]))
            write_state(tmp_path / "state.npz", before.get_state())
            after = EarlyStopping(patience=2, min_improvement=0.15)
            after.set_state(read_state(tmp_path / "state.npz"))
            assert play(after, losses(series[epoch:]), first=epoch) == epochs - epoch
            assert after.epoch == never_stopped.epoch
            assert weight(after) == weight(never_stopped)


def test_a_measure_that_is_not_there_is_refused():
    words = r"There is no measure 'val_f1'; there are loss, val_loss\."
    with pytest.raises(ValueError, match=words):
        play(EarlyStopping("val_f1"), losses([1]))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"patience": 0}, r"patience must be at least 1 epoch, got 0\."),
        ({"min_improvement": -0.1}, r"min_improvement must not be negative, got -0\.1\."),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        EarlyStopping(**settings)
