import keras
import numpy as np
import pytest

from dlapps.layers.conv_block import ConvBlock
from tests.contract import check_layer

GRID = np.random.default_rng(0).normal(size=(2, 8, 6, 3)).astype(np.float32)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="plain"),
        pytest.param({"kernel_size": 1}, id="pointwise"),
        pytest.param({"strides": 2}, id="halving"),
        pytest.param({"dtype": "mixed_bfloat16"}, id="bfloat16"),
    ],
)
def test_contract(settings):
    check_layer(ConvBlock(4, **settings), GRID)


def test_what_it_says_is_not_negative_and_in_training_normalised_before():
    layer = ConvBlock(4)
    said = np.asarray(layer(GRID, training=True))
    assert said.min() == 0
    # Half of a standard normal, squared, is a half.
    np.testing.assert_allclose((said**2).mean((0, 1, 2)), 0.5, atol=0.2)


def test_the_kept_statistics_follow_the_batches_and_are_used_afterwards():
    layer = ConvBlock(4)
    alone = np.asarray(layer(GRID))
    for _ in range(200):
        layer(GRID, training=True)
    np.testing.assert_allclose(layer(GRID), layer(GRID, training=True), atol=0.05)
    assert np.abs(np.asarray(layer(GRID)) - alone).max() > 0.1
    before = [np.asarray(weight) for weight in layer.non_trainable_weights]
    layer(GRID)
    for weight, old in zip(layer.non_trainable_weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_a_convolution_that_is_normalised_needs_no_bias():
    layer = ConvBlock(5, 1)
    layer.build((None, None, None, 3))
    assert sorted(tuple(weight.shape) for weight in layer.trainable_weights) == [
        (1, 1, 3, 5), (5,), (5,)
    ]  # fmt: skip


def test_takes_grids_of_any_size():
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, ConvBlock(4, strides=2)(inputs))
    for sides in ((8, 8), (4, 10)):
        half = tuple(side // 2 for side in sides)
        assert model(np.zeros((1, *sides, 3), np.float32)).shape == (1, *half, 4)


def test_no_filters_are_refused():
    with pytest.raises(ValueError, match="filters must be at least 1, got 0"):
        ConvBlock(0)
