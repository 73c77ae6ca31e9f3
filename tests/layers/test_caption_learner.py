import keras
import numpy as np
import pytest
from keras import ops

from dlapps.layers.attend_decoder import AttendDecoder
from dlapps.layers.caption_learner import IGNORED, CaptionLearner
from dlapps.layers.standardization import Standardization

RNG = np.random.default_rng(0)
SIZE = 6  # words
GRIDS = RNG.normal(size=(4, 3, 5)).astype(np.float32)
WORDS = np.array([[1, 3, 4], [1, 5, 0], [1, 3, 3], [1, 4, 0]], np.int32)
TRUTH = np.array([[3, 4, 0], [5, 0, IGNORED], [3, 3, 0], [4, 0, IGNORED]], np.int32)


class Stand:
    """What a captioner shares with its learner, without a backbone."""

    def __init__(self, dropout=0.0):
        self.teller = AttendDecoder(SIZE, 4, 7, 3, dropout)
        self.teller.build(GRIDS.shape, WORDS.shape)
        self.standardization = Standardization(trainable=False)
        self.standardization.build(GRIDS.shape)


def made(dropout=0.0, **settings):
    learner = CaptionLearner(Stand(dropout), **settings)
    learner.build(None)
    return learner


def loss(learner, training=False, weights=None):
    logits = learner((GRIDS, WORDS), training=training)
    return float(learner.compute_loss(None, TRUTH, logits, weights, training=training))


def test_the_loss_is_the_mean_over_words_of_minus_the_log_of_their_probability():
    learner = made()
    logs = ops.convert_to_numpy(ops.log_softmax(learner((GRIDS, WORDS)), axis=-1))
    rows, times = np.nonzero(TRUTH != IGNORED)
    expected = -np.mean(logs[rows, times, TRUTH[rows, times]])
    assert loss(learner) == pytest.approx(expected, rel=1e-5)


def test_what_stands_behind_the_end_does_not_count():
    learner = made()
    other = WORDS.copy()
    other[1, 2] = 5
    logits = learner((GRIDS, other))
    assert float(learner.compute_loss(None, TRUTH, logits)) == pytest.approx(
        loss(learner), rel=1e-5
    )


def test_smoothing_raises_the_loss_in_training_only():
    plain, smooth = made(), made(smoothing=0.3)
    smooth.set_weights(plain.get_weights())
    plain.teller.bias.assign([0, 0, 0, 9, 9, 9.0])
    smooth.teller.bias.assign([0, 0, 0, 9, 9, 9.0])
    assert loss(smooth, training=True) > loss(plain, training=True) + 0.1
    assert loss(smooth) == pytest.approx(loss(plain), rel=1e-6)


def test_captions_without_weight_teach_nothing():
    learner = made()
    assert loss(learner, weights=np.zeros(4, np.float32)) == 0
    one = loss(learner, weights=np.array([2.0, 0, 0, 0], np.float32))
    logits = learner((GRIDS[:1], WORDS[:1]))
    alone = float(learner.compute_loss(None, TRUTH[:1], logits))
    assert one == pytest.approx(2 * alone * 3 / 10, rel=1e-5)


def test_a_grid_serves_all_captions_of_its_picture():
    learner = made()
    two = learner((GRIDS[:2], WORDS))
    np.testing.assert_allclose(two, learner((np.repeat(GRIDS[:2], 2, 0), WORDS)), rtol=1e-5)


def test_coverage_is_lower_the_more_evenly_it_looks():
    learner = made(coverage=1.0)
    learner((GRIDS, WORDS), training=True)
    uneven = float(learner.losses[0])
    learner.teller.look.score.set_weights([np.zeros((3, 1))])  # All cells weigh alike.
    learner((GRIDS, WORDS), training=True)
    assert float(learner.losses[0]) < 1e-6 < uneven
    learner((GRIDS, WORDS), training=False)
    assert learner.losses == []


def test_its_own_words_take_the_place_of_the_true_ones_little_by_little():
    learner = made(own_words=1.0, steps=2)
    said = []
    read = learner.teller.read
    learner.teller.read = lambda regions, words, training: (
        said.append(np.array(words)) or read(regions, words, training=training)
    )
    for _ in range(2):
        learner((GRIDS, WORDS), training=True)
    own = ops.convert_to_numpy(ops.argmax(read(GRIDS, WORDS)[0], axis=-1))
    last = said[-1]
    np.testing.assert_array_equal(last[:, 0], 1)
    np.testing.assert_array_equal(last[:, 1:][WORDS[:, 1:] == 0], 0)
    where = WORDS[:, 1:] != 0
    np.testing.assert_array_equal(last[:, 1:][where], own[:, :-1][where])
    learner((GRIDS, WORDS), training=False)
    np.testing.assert_array_equal(said[-1], WORDS)


def test_learns_captions_by_heart():
    keras.utils.set_random_seed(0)
    learner = made()
    learner.compile(keras.optimizers.Adam(0.03), jit_compile=False)
    history = learner.fit(
        (GRIDS, WORDS), TRUTH, batch_size=4, epochs=80, verbose=0, shuffle=False
    ).history
    assert history["loss"][0] > 1
    assert history["loss"][-1] < 0.05
