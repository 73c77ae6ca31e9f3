"""Each layer here breaks the contract in one way, but Gate and Lookup; the check must see it."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.contract import check_layer

ROWS = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
IDS = np.array([[0, 1], [2, 3], [4, 0]], np.int32)


@keras.saving.register_keras_serializable(package="dlapps-tests")
class Gate(keras.layers.Layer):
    """Keeps the contract: a sub-layer, two inputs, two outputs."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.dense = keras.layers.Dense(units, dtype=self.dtype_policy)

    def build(self, rows_shape, gates_shape):
        self.dense.build(rows_shape)

    def call(self, rows, gates):
        x = self.dense(rows)
        return x * ops.sigmoid(gates), ops.tanh(x)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="dlapps-tests")
class Lookup(keras.layers.Layer):
    """Keeps the contract with whole numbers for inputs and one output."""

    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.rows = keras.layers.Embedding(size, 3, dtype=self.dtype_policy)

    def build(self, ids_shape):
        self.rows.build(ids_shape)

    def call(self, ids):
        return self.rows(ids)

    def get_config(self):
        return {**super().get_config(), "size": self.size}


class Forgetful(Gate):
    def get_config(self):
        return {key: value for key, value in super().get_config().items() if key != "units"}


class Unsteady(Gate):
    def build(self, rows_shape, gates_shape):
        super().build(rows_shape, gates_shape)
        self.idle = self.add_weight(shape=(2,), name="idle")


class Lazy(Gate):
    def build(self, rows_shape, gates_shape):
        pass


class Sociable(Gate):
    def call(self, rows, gates):
        x, y = super().call(rows, gates)
        return x - ops.mean(x, axis=0), y


@keras.saving.register_keras_serializable(package="dlapps-tests")
class WithoutPolicy(Gate):
    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)
        self.dense = keras.layers.Dense(units)

    def call(self, rows, gates):
        return self.dense(rows) * ops.sigmoid(gates), gates


class Overflowing(Gate):
    def call(self, rows, gates):
        x, y = super().call(rows, gates)
        return ops.log(ops.exp(20 + ops.abs(x))), y  # beyond float16, within float32


@keras.saving.register_keras_serializable(package="dlapps-tests")
class Misleading(Gate):
    def compute_output_spec(self, rows, gates):
        wrong = keras.KerasTensor((rows.shape[0], self.units + 1), self.compute_dtype)
        return wrong, wrong


def test_accepts_two_inputs_and_two_outputs():
    check_layer(Gate(4), ROWS, ROWS)


def test_accepts_whole_numbers():
    check_layer(Lookup(5), IDS)


def test_accepts_a_layer_without_weights():
    check_layer(keras.layers.Rescaling(0.5), ROWS)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        pytest.param(Forgetful, "get_config forgets", id="config"),
        pytest.param(Unsteady, "idle gets no gradient", id="gradient"),
        pytest.param(Lazy, "build does not make every weight", id="build"),
        pytest.param(Sociable, "depends on the others", id="batch"),
        pytest.param(Misleading, "not what it was said to be", id="shape"),
        pytest.param(Overflowing, "mixed precision overflows", id="overflow"),
    ],
)
def test_refuses_a_layer_that_breaks_one_rule(kind, words):
    keras.saving.register_keras_serializable(package="dlapps-tests")(kind)
    with pytest.raises(AssertionError, match=words):
        check_layer(kind(4), ROWS, ROWS)


def test_refuses_sub_layers_without_the_policy():
    with pytest.raises(Exception, match=r"(?i)dtype|float16|not what it was said"):
        check_layer(WithoutPolicy(4), ROWS, ROWS)


def test_refuses_a_layer_that_cannot_be_reloaded():
    class Unregistered(Gate):
        pass

    with pytest.raises(TypeError, match="Unregistered"):
        check_layer(Unregistered(4), ROWS, ROWS)
