import keras
import numpy as np
import pytest

from dlapps.layers.path_aggregation import PathAggregation
from tests.contract import check_layer

FILTERS = (4, 6, 8)


def grids(seed=0, batch=2, high=2, wide=1):
    rng = np.random.default_rng(seed)
    sides = [(4 * high, 4 * wide, 3), (2 * high, 2 * wide, 5), (high, wide, 7)]
    return [rng.normal(size=(batch, *side)).astype(np.float32) for side in sides]


def test_contract():
    check_layer(PathAggregation(FILTERS), *grids())


def test_grids_keep_their_sides_and_get_the_channels_asked_for():
    layer = PathAggregation(FILTERS, depth=2)
    said = layer(*grids(batch=1, high=3, wide=2))
    assert [tuple(each.shape) for each in said] == [(1, 12, 8, 4), (1, 6, 4, 6), (1, 3, 2, 8)]


@pytest.mark.parametrize("level", [0, 1, 2])
def test_every_grid_learns_from_every_other(level):
    layer = PathAggregation(FILTERS)
    inputs = grids(1)
    before = [np.asarray(each) for each in layer(*inputs)]
    inputs[level] = inputs[level] + np.float32(1)
    for old, new in zip(before, layer(*inputs), strict=True):
        assert np.abs(np.asarray(new) - old).max() > 1e-4


def test_shifting_the_scene_by_a_coarse_cell_shifts_what_is_seen():
    """In the middle: at the edges there is nothing to shift in."""
    layer = PathAggregation(FILTERS)
    whole = grids(2, 1, 17)
    first, second = (
        layer(*(grid[:, k * n : (k + 16) * n] for grid, n in zip(whole, (4, 2, 1), strict=True)))
        for k in (0, 1)
    )
    for one, other, n in zip(first, second, (4, 2, 1), strict=True):
        np.testing.assert_allclose(one[:, 8 * n : 9 * n], other[:, 7 * n : 8 * n], atol=1e-4)


def test_takes_grids_of_any_size():
    inputs = [keras.Input((None, None, n)) for n in (3, 5, 7)]
    model = keras.Model(inputs, PathAggregation(FILTERS)(*inputs))
    for wide in (1, 3):
        assert model(grids(wide=wide))[2].shape == (2, 2, wide, 8)


def test_two_grids_are_too_few():
    with pytest.raises(ValueError, match="filters must be three numbers, got 2"):
        PathAggregation((4, 6))
