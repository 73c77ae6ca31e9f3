"""What every layer of ours must do, whatever else it does."""

import inspect
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import ops


def check_layer(layer, *inputs):
    """Checks that a layer keeps the contract of all layers.

    It takes and returns one tensor or several; survives its config, a `.keras` file and mixed
    precision; treats each example by itself in batches of any size; says its shapes before it is
    called; and passes a gradient to every weight and, without weights, to every float input.

    Args:
        layer: The layer, not yet called.
        inputs: What it is called with: arrays of the same batch, of two examples or more.
    """
    outputs = _several(layer(*inputs))
    _check_config(layer, inputs, outputs)
    _check_batches(layer, inputs, outputs)
    _check_file(layer, inputs, outputs)
    _check_mixed_precision(layer, inputs, outputs)
    _check_gradients(layer, inputs)


def _several(outputs):
    several = outputs if isinstance(outputs, list | tuple) else [outputs]
    return [ops.convert_to_numpy(output) for output in several]


def _twin(layer, **changes):
    return type(layer).from_config({**layer.get_config(), **changes})


def _check_config(layer, inputs, outputs):
    arguments = [
        name
        for name, parameter in inspect.signature(type(layer).__init__).parameters.items()
        if name != "self" and parameter.kind is not parameter.VAR_KEYWORD
    ]
    forgotten = set(arguments) - set(layer.get_config())
    assert not forgotten, f"get_config forgets {forgotten}"

    twin = _twin(layer)
    if type(layer).build is not keras.layers.Layer.build:
        twin.build(*(x.shape for x in inputs))
        assert len(twin.weights) == len(layer.weights), "build does not make every weight"
    twin(*inputs)
    twin.set_weights(layer.get_weights())
    for ours, theirs in zip(outputs, _several(twin(*inputs)), strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-6)


def _check_batches(layer, inputs, outputs):
    alone = _several(layer(*(x[:1] for x in inputs)))
    for one, many in zip(alone, outputs, strict=True):
        assert one.shape == (1, *many.shape[1:]), "the batch is not the first axis of an output"
        np.testing.assert_allclose(
            one, many[:1], rtol=1e-4, atol=1e-5, err_msg="an example depends on the others"
        )


def _functional(layer, inputs):
    symbolic = [keras.Input(x.shape[1:], dtype=str(x.dtype)) for x in inputs]
    return keras.Model(symbolic, layer(*symbolic))


def _check_file(layer, inputs, outputs):
    for policy in (layer.dtype_policy.name, "mixed_float16"):
        model = _functional(_twin(layer, dtype=policy), inputs)
        for said, real in zip(model.outputs, outputs, strict=True):
            assert said.shape == (None, *real.shape[1:]), "a shape is not what it was said to be"
        if policy == layer.dtype_policy.name:
            model.set_weights(layer.get_weights())
        before = _several(model(list(inputs)))
        for said, real in zip(model.outputs, before, strict=True):
            assert said.dtype == real.dtype.name, "a dtype is not what it was said to be"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "layer.keras")
            model.save(path)
            after = _several(keras.saving.load_model(path)(list(inputs)))
        for ours, theirs in zip(before, after, strict=True):
            np.testing.assert_allclose(theirs, ours, rtol=1e-3, atol=1e-5)


def _check_mixed_precision(layer, inputs, outputs):
    half = _twin(layer, dtype="mixed_float16")
    half(*inputs)
    half.set_weights(layer.get_weights())
    for ours, theirs in zip(outputs, _several(half(*inputs)), strict=True):
        assert np.isfinite(theirs).all(), "mixed precision overflows"
        worst = np.abs(theirs.astype(np.float32) - ours).max()
        assert worst <= 0.02 * max(1.0, np.abs(ours).max()), "mixed precision is too coarse"


def _check_gradients(layer, inputs):
    tensors = [tf.convert_to_tensor(x) for x in inputs]
    watched = [variable.value for variable in layer.trainable_variables]
    names = [variable.path for variable in layer.trainable_variables]
    if not watched:
        watched = [tensor for tensor in tensors if tensor.dtype.is_floating]
        names = [f"input {k}" for k, tensor in enumerate(tensors) if tensor.dtype.is_floating]
    with tf.GradientTape() as tape:
        tape.watch(watched)
        outputs = layer(*tensors)
        several = outputs if isinstance(outputs, list | tuple) else [outputs]
        total = sum(ops.sum(ops.square(ops.cast(output, "float32"))) for output in several)
    if not watched:
        return
    for name, gradient in zip(names, tape.gradient(total, watched), strict=True):
        assert gradient is not None, f"{name} gets no gradient"
        assert np.isfinite(ops.convert_to_numpy(tf.convert_to_tensor(gradient))).all(), name
