import keras
import numpy as np
import pytest

from dlapps.layers.detection_head import DetectionHead
from tests.contract import check_layer

GRID = np.random.default_rng(0).normal(size=(2, 4, 3, 5)).astype(np.float32)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_contract(dtype):
    check_layer(DetectionHead(3, bins=8, filters=4, prior=0.1, dtype=dtype), GRID)


@pytest.mark.parametrize("prior", [1e-4, 0.01, 0.3])
def test_says_the_prior_of_every_class_before_it_has_learnt(prior):
    _, logits = DetectionHead(80, filters=16, prior=prior)(GRID)
    np.testing.assert_allclose(keras.ops.sigmoid(logits), prior, rtol=0.5)
    assert float(np.mean(keras.ops.sigmoid(logits))) == pytest.approx(prior, rel=0.05)


def test_says_float32_in_half_precision():
    sides, logits = DetectionHead(3, dtype="mixed_float16")(GRID)
    assert sides.dtype == logits.dtype == "float32"
    assert sides.shape == (2, 12, 4, 16)
    assert logits.shape == (2, 12, 3)


def test_cells_come_row_by_row():
    layer = DetectionHead(2, filters=4)
    layer(GRID)
    for block in (*layer.place, *layer.kind):  # Each cell for itself, so that one change is seen.
        kernel = np.asarray(block.convolution.kernel).copy()
        kernel[[0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 2, 0, 1, 2]] = 0
        block.convolution.kernel.assign(kernel)
        block.normalization.beta.assign(np.ones(4))
    other = GRID.copy()
    other[1, 2, 1] += 3  # Row 2, column 1 of three columns.
    for one, two in zip(layer(GRID), layer(other), strict=True):
        changed = np.abs(np.asarray(one) - np.asarray(two)).reshape(2, 12, -1).max(-1) > 1e-6
        assert np.argwhere(changed).tolist() == [[1, 7]]


def test_takes_grids_of_any_size():
    inputs = keras.Input((None, None, 5))
    model = keras.Model(inputs, DetectionHead(2, filters=4)(inputs))
    for sides in ((2, 2), (1, 6)):
        grid = np.zeros((1, *sides, 5), np.float32)
        assert [each.shape[1] for each in model(grid)] == [sides[0] * sides[1]] * 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param({"num_classes": 0}, "num_classes must be at least 1, got 0", id="classes"),
        pytest.param({"num_classes": 2, "prior": 1}, r"prior must be in \(0, 1\), got 1", id="1"),
    ],
)
def test_refuses_what_makes_no_sense(settings, words):
    with pytest.raises(ValueError, match=words):
        DetectionHead(**settings)
