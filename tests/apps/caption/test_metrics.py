import numpy as np
import pytest

from dlapps.apps.caption.metrics import (
    Cider,
    bleu,
    measures,
    most_agreed,
    nearest,
    next_words,
    rouge_l,
    variety,
)

CAPTIONS = [
    "a dog runs across the green grass",
    "two children play with a red ball on the beach",
    "a man",
    "the the the a man rides a bike down a steep hill and a man rides a bike",
]
REFERENCES = [
    ["a brown dog runs across the grass", "the dog is running through a green field",
     "a dog runs"],
    ["two kids play with a ball at the beach", "children playing on the sand",
     "two children play with a red ball"],
    ["a man in a black jacket stands on a street corner", "a man stands outside"],
    ["a man rides a bike down a hill", "a cyclist on a steep hill", "a man rides his bike"],
]  # fmt: skip
EXPECTED = {
    "bleu1": 0.756757,
    "bleu2": 0.693954,
    "bleu3": 0.61489,
    "bleu4": 0.532617,
    "rouge_l": 0.769193,
    "cider": 2.032664,
}


def cut(captions=CAPTIONS, references=REFERENCES):
    return [each.split() for each in captions], [[r.split() for r in each] for each in references]


def test_agrees_with_the_reference_packages_to_four_digits():
    # Bleu(4), Rouge() and Cider() of pycocoevalcap 1.2 on the same words; benchmarks/ has the
    # command that compares whole datasets.
    found = measures(*cut())
    assert found == pytest.approx(EXPECTED, abs=5e-5)


def test_a_caption_of_the_references_has_every_score_at_its_highest():
    own, truth = cut([each[0] for each in REFERENCES])
    truth = [[each[0]] for each in truth]
    assert bleu(own, truth) == pytest.approx([1.0] * 4, abs=1e-6)
    assert rouge_l(own, truth) == pytest.approx(1.0)
    assert Cider(truth).mean(own) == pytest.approx(10.0)


def test_captions_without_a_common_word_have_no_score():
    own, truth = cut(["xx yy zz ww vv"] * 4)
    assert max(bleu(own, truth)) < 1e-6
    assert rouge_l(own, truth) == 0
    assert Cider(truth).mean(own) == 0


def test_an_empty_caption_is_measured_too():
    own, truth = cut(["", *CAPTIONS[1:]])
    assert all(np.isfinite([*measures(own, truth).values()]))


def test_what_is_said_of_every_picture_counts_for_nothing():
    truth = [[["a", word, "dog"]] for word in ("red", "blue", "green")]
    cider = Cider(truth)
    assert cider.score(["a", "red", "dog"], 0) > cider.score(["a", "old", "dog"], 0)
    assert cider.score(["a"], 0) == 0


def test_long_captions_do_not_gain_by_saying_things_again():
    own, truth = cut()
    cider = Cider(truth)
    assert cider.score(own[0] * 2, 0) < cider.score(own[0], 0)


def test_the_words_that_are_foretold_are_counted_up_to_the_end():
    logits = np.eye(4)[[[3, 1, 0], [2, 2, 2]]]
    truth = np.array([[3, 1, -1], [2, 0, -1]])
    assert next_words({"logits": logits}, truth) == 0.75


def test_counts_what_differs():
    found = variety([["a", "dog"], ["a", "dog"], ["a", "cat"], ["b"]])
    assert found == {"distinct": 0.75, "vocabulary_used": 4}


def test_the_nearest_is_the_one_in_the_same_direction():
    known = np.array([[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0]])
    rows = np.array([[5.0, 1.0], [0.1, 0.2], [-9.0, 1.0]])
    assert nearest(rows, known).tolist() == [0, 1, 2]


def test_the_most_usual_caption_is_one_of_them_and_like_the_others():
    captions = [
        text.split() for text in ("a dog runs", "a dog runs on grass", "a dog", "rare bird")
    ]
    assert most_agreed(captions)[:2] == ["a", "dog"]
