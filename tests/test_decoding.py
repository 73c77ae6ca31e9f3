import itertools
import math

import numpy as np
import pytest
from keras import ops

from dlapps.decoding import beam_search, sampled

END, START = 0, 1


def reader(table):
    """Reads words by a table of log probabilities after each, counting the steps in a state."""
    table = np.asarray(table, np.float32)

    def read(words, states):
        return ops.take(ops.convert_to_tensor(table), words, axis=0), [states[0] + 1]

    return read


def states(batch=1):
    return [ops.zeros((batch, 1))]


def logs(rows):
    rows = np.asarray(rows, np.float64)
    with np.errstate(divide="ignore"):
        return np.log(rows / rows.sum(axis=1, keepdims=True))


CHANCES = np.random.default_rng(1).dirichlet(np.ones(5) * 0.7, size=5)


def every_caption(table, longest):
    """Yields all captions with their log probability, END included, without START."""
    for length in range(longest + 1):
        for ids in itertools.product((2, 3, 4), repeat=length):
            path = [START, *ids, END]
            yield ids, sum(table[a, b] for a, b in itertools.pairwise(path))


def has_repeat(ids):
    runs = [ids[k : k + 3] for k in range(len(ids) - 2)]
    return len({*runs}) < len(runs) or any(a == b for a, b in itertools.pairwise(ids))


@pytest.mark.parametrize("power", [0.0, 1.0])
def test_a_beam_wide_enough_finds_the_best_of_all_captions(power):
    table, longest = logs(CHANCES), 4
    words, found = beam_search(
        reader(table), states(), START, END, longest, 81, power, banned=(START,)
    )
    scored = [
        (log / (len(ids) + 1) ** power, ids, log)
        for ids, log in every_caption(table, longest)
        if not has_repeat(ids)
    ]
    best = sorted(scored, reverse=True)[:5]
    for place, (_, ids, log) in enumerate(best):
        assert [int(k) for k in words[0, place] if k != END] == [*ids]
        assert float(found[0, place]) == pytest.approx(log, rel=1e-4)


def test_a_beam_of_one_always_takes_the_likeliest_word():
    table = logs([[1, 1, 1, 1], [1, 0, 5, 3], [2, 0, 1, 8], [9, 0, 2, 1]])
    words, _ = beam_search(reader(table), states(), START, END, 6, 1)
    assert [int(k) for k in words[0, 0]] == [2, 3, END, END, END, END, END]


# 2 -> 3 -> 4 -> 2 ... or 2 -> 2 ... goes on for ever, the end hardly ever comes.
ROUND = [[1, 1, 1, 1, 1], [1, 0, 99, 0, 0], [1, 0, 0, 99, 1], [1, 0, 1, 0, 99], [1, 0, 99, 1, 0]]
STUCK = [[1, 1, 1, 1, 1], [1, 0, 99, 0, 0], [1, 0, 99, 90, 1], [1, 0, 1, 99, 90], [1, 0, 90, 1, 99]]


@pytest.mark.parametrize("chances", [ROUND, STUCK])
def test_neither_a_word_nor_three_come_twice_in_a_row(chances):
    table = logs(chances)
    for width in (1, 3):
        words, _ = beam_search(reader(table), states(), START, END, 12, width)
        for row in words[0]:
            ids = tuple(int(k) for k in row if k != END)
            assert len(ids) >= 3
            assert not has_repeat(ids)


def test_longer_captions_win_with_a_higher_power_of_their_length():
    table = logs([[1, 1, 1], [4, 0, 6], [5, 0, 5]])
    lengths = []
    for power in (0.0, 1.0):
        words, _ = beam_search(reader(table), states(), START, END, 8, 3, power)
        lengths.append(int(np.sum(words[0, 0] != END)))
    assert lengths[0] < lengths[1]


def test_banned_words_are_never_said():
    table = logs(np.ones((5, 5)))
    words, _ = beam_search(reader(table), states(), START, END, 5, 3, banned=(START, 2))
    assert not {1, 2} & {*np.ravel(words).tolist()}
    words, _ = sampled(reader(table), states(), START, END, 5, 0, 20, banned=(START, 2))
    assert not {1, 2} & {*np.ravel(words).tolist()}


def test_pictures_of_a_batch_do_not_depend_on_one_another():
    table = logs(CHANCES)
    one, of_one = beam_search(reader(table), states(1), START, END, 5, 3)
    many, of_many = beam_search(reader(table), states(3), START, END, 5, 3)
    for k in range(3):
        np.testing.assert_array_equal(many[k], one[0])
        np.testing.assert_allclose(of_many[k], of_one[0], rtol=1e-5)


def test_states_follow_the_caption_they_belong_to():
    def read(words, states):
        # A word can be said once for each time that the state has seen it.
        seen = states[0] + ops.one_hot(words, 4)
        return ops.log_softmax(-9.0 * seen + ops.array([-1.0, -99.0, 0.5, 0.0])), [seen]

    words, _ = beam_search(read, [ops.zeros((1, 4))], START, END, 4, 2)
    said = [int(k) for k in words[0, 0] if k != END]
    assert sorted(said) == [2, 3]


def test_samples_come_as_often_as_they_are_likely():
    table = logs([[1, 1, 1, 1], [2, 0, 5, 3], [1, 0, 0, 0], [1, 0, 0, 0]])
    words, found = sampled(reader(table), states(), START, END, 3, 7, 4000)
    first = np.asarray(words)[0, :, 0]
    for word, chance in ((END, 0.2), (2, 0.5), (3, 0.3)):
        assert np.mean(first == word) == pytest.approx(chance, abs=0.03)
        own = np.asarray(found)[0, first == word]
        np.testing.assert_allclose(own, math.log(chance), rtol=1e-4)


def test_steps_draw_independently():
    table = logs([[1, 1, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]])
    words = np.asarray(sampled(reader(table), states(), START, END, 7, 3, 500)[0])[0]
    assert np.mean(words[:, 0] == words[:, 1]) == pytest.approx(0.5, abs=0.1)


def test_a_low_temperature_and_a_small_choice_bring_the_likeliest_word():
    table = logs([[1, 1, 1, 1], [1, 0, 5, 4], [1, 0, 0, 0], [1, 0, 0, 0]])
    cold, _ = sampled(reader(table), states(), START, END, 2, 5, 200, temperature=0.01)
    few, _ = sampled(reader(table), states(), START, END, 2, 5, 200, top_k=1)
    assert np.all(np.asarray(cold)[0, :, 0] == 2)
    assert np.all(np.asarray(few)[0, :, 0] == 2)


def test_the_same_seed_draws_the_same():
    table = logs(CHANCES)
    one, two, three = (
        np.asarray(sampled(reader(table), states(), START, END, 5, seed, 20)[0])
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, two)
    assert (one != three).any()


def test_a_temperature_of_0_is_refused():
    with pytest.raises(ValueError, match="temperature must be above 0, got 0"):
        sampled(reader(logs(CHANCES)), states(), START, END, 5, 1, temperature=0)
