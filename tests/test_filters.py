import io

import keras
import numpy as np
import pytest
from PIL import Image

from dlapps.filters import GAP, SCALE, first_filters


def drawn(model):
    return np.asarray(Image.open(io.BytesIO(first_filters(model))))


@pytest.fixture
def model():
    """A model whose first convolution over colours lies within another model."""
    inner = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(10, 3, use_bias=False)])
    kernel = np.zeros((3, 3, 3, 10), np.float32)
    kernel[0, 0, 0, 0] = 2.0  # The first filter looks for red in its corner,
    kernel[1, 1, 2, 9] = -0.5  # the last for a want of blue in its middle.
    inner.layers[-1].set_weights([kernel])
    return keras.Sequential([keras.Input((8, 8, 3)), inner, keras.layers.Conv2D(3, 1)])


def test_each_filter_is_a_tile_stretched_to_its_own_range(model):
    picture = drawn(model)
    assert picture[GAP + 1, GAP + 1].tolist() == [255, 128, 128]
    assert picture[GAP + SCALE + 1, GAP + 1].tolist() == [128, 128, 128]
    step = 3 * SCALE + GAP
    y, x = GAP + step + SCALE + 1, GAP + step + SCALE + 1  # The tenth: second row, second place.
    assert picture[y, x].tolist() == [128, 128, 0]


def test_tiles_stand_in_rows_of_eight(model):
    step = 3 * SCALE + GAP
    assert drawn(model).shape == (2 * step + GAP, 8 * step + GAP, 3)


def test_a_model_that_sees_no_colours_has_no_filters_to_show():
    assert first_filters(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])) is None
    grey = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3)])
    assert first_filters(grey) is None
