import keras
import numpy as np
import tensorflow as tf

from dlapps.layers.grid_means import GridMeans
from tests.contract import check_layer

RNG = np.random.default_rng(0)
FINE, COARSE = (
    RNG.normal(size=(2, side, side, channels)).astype(np.float32)
    for side, channels in ((4, 3), (2, 5))
)


@keras.saving.register_keras_serializable(package="tests")
class Both(GridMeans):
    """Takes two grids one by one, as the contract gives them."""

    def call(self, fine, coarse):
        return super().call([fine, coarse])

    def compute_output_spec(self, fine, coarse):
        return super().compute_output_spec([fine, coarse])


def test_keeps_the_contract_of_layers():
    check_layer(Both(), FINE, COARSE)


def test_the_means_of_all_grids_stand_side_by_side():
    expected = np.concatenate([FINE.mean((1, 2)), COARSE.mean((1, 2))], axis=-1)
    np.testing.assert_allclose(GridMeans()([FINE, COARSE]), expected, rtol=1e-5, atol=1e-6)


def test_half_precision_grids_give_full_precision_features():
    assert GridMeans(dtype="mixed_float16")([FINE]).dtype == tf.float32


def test_every_grid_is_learnt_through():
    grids = [tf.constant(FINE), tf.constant(COARSE)]
    with tf.GradientTape() as tape:
        tape.watch(grids)
        total = tf.reduce_sum(GridMeans()(grids))
    for gradient, cells in zip(tape.gradient(total, grids), (16, 4), strict=True):
        np.testing.assert_allclose(gradient, np.full(gradient.shape, 1 / cells))
