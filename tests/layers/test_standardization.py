import numpy as np
import pytest

from dlapps.layers.standardization import Standardization
from tests.contract import check_layer

X = np.array([[1, 10], [3, 10], [5, 40]], np.float32)


@pytest.fixture
def layer():
    made = Standardization(momentum=0.75, epsilon=0.0)
    made.build(X.shape)
    made.moving_mean.assign([1, 2])
    made.moving_variance.assign([4, 100])
    return made


def test_subtracts_the_mean_and_divides_by_the_deviation(layer):
    np.testing.assert_allclose(layer(X), [[0, 0.8], [1, 0.8], [2, 3.8]], rtol=1e-6)


def test_in_training_the_mean_is_that_of_the_batch_and_the_kept_one_follows(layer):
    np.testing.assert_allclose(layer(X, training=True), [[-1, -1], [0, -1], [1, 2]], rtol=1e-6)
    np.testing.assert_allclose(layer.moving_mean, [0.75 + 0.75, 1.5 + 5], rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, [4, 100])


def test_frozen_it_is_the_same_in_training(layer):
    layer.trainable = False
    np.testing.assert_allclose(layer(X, training=True), layer(X), rtol=1e-6)
    np.testing.assert_allclose(layer.moving_mean, [1, 2])


def test_a_drift_of_all_examples_changes_nothing_in_training(layer):
    np.testing.assert_allclose(
        layer(X + 7, training=True), layer(X, training=True), rtol=1e-5, atol=1e-6
    )


def test_a_momentum_of_1_is_refused():
    with pytest.raises(ValueError, match=r"momentum must be in \[0, 1\), got 1"):
        Standardization(momentum=1)


def test_contract():
    check_layer(Standardization(), X)
