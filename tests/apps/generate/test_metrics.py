import math
import random

import numpy as np
import pytest

from dlapps.apps.generate import metrics


def test_a_bit_is_a_choice_between_two():
    assert metrics.bits(math.log(2)) == pytest.approx(1)
    assert metrics.bits(3 * math.log(2)) == pytest.approx(3)


def test_baselines_of_a_text_can_be_worked_out_by_hand():
    aab = np.array([0, 0, 1])
    found = metrics.baselines(None, aab, 2)
    a, b = 3 / 5, 2 / 5  # Each character is counted once more than it occurs.
    assert found["uniform"] == pytest.approx(math.log(2))
    assert found["unigram"] == pytest.approx(-(2 * math.log(a) + math.log(b)) / 3)
    aa, ab = (1 + a) / 3, (1 + b) / 3
    assert found["bigram"] == pytest.approx(-(math.log(aa) + math.log(ab)) / 2)


def test_counts_come_from_the_text_that_was_learnt():
    learnt, other = np.array([0, 1] * 50), np.array([1, 0] * 50)
    found = metrics.baselines(learnt, other, 3)
    assert found["uniform"] == pytest.approx(math.log(3))
    assert found["unigram"] == pytest.approx(-math.log(51 / 103))
    assert found["bigram"] < 0.05
    against = metrics.baselines(learnt, np.array([0, 0, 1, 1, 0, 0]), 3)
    assert against["bigram"] > found["unigram"]


def test_what_was_never_seen_is_unlikely_not_impossible():
    found = metrics.baselines(np.zeros(100, int), np.array([2, 1, 2]), 3)
    assert found["uniform"] < found["unigram"] < 10
    assert found["uniform"] < found["bigram"] < 20


def test_a_text_of_one_character_is_certain():
    found = metrics.baselines(None, np.zeros(9, int), 1)
    assert found == pytest.approx({"uniform": 0, "unigram": 0, "bigram": 0})


def test_pairs_of_very_many_characters_are_not_counted():
    assert "bigram" not in metrics.baselines(None, np.arange(5000), 5000)


def test_ids_may_be_bytes():
    ids = np.array([200, 3, 200, 3] * 9)
    assert metrics.baselines(None, ids.astype(np.uint8), 201) == metrics.baselines(None, ids, 201)


def test_packers_need_little_for_repetition_and_all_for_chance():
    noise = "".join(random.Random(0).choices("abcdefgh", k=20_000))
    for name, nats in metrics.packed("ab" * 10_000):
        assert nats < 0.1, name
    for name, nats in metrics.packed(noise):
        assert math.log(8) < nats < 1.25 * math.log(8), name
    assert [name for name, _ in metrics.packed("a")] == ["gzip", "xz"]


def test_a_text_that_no_file_can_hold_is_packed_all_the_same():
    assert all(nats > 0 for _, nats in metrics.packed("\udcff"))
