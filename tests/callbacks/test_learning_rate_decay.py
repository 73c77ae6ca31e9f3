import json

import keras
import numpy as np
import pytest
from keras.optimizers import SGD, LossScaleOptimizer, schedules

from dlapps.callbacks.learning_rate_decay import LearningRateDecay
from dlapps.schedules import KINDS
from tests.callbacks.trainings import STEPS, fit, linear, network, split, whole

KERAS = {
    "constant": lambda steps: lambda step: 0.5,
    "step": lambda steps: schedules.ExponentialDecay(0.5, 2 * steps, 0.3, staircase=True),
    "exponential": lambda steps: schedules.ExponentialDecay(0.5, 2 * steps, 0.1),
    "inverse-time": lambda steps: schedules.InverseTimeDecay(0.5, 2 * steps, 1.0),
    "cosine": lambda steps: schedules.CosineDecay(0.5, 2 * steps),
    "plateau": lambda steps: lambda step: 0.5,
}


class Player:
    """Plays a training without one, and keeps the rate at each step."""

    def __init__(self, decay, steps=5):
        self.model, self.steps, self.rates = linear(SGD(0.125)), steps, []
        self.take(decay)

    def take(self, decay):
        self.decay = decay
        decay.set_model(self.model)
        decay.set_params({"steps": self.steps})
        decay.on_train_begin()

    def begin(self, epoch):
        self.decay.on_epoch_begin(epoch)

    def step(self, batch):
        self.decay.on_train_batch_begin(batch)
        self.rates.append(float(self.model.optimizer.learning_rate))
        self.decay.on_train_batch_end(batch)

    def play(self, epochs, values=None):
        """Plays whole epochs, with a value of the measure in each; returns the rates."""
        for epoch in range(epochs):
            self.begin(epoch)
            for batch in range(self.steps):
                self.step(batch)
            self.decay.on_epoch_end(epoch, {"val_loss": values[epoch] if values else 1.0})
        return self.rates


class Rates(keras.callbacks.Callback):
    """Keeps the rate of each step in a training."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def on_train_batch_begin(self, batch, logs=None):
        self.kept.append(float(self.model.optimizer.learning_rate))


@pytest.mark.parametrize("kind", KINDS)
def test_sets_the_rate_of_each_step_as_keras_does(kind):
    rates = Player(LearningRateDecay(kind, 0.5, period=2, drop=0.3)).play(4)
    expected = [float(KERAS[kind](5)(step)) for step in range(20)]
    if kind == "plateau":  # Its measure is best in the first epoch.
        expected[15:] = [0.15] * 5
    assert rates == pytest.approx(expected, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("kind", sorted({*KINDS} - {"plateau"}))
def test_sets_the_rate_of_each_epoch_as_keras_does(kind):
    rates = Player(LearningRateDecay(kind, 0.5, period=2, drop=0.3, per="epoch")).play(4)
    expected = [float(KERAS[kind](1)(epoch)) for epoch in range(4)]
    assert rates == pytest.approx(np.repeat(expected, 5), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("higher", [False, True])
@pytest.mark.parametrize("patience", [1, 2, 3])
def test_a_plateau_lowers_the_rate_where_keras_does(patience, higher):
    rng = np.random.default_rng(patience)
    for _ in range(3):
        values = rng.integers(0, 9, 20).tolist()
        decay = LearningRateDecay("plateau", 0.5, patience, 0.5, higher_is_better=higher)
        player = Player(decay, steps=1)
        theirs = keras.callbacks.ReduceLROnPlateau(
            factor=0.5, patience=patience, mode="max" if higher else "min", min_delta=0
        )
        model, expected = linear(SGD(0.5)), []
        theirs.set_model(model)
        theirs.on_train_begin()
        for epoch, value in enumerate(values):
            expected.append(float(model.optimizer.learning_rate))
            theirs.on_epoch_end(epoch, {"val_loss": value})
        assert player.play(20, values) == pytest.approx(expected)
        assert len({*expected}) > 2


def test_the_rate_rises_along_a_line_and_never_from_0():
    warm_up = {"kind": "constant", "rate": 0.5, "period": 1, "warm_up": 2}
    by_step = Player(LearningRateDecay(**warm_up)).play(3)
    assert by_step == pytest.approx([*np.linspace(0.05, 0.5, 10), *[0.5] * 5])
    by_epoch = Player(LearningRateDecay(**warm_up, per="epoch")).play(3)
    assert by_epoch == pytest.approx(np.repeat([0.25, 0.5, 0.5], 5))


def test_a_plateau_waits_for_the_end_of_the_warm_up():
    said = []
    decay = LearningRateDecay("plateau", 0.5, 2, 0.5, warm_up=4, per="epoch", show=said.append)
    rates = Player(decay, steps=1).play(8)
    assert rates == pytest.approx([0.125, 0.25, 0.375, 0.5, 0.5, 0.5, 0.25, 0.25])
    assert said == ["val_loss has not improved; learning rate times 0.5."] * 2


@pytest.mark.parametrize(("per", "late"), [("step", 1), ("epoch", 5)])
def test_a_change_by_somebody_else_is_a_factor_from_then_on(per, late):
    decay = LearningRateDecay("exponential", 0.5, 2, per=per)
    plain = Player(LearningRateDecay("exponential", 0.5, 2, per=per)).play(3)
    player = Player(decay)
    player.begin(0)
    player.step(0)
    player.model.optimizer.learning_rate = 0.25 * player.rates[-1]
    for batch in range(1, 5):
        player.step(batch)
    decay.on_epoch_end(0, {})
    first = [*player.rates]
    player.rates.clear()
    for epoch in (1, 2):
        player.begin(epoch)
        for batch in range(5):
            player.step(batch)
        decay.on_epoch_end(epoch, {})
    assert first == pytest.approx([plain[0], *np.multiply(plain[1:5], 0.25)])
    assert player.rates == pytest.approx(np.multiply(plain[5:], 0.25))


@pytest.mark.parametrize("per", ["step", "epoch"])
def test_a_change_in_an_epoch_that_brought_no_progress_counts_once(per):
    player = Player(LearningRateDecay("plateau", 0.5, 1, 0.5, per=per), steps=1)
    for epoch in range(3):
        player.begin(epoch)
        player.step(0)
        if epoch == 1:
            player.model.optimizer.learning_rate = 0.125  # As a rollback would.
        player.decay.on_epoch_end(epoch, {"val_loss": 1.0})
    assert player.rates == pytest.approx([0.5, 0.5, 0.125 * 0.5])


def test_works_in_a_real_training():
    rates = Rates()
    decay = LearningRateDecay("cosine", 0.5, 2)
    model = network(LossScaleOptimizer(SGD(0.125)), "mixed_float16")
    fit(model, [decay, rates], epochs=2)
    expected = schedules.CosineDecay(0.5, 2 * STEPS)
    assert rates.kept == pytest.approx([float(expected(step)) for step in range(12)], rel=1e-5)


def test_the_rate_holds_for_the_steps_that_run_at_once():
    rates = Rates()
    model = network(SGD(0.125), steps_per_execution=2)
    fit(model, [LearningRateDecay("exponential", 0.5, 2), rates], epochs=2)
    expected = schedules.ExponentialDecay(0.5, 2 * STEPS, 0.1)
    assert rates.kept == pytest.approx([float(expected(step)) for step in range(0, 12, 2)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("per", ["step", "epoch"])
def test_resumed_at_any_step_it_sets_the_same_rates(kind, per):
    def make():
        return LearningRateDecay(kind, 0.5, 3, 0.3, warm_up=1.4, per=per, steps=5)

    values = [3.0, 2.0, 2.5, 2.5, 2.5, 1.0]
    expected = Player(make()).play(6, values)
    player = Player(make())
    for epoch, value in enumerate(values):
        player.begin(epoch)
        for batch in range(5):
            player.step(0)
            state = json.loads(json.dumps(player.decay.get_state()))
            player.take(make())
            player.decay.set_state(state)
            if batch < 4:
                player.begin(epoch)  # As Keras begins what is left of the epoch.
        player.decay.on_epoch_end(epoch, {"val_loss": value})
    assert player.rates == pytest.approx(expected)


def test_a_resumed_training_ends_with_the_same_weights(tmp_path):
    def make():
        return [LearningRateDecay("cosine", 0.5, 2, warm_up=0.5, steps=STEPS)]

    model, other = network("adam"), network("adam")
    whole(model, make, epochs=2)
    split(tmp_path, other, make, epoch=0, step=4, epochs=2)
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_where_nobody_knows_how_long_an_epoch_is_the_steps_must_be_given():
    words = r"steps must be given, for Keras does not know how many an epoch has\."
    for settings in ({"kind": "cosine"}, {"kind": "constant", "warm_up": 1}):
        with pytest.raises(ValueError, match=words):
            Player(LearningRateDecay(**settings, rate=0.5, period=2), steps=None)
    for settings in ({"steps": 5}, {"per": "epoch"}):
        Player(LearningRateDecay("cosine", 0.5, 2, **settings), steps=None)
    Player(LearningRateDecay("plateau", 0.5, 2), steps=None)


def test_a_plateau_of_a_measure_that_is_not_there_is_refused():
    decay = LearningRateDecay("plateau", 0.5, 2, measure="val_f1")
    words = r"There is no measure 'val_f1'; there are loss, val_loss\."
    with pytest.raises(ValueError, match=words):
        decay.on_epoch_end(0, {"loss": 1, "val_loss": 1})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kind": "linear"}, r"kind must be one of constant, .*, plateau, got 'linear'\."),
        ({"per": "batch"}, r"per must be 'step' or 'epoch', got 'batch'\."),
        ({"rate": 0}, r"rate and period must be above 0, got 0 and 2\."),
        ({"period": -1}, r"rate and period must be above 0, got 0\.5 and -1\."),
        ({"drop": 1.0}, r"drop must be in \(0, 1\), got 1\.0\."),
        ({"warm_up": -1}, r"warm_up must not be negative, got -1\."),
        ({"warm_up": 2}, r"warm_up must be below the period of a cosine, got 2 and 2\."),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        LearningRateDecay(**{"kind": "cosine", "rate": 0.5, "period": 2, **settings})
