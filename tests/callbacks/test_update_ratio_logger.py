import keras
import numpy as np
import pytest
from keras.optimizers import SGD, AdamW, LossScaleOptimizer

from dlapps.callbacks.gradient_clipping import GradientClipping
from dlapps.callbacks.update_ratio_logger import UpdateRatioLogger
from tests.callbacks.trainings import Logs, fit, linear, network, split, whole

NAMES = ["hidden/kernel", "hidden/bias", "out/kernel", "out/bias"]
# Optimizer, precision, updates from one measured to the next, and threshold of the norm.
CASES = {
    "momentum": (lambda: SGD(0.1, 0.9), "float32", 1, None),
    "weight-decay": (lambda: AdamW(0.1, weight_decay=0.5), "float32", 1, None),
    "clipped": (lambda: SGD(0.1), "float32", 1, 0.1),
    "bfloat16": (lambda: SGD(0.1), "mixed_bfloat16", 1, None),
    "float16": (lambda: LossScaleOptimizer(SGD(0.1), 2.0**18), "mixed_float16", 1, None),
    "accumulated": (lambda: SGD(0.1, gradient_accumulation_steps=4), "float32", 1, None),
    "every-third": (lambda: SGD(0.1, 0.9), "float32", 3, None),
}


def updates(steps):
    """Returns the steps that changed the weights."""
    return [
        (before, after)
        for before, after in steps
        if any((old != new).any() for old, new in zip(before, after, strict=True))
    ]


def measures(steps, every):
    """Returns the ratios of the updates of an epoch by hand: minimum, mean and maximum."""
    ratios = np.array(
        [
            [
                np.linalg.norm(new.astype(float) - old) / np.linalg.norm(old)
                for old, new in zip(before, after, strict=True)
            ]
            for before, after in updates(steps)[::every]
        ]
    )
    return ratios.min(axis=0), ratios.mean(axis=0), ratios.max(axis=0)


class Layers(keras.callbacks.Callback):
    """Keeps what the logger says layer by layer, epoch by epoch."""

    def __init__(self, ratios):
        super().__init__()
        self.ratios, self.epochs = ratios, []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(self.ratios.layers)


@pytest.mark.parametrize("case", CASES)
def test_measures_the_true_change_of_the_weights(case):
    optimizer, policy, every, threshold = CASES[case]
    ratios, logs = UpdateRatioLogger(every), Logs()
    clipping = [GradientClipping("global_norm", threshold)] if threshold else []
    model, layers = network(optimizer(), policy), Layers(ratios)
    fit(model, [*clipping, ratios, layers, logs], epochs=2)
    # An infinite gradient of a float16 loss is skipped, and one to be accumulated kept.
    every_step = all(updates(steps) == steps for steps in logs.steps)
    assert every_step == (case not in ("float16", "accumulated"))
    for epoch, steps in enumerate(logs.steps[:2]):
        low, mean, high = measures(steps, every)
        said = layers.epochs[epoch]
        assert [*said] == NAMES
        for name, expected in (("min", low), ("mean", mean), ("max", high)):
            found = [said[tensor][f"update_ratio_{name}"] for tensor in NAMES]
            assert found == pytest.approx(expected, rel=1e-4)
        assert [logs.epochs[epoch][f"update_ratio_{name}"] for name in ("min", "mean", "max")] == (
            pytest.approx([mean.min(), mean.mean(), mean.max()], rel=1e-4)
        )


def test_says_the_same_however_the_steps_are_run():
    ratios = UpdateRatioLogger(2)
    expected = fit(network(SGD(0.1, 0.9)), [ratios], epochs=2)
    for settings in ({"steps_per_execution": 4}, {"jit_compile": True}, {"run_eagerly": True}):
        other = UpdateRatioLogger(2)
        found = fit(network(SGD(0.1, 0.9), **settings), [other], epochs=2)
        for name in expected:
            assert found[name] == pytest.approx(expected[name], rel=1e-4)
        assert [*other.layers] == NAMES
        for name, each in ratios.layers.items():
            assert other.layers[name] == pytest.approx(each, rel=1e-4)


def test_a_frozen_layer_is_absent():
    model, ratios = network(), UpdateRatioLogger()
    model.layers[0].trainable = False
    model.compile("sgd", "mse", jit_compile=False)
    history = fit(model, [ratios])
    assert [*ratios.layers] == ["out/kernel", "out/bias"]
    means = [each["update_ratio_mean"] for each in ratios.layers.values()]
    assert history["update_ratio_max"] == [max(means)]


def test_a_weight_of_zero_has_no_ratio():
    x, y = np.array([[3.0, 4.0]]), np.zeros(1)
    model, ratios = linear(SGD(0.5)), UpdateRatioLogger(1)
    history = fit(model, [ratios], 2, x, y)
    assert "update_ratio_mean" in history  # Of the second epoch alone.
    assert history["update_ratio_mean"] == [1]
    assert ratios.layers["linear/kernel"]["update_ratio_min"] == 1
    model.set_weights([np.zeros((2, 1))])
    assert fit(model, [ratios], 1, x, y).keys() == {"loss"}
    assert ratios.layers == {}


def test_weights_of_the_same_path_are_told_apart():
    class Twins(keras.Model):
        def __init__(self):
            super().__init__()
            self.one = keras.layers.Dense(2, use_bias=False, name="twin")
            self.two = keras.layers.Dense(2, use_bias=False, name="twin")

        def call(self, inputs):
            return self.two(self.one(inputs))

    model, ratios = Twins(), UpdateRatioLogger()
    model.compile("sgd", "mse", jit_compile=False)
    fit(model, [ratios])
    assert [*ratios.layers] == ["twin/kernel", "twin/kernel_1"]


def test_training_does_not_feel_it():
    plain, watched = network("adam"), network("adam")
    fit(plain, [], 2)
    fit(watched, [UpdateRatioLogger(1)], 2)
    for one, two in zip(plain.get_weights(), watched.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_an_update_counts_once_after_a_training_that_was_interrupted():
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    ratios, model = UpdateRatioLogger(3), network()
    with pytest.raises(KeyboardInterrupt):
        fit(model, [ratios, Interrupt()])
    logs = Logs()
    fit(model, [ratios, logs])
    _, mean, _ = measures(logs.steps[0], 3)
    found = [each["update_ratio_mean"] for each in ratios.layers.values()]
    assert found == pytest.approx(mean, rel=1e-4)


def test_goes_on_where_other_layers_are_trained():
    model, ratios = network(), UpdateRatioLogger()
    model.layers[0].trainable = False
    for trainable, names in ((False, NAMES[2:]), (True, NAMES)):
        model.layers[0].trainable = trainable
        model.compile("sgd", "mse", jit_compile=False)
        fit(model, [ratios])
        assert [*ratios.layers] == names


def test_a_resumed_training_says_what_one_never_stopped_does(tmp_path):
    def make():
        return [UpdateRatioLogger(4)]

    (one,), expected = whole(network("adam"), make, epochs=2)
    (other,), logs = split(tmp_path, network("adam"), make, epoch=1, step=2, epochs=2)
    assert logs == [pytest.approx(each) for each in expected]
    assert other.layers == one.layers


def test_a_state_given_back_is_the_same():
    state = {"done": 7.0, "ratios": np.ones((4, 4)), "layers": {"a": {"b": 1.0}}}
    ratios = UpdateRatioLogger()
    fit(network(), [ratios])
    ratios.set_state(state)
    assert ratios.get_state().keys() == state.keys()
    for name, value in ratios.get_state().items():
        assert np.array_equal(value, state[name])


def test_every_must_be_an_update_or_more():
    with pytest.raises(ValueError, match=r"every must be at least 1 update, got 0\."):
        UpdateRatioLogger(0)
