import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlapps import inference
from dlapps.inference import frozen, frozen_network, with_constants

both = pytest.mark.parametrize("compiled", [frozen, frozen_network])


@pytest.fixture
def model():
    """A small network whose batch norms have something to fold."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, strides=2, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.DepthwiseConv2D(3, use_bias=False),
            layers.BatchNormalization(),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.5),
            layers.Dense(5),
        ]
    )
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 2, x.shape) for x in layer.get_weights()])
    return model


def images(count=4):
    return np.random.default_rng(count).integers(0, 256, (count, 32, 32, 3), np.uint8)


@both
@pytest.mark.parametrize("count", [1, 4, 7])
def test_a_frozen_model_says_what_the_model_says(compiled, model, count):
    (ours,) = compiled(model, 32)(images(count))
    assert isinstance(ours, np.ndarray)
    np.testing.assert_allclose(ours, model(images(count), training=False), atol=1e-4)


def test_images_may_have_any_sides():
    ask = frozen(lambda x: keras.ops.mean(keras.ops.cast(x, "float32"), axis=(1, 2, 3)), None)
    for shape in ((2, 32, 64, 3), (1, 96, 32, 3)):
        images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        np.testing.assert_allclose(ask(images)[0], images.mean(axis=(1, 2, 3)), rtol=1e-5)


@both
def test_several_outputs_come_as_a_list_in_order(compiled, model):
    cut = keras.Model(model.inputs[0], [model.layers[k].output for k in (3, 6, 2)])
    ours = compiled(cut, 32)(images())
    for one, other in zip(ours, cut(images(), training=False), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


@both
def test_a_function_of_a_model_can_be_frozen_too(compiled, model):
    (ours,) = compiled(lambda x: keras.ops.softmax(model(x, training=False)), 32)(images())
    np.testing.assert_allclose(ours.sum(axis=1), np.ones(4), atol=1e-5)


@both
def test_what_is_frozen_keeps_the_weights_of_its_time(compiled, model):
    ask = compiled(model, 32)
    (before,) = ask(images())
    model.set_weights([np.zeros_like(x) for x in model.get_weights()])
    np.testing.assert_array_equal(ask(images())[0], before)
    assert not np.allclose(compiled(model, 32)(images())[0], before)


def test_litert_sees_the_same_in_an_image_whatever_is_beside_it(model, monkeypatch):
    monkeypatch.delattr(inference, "frozen")
    look = frozen_network(model, 32)
    (together,) = look(images(7))
    for image, row in zip(images(7), together, strict=True):
        np.testing.assert_array_equal(look(image[None])[0], row[None])


def test_copies_of_large_networks_are_not_multiplied(model, monkeypatch):
    monkeypatch.delattr(inference, "frozen")
    monkeypatch.setattr(inference, "MAX_BYTES_OF_COPIES", 1)
    made = []
    plain = tf.lite.Interpreter
    monkeypatch.setattr(
        tf.lite, "Interpreter", lambda **options: made.append(options) or plain(**options)
    )
    (ours,) = frozen_network(model, 32)(images())
    assert [each["num_threads"] for each in made] == [os.cpu_count()]
    np.testing.assert_allclose(ours, model(images(), training=False), atol=1e-4)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_what_litert_cannot_do_is_left_to_tensorflow(policy, capfd):
    model = keras.Sequential(
        [keras.Input((32, 32, 3)), keras.layers.Conv2D(8, 3, activation="relu", dtype=policy)]
    )
    (ours,) = frozen_network(model, 32)(images())
    theirs = keras.ops.cast(model(images()), "float32")
    np.testing.assert_allclose(ours.astype(np.float32), theirs, rtol=0.02, atol=1)
    assert not capfd.readouterr().err


def test_variables_become_constants_of_the_graph(model):
    function = with_constants(model, tf.TensorSpec((None, 32, 32, 3), tf.uint8))
    kinds = {each.type for each in function.graph.get_operations()}
    assert not function.captured_inputs
    assert not function.graph.variables  # The function outlives the model.
    assert "Const" in kinds
    assert not kinds & {"ReadVariableOp", "VarHandleOp"}


def test_a_variable_that_a_loop_reads_first_can_be_read_outside_too():
    variable = keras.Variable([2.0, 3.0])

    def powers(x):
        grown = keras.ops.fori_loop(0, 3, lambda _, each: each * variable, x)
        return grown + variable

    (ours,) = with_constants(powers, tf.TensorSpec((2,), tf.float32))(tf.ones(2))
    np.testing.assert_array_equal(ours, [8 + 2, 27 + 3])


def test_what_a_dictionary_holds_comes_in_the_order_of_its_keys():
    spec = tf.TensorSpec((), tf.float32)
    ours = with_constants(lambda x: {"b": x + 2, "a": x + 1}, spec)(tf.constant(0.0))
    assert [float(each) for each in ours] == [1, 2]


def test_other_backends_call_the_function_as_it_is(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    (ours,) = frozen(lambda x: x + 1, 32)(np.zeros((1, 2)))
    np.testing.assert_array_equal(ours, np.ones((1, 2)))
