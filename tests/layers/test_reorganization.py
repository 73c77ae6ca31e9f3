import numpy as np
import pytest

from dlapps.layers.reorganization import Reorganization
from tests.contract import check_layer


@pytest.fixture
def grid():
    return np.random.default_rng(0).normal(size=(2, 4, 6, 8)).astype(np.float32)


def slow(grid, stride):
    """Follows Darknet's loops, number by number, with channels first as it has them."""
    batch, height, width, channels = grid.shape
    read = grid.transpose(0, 3, 1, 2).reshape(batch, -1)
    written = np.empty_like(read)
    coarse = channels // stride**2
    for b, c, row, column in np.ndindex(batch, channels, height, width):
        part, deep = divmod(c, coarse)
        y, x = row * stride + part // stride, column * stride + part % stride
        target = (c * height + row) * width + column
        source = (deep * height * stride + y) * width * stride + x
        written[b, target] = read[b, source]
    shape = (batch, channels * stride**2, height // stride, width // stride)
    return written.reshape(shape).transpose(0, 2, 3, 1)


def test_keeps_the_contract_of_layers(grid):
    check_layer(Reorganization(), grid)


@pytest.mark.parametrize("stride", [1, 2])
def test_gives_what_darknets_loops_give(grid, stride):
    np.testing.assert_array_equal(Reorganization(stride)(grid), slow(grid, stride))


def test_loses_no_number(grid):
    np.testing.assert_array_equal(np.sort(np.ravel(Reorganization()(grid))), np.sort(grid.ravel()))


def test_refuses_what_makes_no_sense(grid):
    with pytest.raises(ValueError, match="stride must be at least 1, got 0"):
        Reorganization(0)
    with pytest.raises(ValueError, match="grid must have a multiple of 9 channels, got 8"):
        Reorganization(3)(grid)
