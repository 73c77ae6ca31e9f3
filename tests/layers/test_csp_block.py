import numpy as np
import pytest

from dlapps.layers.csp_block import CSPBlock
from tests.contract import check_layer

GRID = np.random.default_rng(0).normal(size=(2, 6, 4, 3)).astype(np.float32)


@pytest.mark.parametrize("depth", [1, 2])
def test_contract(depth):
    check_layer(CSPBlock(8, depth), GRID)


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_the_end_reads_every_stage(depth):
    layer = CSPBlock(8, depth)
    assert layer(GRID).shape == (2, 6, 4, 8)
    assert layer.leave.convolution.kernel.shape == (1, 1, 4 * (2 + depth), 8)
    assert len(layer.trainable_weights) == 3 * (2 + 2 * depth)


@pytest.mark.parametrize("depth", [1, 2])
def test_a_cell_sees_as_far_as_the_convolutions_reach(depth):
    layer = CSPBlock(8, depth)
    layer.build((None, 15, 15, 3))
    for weight in layer.trainable_variables:  # Nothing is rectified away.
        weight.assign(np.abs(weight) + 0.01)
    grid = np.zeros((1, 15, 15, 3), np.float32)
    before = np.asarray(layer(grid))
    grid[0, 7, 7] = 1
    changed = np.abs(np.asarray(layer(grid)) - before).max((0, 3)) > 1e-7
    rows, columns = np.nonzero(changed)
    for places in (rows, columns):
        assert 7 - 2 * depth <= places.min() < 7 < places.max() <= 7 + 2 * depth


@pytest.mark.parametrize("filters", [0, 7])
def test_filters_that_cannot_be_halved_are_refused(filters):
    with pytest.raises(ValueError, match=f"filters must be even and at least 2, got {filters}"):
        CSPBlock(filters)
