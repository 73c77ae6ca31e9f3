import numpy as np
import pytest
import tensorflow as tf

from dlapps import sampling
from dlapps.graphs import writing

LOGITS = np.random.default_rng(0).normal(scale=2, size=(8, 30)).astype(np.float32)


@pytest.mark.parametrize("temperature", [0.01, 0.8, 3.0])
@pytest.mark.parametrize("top_k", [0, 1, 5, 50])
@pytest.mark.parametrize("top_p", [0.1, 0.75, 1.0])
def test_weighs_as_the_sampling_of_the_command_line_does(temperature, top_k, top_p):
    rows = np.ones(len(LOGITS))
    found = writing.likelihoods(
        tf.constant(LOGITS), tf.constant(rows * temperature),
        tf.constant((rows * top_k).astype(np.int32)), tf.constant(rows * top_p),
    )  # fmt: skip
    wanted = [sampling.probabilities(row, temperature, top_k or None, top_p) for row in LOGITS]
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_equal_chances_keep_their_order():
    found = writing.likelihoods(tf.zeros((1, 4)), tf.ones(1), tf.constant([2]), tf.constant([1.0]))
    np.testing.assert_array_equal(found, [[0.5, 0.5, 0, 0]])


def test_picks_where_the_draw_falls():
    chances = tf.constant([[0.25, 0.0, 0.5, 0.25, 0.0]] * 5, tf.float64)
    draws = tf.constant([0.0, 0.24, 0.25, 0.75, 1 - 1e-17], tf.float64)
    np.testing.assert_array_equal(writing.picked(chances, draws), [0, 0, 2, 3, 3])


def test_what_a_seed_gives_depends_on_nothing_else():
    together = writing.draws(tf.constant([3, 9, 3]), 50).numpy()
    alone = writing.draws(tf.constant([9]), 20).numpy()
    np.testing.assert_array_equal(together[0], together[2])
    np.testing.assert_array_equal(together[1, :20], alone[0])
    assert not (together[0] == together[1]).any()
    assert 0 <= together.min() < together.max() < 1
