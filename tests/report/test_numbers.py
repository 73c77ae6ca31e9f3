import math

import pytest

from dlapps.report import numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.93456, "0.9346"),
        (12345.6, "12346"),
        (1.0, "1"),
        (1e-4, "1e-4"),
        (0.000123, "1.23e-4"),
        (2.5e9, "2.5e9"),
        (-0.5, "-0.5"),
        (math.nan, "not a number"),
        (math.inf, "infinite"),
    ],
)
def test_a_number_has_the_digits_that_count(value, text):
    assert numbers.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        (True, "yes"),
        (5e-05, "5e-5"),
        (0.123456789, "0.123456789"),
        ([], "none"),
        (["a", 2], "a, 2"),
        ([*range(15)], "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 3 more"),
        ({"a": 1}, '{"a": 1}'),
    ],
)
def test_a_value_of_a_record_is_one_line(value, text):
    assert numbers.exact(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.84, "0.8 s"), (59.99, "60 s"), (192, "3 min 12 s"), (7300, "2 h 1 min")],
)
def test_a_duration_has_two_units(seconds, text):
    assert numbers.duration(seconds) == text


@pytest.mark.parametrize(
    ("name", "lower"),
    [
        ("val_loss", True),
        ("nats_per_char", True),
        ("val_accuracy", False),
        ("map50_95", False),
        ("bleu4", False),
        ("pictures", None),
    ],
)
def test_the_name_of_a_measure_tells_which_way_is_better(name, lower):
    assert numbers.lower_is_better(name) is lower


@pytest.mark.parametrize(
    ("names", "best"),
    [
        (["loss", "accuracy", "val_loss", "val_accuracy"], "val_accuracy"),
        (["loss", "val_loss"], "val_loss"),
        (["loss", "accuracy"], "accuracy"),
        (["accuracy", "val_loss"], "val_loss"),
        (["val_pictures", "val_map50"], "val_map50"),
        (["epoch"], None),
    ],
)
def test_the_headline_is_the_measure_that_says_most(names, best):
    assert numbers.headline({"phase": "a", **dict.fromkeys(names, 0.5)}) == best


@pytest.mark.parametrize(
    ("name", "words", "heading"),
    [
        ("loss", "loss", "Loss"),
        ("val_top5_accuracy", "validation top5 accuracy", "Validation top5 accuracy"),
        ("map50_95", "mAP50-95", "mAP50-95"),
        ("val_map50", "validation mAP50", "Validation mAP50"),
        ("bleu4", "BLEU-4", "BLEU-4"),
    ],
)
def test_measures_are_named_as_their_papers_do(name, words, heading):
    assert numbers.title(name) == words
    assert numbers.heading(words) == heading
