import contextlib
import functools
import json
import math

import keras
import numpy as np
import pytest
from keras import layers

from dlapps.apps.classify.model import ImageClassifier
from dlapps.callbacks.activation_monitor import ActivationMonitor

# All weights but the biases are zero: they are what each activation gets. Of eight ReLU units
# three are dead; of the five activations of an LSTM's step (a GRU's three), one is flat.
EIGHT, DEAD = [0.5, -9, 1, 0, 2, 3, -1, 5], {"dead": 3 / 8, "largest": 5}
FORGET, UPDATE = np.repeat([0, 50, 0, 0], 2), np.repeat([50, 0, 0], 2)
HALF, THIRD, FIFTH = ({"saturated": 1 / count, "largest": 1} for count in (2, 3, 5))
CASES = {
    "dense": (lambda: layers.Dense(8, "relu"), EIGHT, DEAD),
    "convolution": (lambda: layers.Conv1D(8, 3, activation="relu"), EIGHT, DEAD),
    "layer": (lambda: layers.Dense(8, layers.ReLU()), EIGHT, DEAD),
    "time": (lambda: layers.TimeDistributed(layers.Dense(8, "relu")), EIGHT, DEAD),
    "nested": (lambda: sequential((7, 3), layers.Dense(8, "relu")), EIGHT, DEAD),
    "leaky": (lambda: OwnModel(layers.LeakyReLU(0.1)), EIGHT, {"largest": 5}),
    "slope": (lambda: OwnModel(layers.ReLU(negative_slope=0.1)), EIGHT, {"largest": 5}),
    "gelu": (lambda: OwnModel(layers.Activation("gelu")), EIGHT, {"largest": 5}),
    "ceiling": (lambda: OwnModel(layers.ReLU(5)), EIGHT, {**DEAD, "saturated": 1 / 8}),
    "relu6": (lambda: layers.Dense(3, "relu6"), [7, 1, 5], {**THIRD, "dead": 0, "largest": 6}),
    "tanh": (lambda: layers.Dense(4, "tanh"), [2.6, -2.6, 2.7, -9], HALF),
    "sigmoid": (lambda: layers.Dense(4, "sigmoid"), [4.5, -4.5, 20, -4.7], HALF),
    "hard": (lambda: layers.Dense(4, "hard_sigmoid"), [2.9, -2.9, 3, -3], HALF),
    "lstm": (lambda: layers.LSTM(2, return_sequences=True), FORGET, FIFTH),
    "cudnn": (lambda: layers.LSTM(2, use_cudnn=True), FORGET, FIFTH),
    "gru": (lambda: layers.GRU(2, return_sequences=True), UPDATE, THIRD),
    "simple": (lambda: layers.SimpleRNN(2), [0, 9], HALF),
}


class OwnModel(keras.Model):
    def __init__(self, *after):
        super().__init__()
        self.first = sequential((7, 3), layers.Dense(8))
        self.after = after

    def call(self, inputs):  # Takes no `training`.
        return functools.reduce(lambda x, layer: layer(x), self.after, self.first(inputs))


def sequential(shape, *inside):
    return keras.Sequential([keras.Input(shape), *inside])


def play(monitor, model, steps=1):
    """Plays an epoch without training; returns its logs."""
    monitor.set_model(model)
    monitor.set_params({"steps": steps})
    monitor.on_train_begin()
    monitor.on_epoch_begin(0)
    monitor.on_train_batch_end(steps - 1)
    logs = {}
    monitor.on_epoch_end(0, logs)
    return logs


def look(model, batch):
    monitor = ActivationMonitor(np.asarray(batch, np.float32))
    play(monitor, model)
    return monitor.layers


def only_biases(model, bias):
    *kernels, last = model.get_weights()
    model.set_weights([*map(np.zeros_like, kernels), np.broadcast_to(bias, last.shape)])
    return model


def busy_model():
    """Returns a model whose every call could change something, and its last cell."""
    gates = layers.LSTM(3, return_sequences=True, stateful=True, recurrent_dropout=0.5)
    cells = [layers.LSTMCell(3, dropout=0.5), layers.GRUCell(3, dropout=0.5)]
    dense = layers.Dense(4, activation="relu", activity_regularizer="l2")
    rest = [layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(1)]
    inside = [keras.Input((4, 3), batch_size=2), gates, layers.RNN(cells), dense, *rest]
    return keras.Sequential(inside), cells[-1]


def everything(model):
    """Returns all that a look could change."""
    inside = model._flatten_layers()
    states = [state for each in inside for state in getattr(each, "states", None) or []]
    values = [variable.numpy().tolist() for variable in [*model.variables, *states]]
    rest = [id(loss) for loss in model.losses], model.get_config()
    return values, rest, [dict(vars(each)) for each in inside]


@pytest.mark.parametrize("case", CASES)
def test_finds_the_faults_of_every_kind_of_layer(case):
    make, bias, expected = CASES[case]
    monitor = ActivationMonitor(np.ones((2, 7, 3), np.float32))
    logs = play(monitor, only_biases(sequential((7, 3), make()), bias))
    assert [*monitor.layers.values()] == [pytest.approx(expected)]
    assert logs.get("dead_units") == expected.get("dead")
    assert logs.get("saturated") == pytest.approx(expected.get("saturated"))


def test_layers_of_the_same_name_are_told_apart():
    twins = OwnModel(layers.ReLU(name="twin"), layers.Activation("tanh", name="twin"))
    twins(np.ones((2, 7, 3)))
    first, second = look(only_biases(twins, EIGHT), np.ones((2, 7, 3))).values()
    assert first == DEAD
    assert second["saturated"] == 2 / 8


def test_a_unit_that_one_use_of_a_shared_layer_wakes_is_not_dead():
    given, shared = [keras.Input((units,)) for units in (2, 2, 4)], layers.ReLU(2)
    inner = sequential((2,), shared)
    model = keras.Model(given, [shared(given[0]), inner(given[1]), shared(given[2])])
    monitor = ActivationMonitor([np.array([row]) for row in ([3, -1], [-1, 2], [1] * 4)])
    play(monitor, model)
    assert [*monitor.layers.values()] == [{"dead": 0, "saturated": 0, "largest": 2}]


def test_every_cell_of_a_recurrent_stack_is_seen():
    both = layers.Bidirectional(layers.LSTM(2, return_sequences=True))
    cells = [layers.LSTMCell(2), layers.GRUCell(2)]
    model = sequential((7, 3), both, layers.RNN(cells))
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    both.backward_layer.cell.bias.assign(FORGET)
    cells[1].bias.assign(np.stack([UPDATE, 0 * UPDATE]))
    monitor = ActivationMonitor(np.ones((2, 7, 3), np.float32))
    assert play(monitor, model)["saturated"] == pytest.approx(1 / 3)  # The worst.
    saturated = [each["saturated"] for each in monitor.layers.values()]
    assert saturated == pytest.approx([0, 1 / 5, 0, 1 / 3])


def test_each_time_step_counts_once():
    model = only_biases(sequential((4, 1), layers.SimpleRNN(1)), 0.0)
    model.layers[0].cell.kernel.assign([[9.0]])
    (found,) = look(model, [[[1], [0], [0], [0]]]).values()
    assert found["saturated"] == 1 / 4


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_every_activation_of_the_classifier_is_seen(policy):
    keras.config.set_dtype_policy(policy)
    model = ImageClassifier(["a", "b"], image_size=32)
    model.build((None, 32, 32, 3))
    keras.config.set_dtype_policy("float32")
    batch = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3))
    inside = [each for each in model.network.layers if isinstance(each, layers.Activation)]
    probe = keras.Model(model.network.input, [each.output for each in inside])
    expected = {}
    for layer, output in zip(inside, probe(model.normalization(batch)), strict=True):
        values = keras.ops.convert_to_numpy(output).astype(np.float32)
        expected[f"efficientnet_lite0/{layer.name}"] = {
            "dead": (values == 0).all(axis=(0, 1, 2)).mean(),
            "saturated": (values > 5.94).all(axis=(0, 1, 2)).mean(),
            "largest": values.max(),
        }
    assert look(model, batch) == {path: pytest.approx(each) for path, each in expected.items()}


def test_says_each_fault_of_each_layer_once():
    model = sequential((1,), layers.Dense(4, "relu", name="a"), layers.Dense(2, "tanh", name="b"))
    said = []
    monitor = ActivationMonitor(np.ones((2, 1)), every=1, show=said.append)
    for bias in ([0.0, 9.0], [0.0, 9.0], [9.0, 9.0], [0.0, 9.0], [9.0, 9.0]):
        play(monitor, only_biases(model, bias))  # Half of b is not more than half.
    assert len(said) == 2
    assert said[0].startswith("a: 100% of its ReLU units are zero for every example, ")
    assert said[1].startswith("b: 100% of its activations are at their bounds, ")


@pytest.mark.parametrize("bias", [math.nan, math.inf, 7e4, 6e4])
def test_says_when_numbers_are_beyond_float16(bias):
    monitor = ActivationMonitor(np.ones((2, 1)), show=(said := []).append)
    play(monitor, only_biases(sequential((1,), layers.Dense(1, "relu", name="a")), bias))
    assert monitor.layers["a"]["largest"] == pytest.approx(bias, nan_ok=True)
    expected = [] if bias == 6e4 else [f"a: its activations reach {bias:.3g}"]
    assert [text.split(",")[0] for text in said] == expected


def test_looks_after_the_first_epoch_and_then_when_enough_steps_have_passed():
    monitor, looked = ActivationMonitor(np.ones((1, 1)), every=50), []
    for _ in range(5):
        play(monitor, sequential((1,), layers.ReLU()), steps=30)
        looked.append(monitor.looked_at)
    assert looked == [30, 30, 90, 90, 150]


def test_a_model_without_activations_is_never_looked_at():
    monitor = ActivationMonitor("nothing that a model could take", every=1)
    assert play(monitor, sequential((1,), layers.Dense(1))) == {}


@pytest.mark.parametrize("at_once", [1, 4, 64])
def test_counts_steps_however_many_run_at_once(at_once):
    model = sequential((1,), layers.Dense(1, "relu"))
    model.compile("sgd", "mse", steps_per_execution=at_once)
    x = np.ones((10, 1), np.float32)
    monitor = ActivationMonitor(x, every=15)
    history = model.fit(x, x, batch_size=1, epochs=3, verbose=0, callbacks=[monitor]).history
    assert (monitor.steps, monitor.looked_at) == (30, 30)
    assert len(history["dead_units"]) == 3  # Epochs without a look tell of the latest.


def test_training_does_not_feel_it():
    def trained(*callbacks):
        keras.utils.set_random_seed(0)
        (model, _), mse, traced = busy_model(), keras.losses.mean_squared_error, []
        model.compile("adam", lambda labels, outputs: traced.append(1) or mse(labels, outputs))
        x, y = np.random.normal(size=(6, 4, 3)), np.random.normal(size=(6, 1))
        model.fit(x, y, batch_size=2, epochs=3, verbose=0, callbacks=[*callbacks])
        return everything(model)[0], len(traced)

    monitor = ActivationMonitor(np.ones((2, 4, 3)), every=1)
    assert trained(monitor) == trained()
    assert (len(monitor.layers), monitor.looked_at) == (4, 9)


@pytest.mark.parametrize("fails", [False, True])
def test_a_look_leaves_the_model_as_it_was_even_if_it_fails(fails):
    model, last_cell = busy_model()
    model(np.ones((2, 4, 3)))
    if fails:
        last_cell.activation = keras.ops.matmul  # Which takes another argument.
    before = everything(model)
    with pytest.raises(TypeError, match="x2") if fails else contextlib.nullcontext():
        assert len(look(model, np.ones((2, 4, 3)))) == 4
    assert everything(model) == before


def test_a_resumed_training_behaves_as_one_never_stopped():
    texts, resumed_texts, state = [], [], ActivationMonitor(None).get_state()
    never_stopped = ActivationMonitor(np.ones((1, 1)), every=100, show=texts.append)
    for bias in ([9, 0], [0, 0], [9, math.nan], [0, 0], [math.nan, 0]):
        model = only_biases(sequential((1,), layers.Dense(2, "relu"), layers.ReLU(6)), bias)
        resumed = ActivationMonitor(np.ones((1, 1)), every=100, show=resumed_texts.append)
        resumed.set_state(json.loads(json.dumps(state, allow_nan=False)))
        assert play(resumed, model, steps=30) == play(never_stopped, model, steps=30)
        state = resumed.get_state()
        assert state == never_stopped.get_state()
    assert resumed_texts == texts
    assert len(texts) == 2  # Though Keras called the layers otherwise each time.


def test_every_must_be_a_step_or_more():
    with pytest.raises(ValueError, match=r"every must be at least 1 step, got 0\."):
        ActivationMonitor(None, every=0)
