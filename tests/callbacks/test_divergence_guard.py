import math

import keras
import numpy as np
import pytest
from keras.optimizers import SGD, Adam, LossScaleOptimizer

from dlapps.callbacks.divergence_guard import DivergenceGuard
from dlapps.callbacks.learning_rate_decay import LearningRateDecay
from dlapps.schedules import scheduled_rate
from dlapps.states import read_state, write_state
from tests.callbacks.trainings import (
    BATCH,
    STEPS,
    Logs,
    Poison,
    X,
    Y,
    fit,
    linear,
    network,
    split,
    whole,
)


class Player:
    """Tells a guard of losses as Keras does: by the running mean of an epoch.

    The weights after each step are the number of the step, so that they tell where one went back.
    """

    def __init__(self, guard, per_epoch=10, at_once=1):
        self.guard, self.per_epoch, self.at_once = guard, per_epoch, at_once
        self.model = linear()
        self.model.reset_metrics = self.reset  # Keras' own; a guard calls it.
        self.model.stop_training = False
        self.seen, self.done, self.skipped = [], 0, 0
        self.begin()

    def reset(self):
        self.seen.clear()

    def begin(self):
        self.guard.set_model(self.model)
        self.guard.set_params({"steps": self.per_epoch})
        self.guard.on_train_begin()

    def play(self, losses):
        """Plays steps until the training is stopped; returns how many are done in all."""
        losses = [*losses]
        while losses and not self.model.stop_training:
            step = self.done % self.per_epoch
            if step == 0:
                self.reset()
                self.skipped = 0
                self.guard.on_epoch_begin(self.done // self.per_epoch)
            now = losses[: min(self.at_once, self.per_epoch - step)]
            del losses[: len(now)]
            batch = step - self.skipped
            self.guard.on_train_batch_begin(batch)
            self.seen += now
            self.done += len(now)
            self.model.set_weights([np.full((2, 1), self.done)])
            # Keras counts all steps of an execution, even those after the end of the data.
            last = batch + self.at_once - 1
            self.guard.on_train_batch_end(last, {"loss": float(np.mean(self.seen))})
            if self.done % self.per_epoch == 0:
                self.guard.on_epoch_end(self.done // self.per_epoch - 1, {})
        return self.done

    def resume(self, guard):
        """Goes on with another guard, within an epoch if need be."""
        self.guard = guard
        self.begin()
        self.skipped = self.done % self.per_epoch
        if self.skipped:
            guard.on_epoch_begin(self.done // self.per_epoch)

    @property
    def weight(self):
        return float(self.model.get_weights()[0][0, 0])


def smoothed(losses, smoothing):
    """Returns the mean of losses, of which each weighs `smoothing` times the one after it."""
    weights = smoothing ** np.arange(len(losses))[::-1]
    return float(np.sum(weights * losses) / np.sum(weights))


def noisy(seed, half_life, noise, steps=1500):
    """Returns the losses of a healthy training that ends near 0."""
    rng = np.random.default_rng(seed)
    return (2.3 * 0.5 ** (np.arange(steps) / half_life) + 1e-3) * rng.lognormal(0, noise, steps)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_stops_even_at_the_start(bad):
    guard = DivergenceGuard("stop", grace=50)
    assert Player(guard).play([1, 2, bad, 1]) == 3
    assert guard.gave_up == f"The loss is {bad} at step 3"


@pytest.mark.parametrize("seed", range(5))
def test_a_smoothed_loss_above_the_limit_stops(seed):
    rng = np.random.default_rng(seed)
    losses = rng.lognormal(size=30) * np.r_[np.ones(20), 2.0 ** np.arange(10)]
    values = [smoothed(losses[: step + 1], 0.6) for step in range(30)]
    start = min(values[:2])  # 1 / (1 - 0.6) is 2.5.
    usual = [max(0.1 * start, min(values[2:step], default=math.inf)) for step in range(30)]
    expected = next(step for step in range(5, 30) if values[step] > 2.5 * usual[step])
    guard = DivergenceGuard("stop", factor=2.5, grace=5, smoothing=0.6)
    assert Player(guard, per_epoch=7).play(losses) == expected + 1
    assert guard.gave_up == (
        f"The loss is {values[expected]:.4g}, over 2.5 times its usual {usual[expected]:.4g} "
        f"at step {expected + 1}"
    )


def test_a_loss_may_explode_and_calm_down_during_the_grace():
    guard = DivergenceGuard("stop", grace=20, smoothing=0.0)
    assert Player(guard).play([1] * 15 + [100] * 4 + [1] * 20 + [4, 4]) == 40


@pytest.mark.parametrize("half_life", [1, 20, 200])
def test_the_noise_of_a_loss_near_0_is_no_divergence_nor_is_it_after_a_rollback(half_life):
    for seed in range(5):
        losses = noisy(seed, half_life, noise=0.5 if half_life > 100 else 1)
        for rollbacks in (0, 1):
            losses[703] = math.nan if rollbacks else losses[703]
            guard = DivergenceGuard()
            assert Player(guard).play(losses) == len(losses)
            assert guard.rollbacks == rollbacks


def test_a_loss_below_0_is_no_divergence():
    losses = -5 + np.random.default_rng(0).normal(size=300)
    said = []
    Player(DivergenceGuard(show=said.append)).play(np.r_[losses, losses / 30])
    assert said == []
    Player(DivergenceGuard("warn", show=said.append)).play(np.r_[losses, [20] * 9])
    assert len(said) == 1


def test_a_rollback_restores_weights_and_optimizer_and_halves_the_rate():
    model, said = network(Adam(0.25, name="adam")), []
    guard, kept = DivergenceGuard(grace=2, every=3, show=said.append), {}

    class Keep(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            variables = [*model.weights, *model.optimizer.variables]
            kept[len(kept) + 1] = [variable.numpy() for variable in variables]

    # The state after step 6 is not known to be good when step 7 shows that it is not.
    fit(model, [Poison(7), Keep(), guard, Keep()], epochs=2)
    before, restored = kept[2 * 3], kept[2 * 7]
    rate = [variable.path for variable in model.optimizer.variables].index("adam/learning_rate")
    rate += len(model.weights)
    assert restored.pop(rate) == before.pop(rate) / 2 == 0.125
    for one, other in zip(restored, before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert said[0] == (
        "The loss is nan at step 7. Back to the last good state, with the learning rate at 0.125 "
        "(rollback 1 of 3)."
    )


def test_a_state_that_has_run_away_unnoticed_is_never_good():
    player = Player(DivergenceGuard(grace=20, every=5))
    player.play(2.0 ** np.arange(21))
    assert player.guard.rollbacks == 1
    assert player.weight == 0


def test_a_state_is_good_only_if_the_loss_after_it_is():
    player = Player(DivergenceGuard(grace=5, every=10))
    player.play([1] * 20 + [8])  # Not over the limit, but far above the usual.
    assert player.guard.rollbacks == 0
    player.play([math.nan])
    assert player.weight == 10


def test_gives_up_when_it_has_gone_back_too_often():
    said = []
    guard = DivergenceGuard(times=2, show=said.append)
    player = Player(guard)
    assert player.play([1, math.nan, 1, math.nan, 1, math.nan, 1]) == 6
    assert len(said) == 2
    assert guard.gave_up == "The loss is nan at step 6, after 2 rollbacks"
    assert float(player.model.optimizer.learning_rate) == 0.25


def test_warns_once_for_each_divergence():
    said = []
    guard = DivergenceGuard("warn", grace=2, smoothing=0.0, show=said.append)
    player = Player(guard, per_epoch=4)
    losses = [1, 1, 1, math.nan, *[math.inf, 9, 9, 9], *[1, 9, 9, 9], *[9, 9, 1, 1]]
    assert player.play(losses) == 16
    assert said == [
        "The loss is nan at step 4. Training goes on.",
        "The loss is 9, over 3 times its usual 1 at step 10. Training goes on.",
    ]
    assert not player.model.stop_training


def test_sees_the_same_however_many_steps_run_at_once():
    losses = np.repeat(np.random.default_rng(0).lognormal(size=30), 2)
    states = []
    for at_once in (1, 2, 4):
        guard = DivergenceGuard("warn", grace=8, smoothing=0.5)
        assert Player(guard, per_epoch=10, at_once=at_once).play(losses) == 60
        states.append(guard.get_state())
        assert guard.step == 60  # Though 10 is not a multiple of 4.
    assert states[1] == pytest.approx(states[0])
    assert states[2]["smoothed"] == pytest.approx(states[0]["smoothed"], rel=0.2)


def test_the_mean_of_an_epoch_begins_anew_after_a_rollback():
    model, logs = linear(size=3), Logs()
    fit(model, [Poison(3), DivergenceGuard(), logs])
    losses = [
        float(np.mean(X[step * BATCH : (step + 1) * BATCH] @ before[0]))
        for step, (before, _) in enumerate(logs.steps[0])
    ]
    assert math.isnan(losses[2])
    assert logs.epochs[0]["loss"] == pytest.approx(np.mean(losses[3:]), rel=1e-4)


def test_an_epoch_that_ends_with_a_rollback_has_no_loss():
    guard = DivergenceGuard()
    history = fit(network(), [Poison(STEPS), guard], epochs=2)
    assert guard.rollbacks == 1
    assert math.isnan(history["loss"][0])
    assert math.isfinite(history["loss"][1])


def test_the_cut_stays_as_a_factor_on_a_schedule():
    rates = []

    class Rates(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            rates.append(float(self.model.optimizer.learning_rate))

    decay = LearningRateDecay("cosine", 0.5, period=2)
    fit(network(Adam(0.5)), [decay, DivergenceGuard(), Poison(3, 9), Rates()], epochs=2)
    planned = [scheduled_rate(step / STEPS, "cosine", 0.5, 2) for step in range(2 * STEPS)]
    cuts = [1] * 3 + [0.5] * 6 + [0.25] * 3
    assert rates == pytest.approx(np.multiply(planned, cuts), rel=1e-5)


def test_watches_a_float16_loss_with_its_scale():
    model = network(LossScaleOptimizer(SGD(0.5), 2.0**10), "mixed_float16")
    guard = DivergenceGuard()
    history = fit(model, [Poison(4), guard], epochs=2)
    assert guard.rollbacks == 1
    assert math.isfinite(history["loss"][1])
    assert float(model.optimizer.learning_rate) == 0.25


@pytest.mark.parametrize(("step", "rollbacks"), [(1, 0), (3, 1)])
def test_a_model_that_is_not_built_is_watched_from_its_first_step(step, rollbacks):
    model = keras.Sequential([keras.layers.Dense(2)])
    model.compile("sgd", "mse", jit_compile=False)
    y, guard = Y.copy(), DivergenceGuard()
    y[(step - 1) * BATCH] = np.nan
    fit(model, [guard], y=y)
    assert guard.rollbacks == rollbacks
    assert (guard.gave_up == "The loss is nan at step 1") == (step == 1)
    assert np.isfinite(model.get_weights()[0]).all() == (step == 3)


def test_a_resumed_training_decides_as_one_never_stopped(tmp_path):
    def guard(said):
        return DivergenceGuard(grace=10, smoothing=0.5, every=4, show=said.append)

    losses = np.random.default_rng(0).lognormal(size=60)
    losses[[17, 33]] = math.nan
    losses[48:52] = 20
    said, resumed_said = [], []
    whole, resumed = Player(guard(said)), Player(guard(resumed_said))
    for loss in losses:
        whole.play([loss])
        resumed.play([loss])
        write_state(tmp_path / "state.npz", resumed.guard.get_state())
        twin = guard(resumed_said)
        twin.set_state(read_state(tmp_path / "state.npz"))
        resumed.resume(twin)
        assert resumed.weight == whole.weight
    assert resumed_said == said
    assert len(said) == 3


def test_a_resumed_training_goes_back_to_the_same_weights(tmp_path):
    def make():
        return [Poison(8, 14), DivergenceGuard(grace=2, every=3)]

    model, other = network(Adam(0.1)), network(Adam(0.1))
    _, expected = whole(model, make, epochs=3)
    (_, guard), logs = split(tmp_path, other, make, epoch=1, step=4, epochs=3)
    assert guard.rollbacks == 2
    assert logs == [pytest.approx(each) for each in expected]
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"action": "stay"}, r"action must be one of rollback, stop, warn, got 'stay'\."),
        ({"factor": 1.0}, r"factor must be above 1, got 1\.0\."),
        ({"cut": 1.0}, r"cut must be in \(0, 1\), got 1\.0\."),
        ({"smoothing": 1.0}, r"smoothing must be in \[0, 1\), got 1\.0\."),
        ({"every": 0}, r"every must be at least 1 step, got 0\."),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        DivergenceGuard(**settings)


def test_what_is_better_than_chance_has_not_diverged():
    said = []
    guard = DivergenceGuard("stop", grace=10, chance=1.6, show=said.append)
    player = Player(guard)
    player.play([0.05] * 40 + [1.0] * 40)
    assert guard.gave_up is None
    player.play([3.0] * 40)
    assert "over the 1.6 of a model that knows nothing" in guard.gave_up
