import numpy as np
import pytest
from keras import ops

from dlapps.layers.region_attention import RegionAttention
from tests.contract import check_layer

RNG = np.random.default_rng(0)
REGIONS = RNG.normal(size=(2, 6, 5)).astype(np.float32)
STATES = RNG.normal(size=(2, 3, 4)).astype(np.float32)


def test_keeps_the_contract_of_layers():
    check_layer(RegionAttention(7), REGIONS, STATES)


def test_weights_sum_to_1_and_are_never_negative():
    context, weights = RegionAttention(7)(REGIONS, STATES)
    assert context.shape == (2, 3, 5)
    assert weights.shape == (2, 3, 6)
    np.testing.assert_allclose(ops.sum(weights, axis=-1), np.ones((2, 3)), rtol=1e-5)
    assert np.min(weights) >= 0


def test_does_not_depend_on_the_order_of_regions():
    layer = RegionAttention(7)
    context, weights = layer(REGIONS, STATES)
    turned, turned_weights = layer(REGIONS[:, ::-1], STATES)
    np.testing.assert_allclose(turned, context, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(np.flip(turned_weights, -1), weights, rtol=1e-4, atol=1e-6)


def test_a_word_is_served_alone_as_among_others():
    layer = RegionAttention(7)
    context, _ = layer(REGIONS, STATES)
    alone, _ = layer(REGIONS, STATES[:, 1:2])
    np.testing.assert_allclose(alone[:, 0], context[:, 1], rtol=1e-4, atol=1e-6)


def test_alike_regions_weigh_alike():
    layer = RegionAttention(7)
    _, weights = layer(np.tile(REGIONS[:, :1], (1, 6, 1)), STATES)
    np.testing.assert_allclose(weights, np.full((2, 3, 6), 1 / 6), rtol=1e-5)


def test_no_units_are_refused():
    with pytest.raises(ValueError, match="units must be at least 1, got 0"):
        RegionAttention(0)
