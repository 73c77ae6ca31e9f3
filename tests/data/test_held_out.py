from collections import Counter

import numpy as np
import pytest

from dlapps.data.held_out import held_out


def classes_of(rng, count=200, labels=6):
    """Returns examples of several classes, some of none; the higher the rarer."""
    chances = 0.5 ** np.arange(1, labels + 1)
    return {
        f"{number:04}": set(np.flatnonzero(rng.random(labels) < chances).tolist())
        for number in range(count)
    }


@pytest.mark.parametrize("seed", range(8))
def test_every_class_is_on_both_sides_in_its_share(seed):
    classes = classes_of(np.random.default_rng(seed))
    chosen = held_out(classes, 0.2, seed)
    all_, held = (
        Counter(label for key in keys for label in classes[key]) for keys in (classes, chosen)
    )
    for label, number in all_.items():
        if number >= 2:
            assert 1 <= held[label] < number
            assert abs(held[label] - 0.2 * number) <= 2 + 0.06 * number
    assert abs(len(chosen) - 0.2 * len(classes)) <= 0.06 * len(classes)


def test_two_examples_of_a_class_go_to_either_side():
    classes = {"a": {0, 1}, "b": {0, 2}, "c": {1}, "d": {2}}
    for seed in range(20):
        chosen = held_out(classes, 0.2, seed)
        for label in range(3):
            own = {key for key, labels in classes.items() if label in labels}
            assert 0 < len(own & chosen) < len(own)


def test_an_only_example_is_learnt_from():
    classes = {"a": {0, 7}, "b": {0}, "c": {0}, "d": {0}, "e": {0}}
    for seed in range(10):
        assert "a" not in held_out(classes, 0.2, seed)


def test_background_is_shared_out_too():
    classes = {str(number): set() if number < 50 else {0} for number in range(100)}
    chosen = held_out(classes, 0.2, 0)
    assert Counter(int(key) < 50 for key in chosen) == {True: 10, False: 10}


def test_the_seed_fixes_the_choice_and_the_order_of_files_does_not():
    classes = classes_of(np.random.default_rng(0))
    turned = dict(reversed(classes.items()))
    assert held_out(classes, 0.2, 1) == held_out(turned, 0.2, 1) != held_out(classes, 0.2, 2)
