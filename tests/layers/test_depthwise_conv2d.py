import keras
import numpy as np
import pytest
import tensorflow as tf

from dlapps.layers import depthwise_conv2d
from dlapps.layers.depthwise_conv2d import DepthwiseConv2D
from tests.contract import check_layer

CHANNELS = 4


def numbers(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


@pytest.fixture
def parted(monkeypatch):
    """The shapes of the gradients that are made of parts."""
    shapes, whole = [], depthwise_conv2d._filter_gradient

    def spied(*args):
        shapes.append(whole(*args).shape.as_list())
        return whole(*args)

    monkeypatch.setattr(depthwise_conv2d, "_filter_gradient", spied)
    return shapes


def pair(**settings):
    """Returns Keras' layer and ours with the same weights."""
    settings = {"kernel_size": 5, "bias_initializer": "random_normal", **settings}
    both = keras.layers.DepthwiseConv2D(**settings), DepthwiseConv2D(**settings)
    shape = (None, None, None, CHANNELS)
    if settings.get("data_format") == "channels_first":
        shape = (None, CHANNELS, None, None)
    for layer in both:
        layer.build(shape)
    both[1].set_weights(both[0].get_weights())
    return both


def learnt(layer, images, **call):
    """Returns what a layer gives, and the gradients to its weights and to the images."""
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = layer(images, **call)
        loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * numbers(*outputs.shape, seed=1))
    return [outputs, *tape.gradient(loss, [*layer.trainable_variables, images])]


def assert_same(both, images):
    theirs, ours = both
    for one, other in zip(learnt(ours, images, training=True), learnt(theirs, images), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize("kernel", [4, 5, 7, 8, (1, 5), (3, 4), (5, 4)], ids=str)
def test_learns_what_the_layer_of_keras_learns(parted, kernel, strides, padding):
    both = pair(kernel_size=kernel, strides=strides, padding=padding)
    for size in ((8, 8), (9, 13), (14, 11)):
        assert_same(both, numbers(2, *size, CHANNELS))
    assert parted == [list(both[1].kernel.shape)] * 3


def test_a_grid_smaller_than_the_filters_is_no_exception(parted):
    assert_same(pair(padding="same"), numbers(2, 2, 2, CHANNELS))
    assert len(parted) == 1


def test_its_activation_is_part_of_it(parted):
    assert_same(pair(padding="same", activation="relu"), numbers(2, 6, 6, CHANNELS))
    assert len(parted) == 1


def test_learns_the_same_within_a_compiled_step(parted):
    images, answers = numbers(6, 9, 9, CHANNELS), numbers(6, 1, seed=2)
    kept = []
    for layer in pair(padding="same", use_bias=False):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([layer, keras.layers.GlobalAveragePooling2D()])
        model.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=False)
        model.fit(images, answers, batch_size=3, epochs=3, verbose=0, shuffle=False)
        kept.append(model.get_weights()[0])
    np.testing.assert_allclose(kept[1], kept[0], rtol=1e-4, atol=1e-5)
    assert parted


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"kernel_size": 3}, id="narrow"),
        pytest.param({"dilation_rate": 2}, id="dilated"),
        pytest.param({"depth_multiplier": 2}, id="several-filters"),
    ],
)
def test_where_it_gains_nothing_keras_own_runs(parted, settings):
    assert_same(pair(padding="same", **settings), numbers(2, 9, 9, CHANNELS))
    assert not parted


def test_in_half_precision_keras_own_runs(parted):
    learnt(DepthwiseConv2D(5, dtype="mixed_bfloat16"), numbers(2, 9, 9, CHANNELS), training=True)
    assert not parted


def test_on_grids_of_unknown_size_keras_own_runs(parted):
    layer = pair()[1]

    @tf.function(input_signature=[tf.TensorSpec((2, None, None, CHANNELS))])
    def to_kernel(images):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(images, training=True))
        return tape.gradient(loss, layer.kernel.value)

    assert to_kernel(numbers(2, 9, 9, CHANNELS)).shape == layer.kernel.shape
    assert not parted


def test_keeps_the_contract_of_layers():
    check_layer(DepthwiseConv2D(5, padding="same"), np.asarray(numbers(2, 8, 8, CHANNELS)))
