from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlapps.layers import _lstm_loop
from dlapps.layers.fast_lstm import FastLSTM
from tests.contract import check_layer

FEATURES, UNITS, TIME = 3, 4, 3
CLOSE = {"rtol": 1e-4, "atol": 1e-5}
ALL = {"return_sequences": True, "return_state": True}


@pytest.fixture(autouse=True)
def three_cores(monkeypatch):
    """The same parts of a batch on every machine."""
    monkeypatch.setattr(_lstm_loop, "os", SimpleNamespace(cpu_count=lambda: 3))


@pytest.fixture
def runs(monkeypatch):
    """The shapes of what the fast loop is given, each time that it runs."""
    shapes, forwards = [], _lstm_loop._forwards

    def spied(projected, *rest):
        shapes.append(tuple(projected.shape))
        return forwards(projected, *rest)

    monkeypatch.setattr(_lstm_loop, "_forwards", spied)
    return shapes


def numbers(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def data(batch=2, time=TIME):
    """Returns sequences and the two states before them."""
    return (
        numbers(batch, time, FEATURES),
        numbers(batch, UNITS, seed=1),
        numbers(batch, UNITS, seed=2),
    )


def pair(**settings):
    """Returns Keras' layer and ours with the same weights, none of them zero."""
    settings = {**ALL, **settings}
    theirs = keras.layers.LSTM(UNITS, use_cudnn=False, **settings)
    ours = FastLSTM(UNITS, **settings)
    for layer in (theirs, ours):
        layer.build((2, None, FEATURES))
        shapes = [weight.shape for weight in layer.trainable_weights]
        values = [numbers(*shape, seed=k) / 2 for k, shape in enumerate(shapes, 3)]
        for weight, value in zip(layer.trainable_weights, values, strict=True):
            weight.assign(value)
        layer.cell.seed_generator.state.assign([1, 2])
    return theirs, ours


def results(layer, inputs, compiled=False, **call):
    """Returns by name what a layer gives, and the gradients of all that goes in."""

    def run(x, *states):
        weights = [weight.value for weight in layer.trainable_weights]
        with tf.GradientTape() as tape:
            tape.watch([x, *states])
            outputs = layer(x, initial_state=[*states] or None, **call)
            several = outputs if isinstance(outputs, list | tuple) else [outputs]
            # Each output counts, each number of it differently.
            loss = sum(
                tf.reduce_sum(tf.cast(each, tf.float32) * numbers(*each.shape, seed=k))
                for k, each in enumerate(several, 9)
            )
        return [*several], tape.gradient(loss, [x, *states, *weights])

    outputs, gradients = (tf.function(run) if compiled else run)(*inputs)
    names = ["sequences", "hidden", "cell"][: len(inputs)]
    names += [weight.name for weight in layer.trainable_weights]
    found = {f"output {k}": each.numpy() for k, each in enumerate(outputs)}
    found |= {f"gradient of {name}": g for name, g in zip(names, gradients, strict=True)}
    return {name: np.asarray(each) for name, each in found.items()}


def assert_alike(theirs, ours, **close):
    assert theirs.keys() == ours.keys()
    for name, expected in theirs.items():
        np.testing.assert_allclose(ours[name], expected, **(close or CLOSE), err_msg=name)


@pytest.mark.parametrize(
    ("batch", "time", "compiled"),
    [
        pytest.param(1, TIME, False, id="one row"),
        pytest.param(5, TIME, False, id="one part"),
        pytest.param(33, TIME, False, id="three parts"),
        pytest.param(33, TIME, True, id="three parts, compiled"),
        pytest.param(5, 1, False, id="one step"),
    ],
)
def test_gives_what_keras_gives_and_the_same_gradients(runs, batch, time, compiled):
    theirs, ours = (results(layer, data(batch, time), compiled) for layer in pair())
    assert runs
    assert_alike(theirs, ours)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"go_backwards": True}, id="backwards"),
        pytest.param({"use_bias": False}, id="no bias"),
        pytest.param({"return_sequences": False}, id="last output"),
        pytest.param({"return_state": False}, id="no states"),
        pytest.param({"dropout": 0.5}, id="dropout"),
        pytest.param({"recurrent_dropout": 0.5}, id="recurrent dropout"),
        pytest.param({"dropout": 0.4, "recurrent_dropout": 0.3}, id="both dropouts"),
        pytest.param({"dropout": 0.5, "implementation": 1}, id="dropout by gate"),
        pytest.param(
            {"dropout": 0.4, "recurrent_dropout": 0.3, "go_backwards": True, "use_bias": False},
            id="all",
        ),
    ],
)
def test_gives_what_keras_gives_with_any_settings(runs, settings):
    theirs, ours = (results(layer, data(), training=True) for layer in pair(**settings))
    assert runs
    assert_alike(theirs, ours)


def test_dropout_is_shared_out_with_the_rows_of_a_batch(runs):
    layers = pair(dropout=0.4, recurrent_dropout=0.3)
    theirs, ours = (results(layer, data(33), training=True) for layer in layers)
    assert len(runs) == 3
    assert_alike(theirs, ours)


@pytest.mark.parametrize(
    ("batch", "parts"), [(1, [1]), (15, [15]), (16, [8, 8]), (33, [11, 11, 11]), (35, [11, 12, 12])]
)
def test_each_core_takes_a_part_of_a_batch_that_is_large_enough(monkeypatch, batch, parts):
    given = []

    def forwards(projected, kernel, hidden, cell, masks):
        given.append(projected[:, 0, 0].numpy())
        each = tf.tile(cell[:, None], (1, projected.shape[1], 1))
        return each, cell

    monkeypatch.setattr(_lstm_loop, "_forwards", forwards)
    rows = tf.range(batch, dtype=tf.float32)
    projected = tf.tile(rows[:, None, None], (1, 1, 4 * UNITS))
    states = [tf.tile(rows[:, None], (1, UNITS))] * 2
    for whole in _lstm_loop.recurrence(projected, tf.zeros((UNITS, 4 * UNITS)), states):
        np.testing.assert_array_equal(tf.reshape(whole, (batch, UNITS))[:, 0], rows)
    assert [len(part) for part in given] == parts
    np.testing.assert_array_equal(np.concatenate(given), rows)


def test_starts_from_zeros_where_no_states_are_given():
    _, ours = pair()
    x, *_ = data()
    zeros = tf.zeros((2, UNITS))
    for given, expected in zip(ours(x), ours(x, initial_state=[zeros, zeros]), strict=True):
        np.testing.assert_array_equal(given, expected)


@pytest.mark.parametrize("chosen", [0, 1, 2])
def test_a_gradient_may_come_from_one_output_alone(chosen):
    found = []
    x, *states = data()
    for layer in pair():
        with tf.GradientTape() as tape:
            tape.watch(states)
            loss = tf.reduce_sum(layer(x, initial_state=states)[chosen] ** 2)
        found.append(tape.gradient(loss, states))
    for theirs, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, **CLOSE)


def test_batch_and_time_may_be_unknown_when_it_is_traced(runs):
    theirs, ours = pair(dropout=0.4, recurrent_dropout=0.3)

    @tf.function(input_signature=[tf.TensorSpec((None, None, FEATURES))])
    def gradients(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = ours(x, training=True)
            loss = tf.add_n([tf.reduce_sum(each**2) for each in outputs])
        return outputs, tape.gradient(loss, [x, *[w.value for w in ours.trainable_weights]])

    for batch, time in ((2, 3), (9, 2)):
        for layer in (theirs, ours):
            layer.cell.seed_generator.state.assign([1, 2])
        x, *_ = data(batch, time)
        with tf.GradientTape() as tape:
            tape.watch(x)
            expected = theirs(x, training=True)
            loss = tf.add_n([tf.reduce_sum(each**2) for each in expected])
        sources = [x, *[weight.value for weight in theirs.trainable_weights]]
        outputs, found = gradients(x)
        for one, other in zip(
            [*expected, *tape.gradient(loss, sources)], [*outputs, *found], strict=True
        ):
            np.testing.assert_allclose(other, one, **CLOSE)
    assert runs == [(None, None, 4 * UNITS)]


# Of so many units no other test is, which would leave graphs behind.
@pytest.mark.parametrize(("units", "learns"), [(5, False), (6, True)])
def test_a_batch_of_known_size_may_follow_one_of_unknown_size(units, learns):
    layer = FastLSTM(units, return_sequences=True)
    layer.build((None, None, FEATURES))

    def slopes(sequences, known):
        with tf.GradientTape() as tape:
            tape.watch(sequences)
            total = tf.reduce_sum(layer(sequences) ** 2)
        return tape.gradient(total, sequences) if known or learns else total

    sequences, _, _ = data(1)
    any_size = tf.TensorSpec((None, None, FEATURES))
    tf.function(lambda x: slopes(x, False), input_signature=[any_size])(sequences)
    compiled = tf.function(lambda x: slopes(x, True), input_signature=[tf.TensorSpec((1, 3, 3))])
    np.testing.assert_allclose(compiled(sequences), slopes(sequences, True), **CLOSE)


@pytest.mark.parametrize("dropout", ["dropout", "recurrent_dropout"])
def test_dropout_is_off_outside_training_and_another_each_time_in_it(dropout):
    _, without = pair()
    _, ours = pair(**{dropout: 0.5})
    x, *_ = data()
    np.testing.assert_allclose(ours(x)[0], without(x)[0], **CLOSE)
    first, second = (ours(x, training=True)[0].numpy() for _ in range(2))
    assert (first != second).any()
    np.testing.assert_allclose(ours(x)[0], without(x)[0], **CLOSE)


def test_a_mask_is_left_to_keras(runs):
    mask = tf.constant([[True, False, True], [False, True, True]])
    theirs, ours = (results(layer, data(), mask=mask) for layer in pair())
    assert not runs
    assert_alike(theirs, ours)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"activation": "relu"}, id="activation"),
        pytest.param({"recurrent_activation": "hard_sigmoid"}, id="recurrent activation"),
        pytest.param({"activation": None}, id="no activation"),
        pytest.param({"unroll": True}, id="unrolled"),
    ],
)
def test_other_settings_are_left_to_keras(runs, settings):
    layers = pair(**settings)
    theirs, ours = (results(layer, data()) for layer in layers)
    assert not runs
    assert not layers[1].is_fast
    assert_alike(theirs, ours)


def test_other_devices_and_backends_are_left_to_keras(monkeypatch):
    assert FastLSTM(UNITS).is_fast
    with monkeypatch.context() as patched:
        patched.setattr(tf.config, "list_logical_devices", lambda kind: [f"{kind}:0"])
        assert not FastLSTM(UNITS).is_fast
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert not FastLSTM(UNITS).is_fast


def test_a_stateful_layer_goes_on_where_it_stopped():
    x, *_ = data()
    theirs, ours = pair(stateful=True)
    for part in (x[:, :1], x[:, 1:]):
        expected, given = theirs(part), ours(part)
        for one, other in zip([*expected, *theirs.states], [*given, *ours.states], strict=True):
            np.testing.assert_allclose(other, one, **CLOSE)
    np.testing.assert_allclose(given[0], pair()[1](x)[0][:, 1:], **CLOSE)
    ours.reset_state()
    np.testing.assert_allclose(ours(x[:, :1])[0], pair()[1](x)[0][:, :1], **CLOSE)


def test_weights_move_both_ways():
    x, *_ = data()
    theirs, ours = keras.layers.LSTM(UNITS), FastLSTM(UNITS)
    expected, before = theirs(x), ours(x)
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(ours(x), expected, **CLOSE)
    back = FastLSTM(UNITS)
    back.build(x.shape)
    theirs.set_weights(back.get_weights())
    np.testing.assert_allclose(theirs(x), back(x), **CLOSE)
    assert [w.path.split("/")[-1] for w in ours.weights] == [
        w.path.split("/")[-1] for w in theirs.weights
    ]
    assert np.abs(before - expected).max() > 1e-3


@pytest.mark.parametrize("use_bias", [True, False])
def test_project_and_read_give_what_a_call_gives(use_bias):
    _, ours = pair(use_bias=use_bias)
    x, *states = data()
    outputs, after = ours.read(ours.project(x), states)
    for given, expected in zip([outputs, *after], ours(x, initial_state=states), strict=True):
        np.testing.assert_allclose(given, expected, **CLOSE)
    np.testing.assert_allclose(ours.read(ours.project(x), None)[0], ours(x)[0], **CLOSE)


def test_project_and_read_drop_what_a_call_drops():
    _, ours = pair(dropout=0.4, recurrent_dropout=0.3)
    x, *states = data()
    expected = ours(x, initial_state=states, training=True)
    ours.cell.seed_generator.state.assign([1, 2])
    outputs, after = ours.read(ours.project(x, training=True), states, training=True)
    for given, other in zip([outputs, *after], expected, strict=True):
        np.testing.assert_allclose(given, other, **CLOSE)
    again, _ = ours.read(ours.project(x, training=True), states, training=True)
    assert np.abs(again - outputs).max() > 1e-3


def test_reading_on_from_the_states_is_reading_at_once():
    _, ours = pair()
    x, *_ = data()
    whole, last = ours.read(ours.project(x), None)
    first, states = ours.read(ours.project(x[:, :1]), None)
    second, after = ours.read(ours.project(x[:, 1:]), states)
    np.testing.assert_allclose(tf.concat([first, second], 1), whole, **CLOSE)
    for one, other in zip(after, last, strict=True):
        np.testing.assert_allclose(one, other, **CLOSE)


def test_what_is_projected_may_be_looked_up():
    _, ours = pair()
    table = numbers(7, FEATURES)
    ids = tf.constant([[0, 6, 3], [2, 2, 5]])
    np.testing.assert_allclose(
        tf.gather(ours.project(table), ids), ours.project(tf.gather(table, ids)), **CLOSE
    )


def test_a_bias_is_added_to_products_only_where_there_is_one():
    _, ours = pair()
    products = numbers(2, 4 * UNITS)
    np.testing.assert_allclose(ours.with_bias(products), products + ours.cell.bias, **CLOSE)
    _, without = pair(use_bias=False)
    np.testing.assert_array_equal(without.with_bias(products), products)


def test_mixed_precision_gives_roughly_the_same(runs):
    ours, mixed = (pair(dtype=policy)[1] for policy in ("float32", "mixed_bfloat16"))
    x, *_ = data()
    assert {each.dtype.name for each in mixed(x)} == {"bfloat16"}
    assert_alike(results(ours, [x]), results(mixed, [x]), rtol=0.05, atol=0.05)
    assert runs


def test_project_and_read_follow_the_policy_as_a_call_does():
    _, ours = pair(dtype="mixed_bfloat16")
    x, *_ = data()
    outputs, after = ours.read(ours.project(x), None)
    assert {each.dtype.name for each in (outputs, *after)} == {"bfloat16"}
    np.testing.assert_allclose(outputs, ours(x)[0], rtol=0.05, atol=0.05)


def test_a_gradient_may_be_taken_while_another_tape_records():
    found = []
    x, *_ = data()
    for layer in pair():
        with tf.GradientTape() as outer, tf.GradientTape() as tape:
            outer.watch(x)
            tape.watch(x)
            loss = tf.reduce_sum(layer(x)[0] ** 2)
            found.append(tape.gradient(loss, x))
    np.testing.assert_allclose(*found, **CLOSE)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_training_takes_the_steps_that_keras_takes(jit_compile):
    x, *_ = data(16)
    found = []
    for layer, jitted in zip(
        pair(return_sequences=False, return_state=False), (False, jit_compile), strict=True
    ):
        model = keras.Sequential([keras.Input((TIME, FEATURES)), layer])
        model.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=jitted)
        model.fit(x, numbers(16, UNITS), batch_size=16, epochs=3, verbose=0)
        found.append(model.get_weights())
    for theirs, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, **CLOSE)


def test_contract():
    check_layer(FastLSTM(UNITS, **ALL), data(3)[0].numpy())
