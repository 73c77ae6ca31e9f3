import numpy as np
import pytest
import tensorflow as tf
from keras.optimizers import SGD, AdamW, LossScaleOptimizer

from dlapps.callbacks.slower_learning import SlowerLearning
from dlapps.callbacks.update_ratio_logger import UpdateRatioLogger
from tests.callbacks.trainings import BATCH, Logs, X, Y, fit, linear, network

ROWS = np.random.default_rng(1).normal(size=(24, 2)).astype(np.float32)


def slowly(factor=0.1):
    """Returns a network and a callback that slows its first layer."""

    def make(optimizer, **settings):
        model = network(optimizer, **settings)
        return model, SlowerLearning(model.get_layer("hidden").trainable_weights, factor)

    return make


@pytest.mark.parametrize(
    "optimizer",
    [
        pytest.param(lambda rate: SGD(rate), id="sgd"),
        pytest.param(lambda rate: AdamW(rate, weight_decay=0.3), id="adamw"),
        pytest.param(lambda rate: AdamW(rate, gradient_accumulation_steps=2), id="accumulated"),
    ],
)
def test_is_a_lower_learning_rate_for_some_weights(optimizer):
    model, callback = slowly(0.1)(optimizer(0.1))
    fit(model, [callback], epochs=3)
    # The same with an optimizer for each layer.
    other = network()
    parts = [(optimizer(rate), other.get_layer(name).trainable_weights)
             for name, rate in (("hidden", 0.01), ("out", 0.1))]  # fmt: skip
    for start in [*range(0, len(X), BATCH)] * 3:
        with tf.GradientTape(persistent=True) as tape:
            error = other(X[start : start + BATCH]) - Y[start : start + BATCH]
            loss = tf.reduce_mean(tf.square(error))
        for each, weights in parts:
            each.apply(tape.gradient(loss, [weight.value for weight in weights]), weights)
    for ours, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        pytest.param(lambda: SGD(0.5), {}, id="plain"),
        pytest.param(lambda: SGD(0.5, 0.9), {}, id="momentum"),
        pytest.param(lambda: SGD(0.5, gradient_accumulation_steps=3), {}, id="accumulated"),
        pytest.param(lambda: SGD(0.5), {"steps_per_execution": 3}, id="several-steps-at-once"),
        pytest.param(lambda: SGD(0.5), {"policy": "mixed_bfloat16"}, id="bfloat16"),
        pytest.param(
            lambda: LossScaleOptimizer(SGD(0.5), 2.0**17), {"policy": "mixed_float16"}, id="float16"
        ),
    ],
)
def test_takes_a_part_of_every_step_however_steps_are_made(optimizer, settings):
    ends = []
    for slow in (False, True):
        model = linear(optimizer(), **settings)
        callbacks = [SlowerLearning(model.trainable_weights, 0.25)] if slow else []
        fit(model, callbacks, 2, ROWS, np.zeros((24, 1), np.float32))
        ends.append(model.get_weights()[0])
    assert np.abs(ends[0]).min() > 0.01
    np.testing.assert_allclose(ends[1], 0.25 * ends[0], rtol=1e-4)


def test_a_factor_of_1_changes_nothing():
    model, callback = slowly(1.0)("adam")
    fit(model, [callback])
    other = network("adam")
    fit(other, [])
    for ours, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_what_watches_updates_sees_the_shortened_step():
    seen = []
    for factor in (1.0, 0.1):
        model, callback = slowly(factor)(SGD(0.1))
        ratios, logs = UpdateRatioLogger(), Logs()
        fit(model, [callback, ratios, logs], batch_size=len(X))
        ((before, after),) = logs.steps[0]
        moved = [
            np.linalg.norm(new - old) / np.linalg.norm(old)
            for old, new in zip(before, after, strict=True)
        ]
        said = [tensor["update_ratio_mean"] for tensor in ratios.layers.values()]
        assert said == pytest.approx(moved, rel=1e-4)
        seen.append(said)
    np.testing.assert_allclose(seen[1][:2], 0.1 * np.array(seen[0][:2]), rtol=1e-3)
    np.testing.assert_allclose(seen[1][2:], seen[0][2:], rtol=1e-5)


def test_after_the_training_steps_are_whole_again():
    model, callback = slowly(0.1)(SGD(0.1))
    fit(model, [callback])
    start = model.get_weights()
    fit(model, [])
    other = network(SGD(0.1))
    other.set_weights(start)
    fit(other, [])
    for ours, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_a_training_gone_on_with_is_slowed_as_before():
    ends = []
    for parts in ((4,), (1, 4)):
        model, _ = slowly()("adamw")
        for begun, epochs in zip((0, *parts), parts, strict=False):
            hidden = model.get_layer("hidden").trainable_weights
            fit(model, [SlowerLearning(hidden)], epochs, initial_epoch=begun)
        ends.append(model.get_weights())
    for ours, theirs in zip(*ends, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("factor", [0, 1.5])
def test_a_factor_that_is_no_part_is_refused(factor):
    with pytest.raises(ValueError, match=rf"factor must be in \(0, 1\], got {factor}"):
        SlowerLearning([], factor)
