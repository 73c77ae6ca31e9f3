import numpy as np
import pytest

from dlapps.data.captioned import Described
from dlapps.data.vocabulary import SPECIAL, UNKNOWN, encoded, numbered, vocabulary
from dlapps.errors import UserError

PICTURES = [
    Described("a", np.zeros((40, 80, 3), np.uint8), ("A dog runs.", "A big dog!")),
    Described("b", np.ones((64, 64, 3), np.uint8), ("A dog sits on a dog.",)),
]


def test_words_are_counted_once_a_caption_and_rare_ones_left_out():
    assert vocabulary(PICTURES, 1)[: len(SPECIAL)] == [*SPECIAL]
    assert vocabulary(PICTURES, 1)[len(SPECIAL) :] == ["a", "dog", "big", "on", "runs", "sits"]
    assert vocabulary(PICTURES, 3)[len(SPECIAL) :] == ["a", "dog"]


def test_a_vocabulary_without_a_word_is_refused():
    with pytest.raises(UserError, match=r"at --min-count 4. The most frequent, 'a', stands in 3"):
        vocabulary(PICTURES, 4)


def test_words_that_are_not_known_become_one():
    index = {"a": 3, "dog": 4}
    assert encoded("A dog sees a ghost .", index, 10) == [3, 4, UNKNOWN, 3, UNKNOWN]
    assert encoded("A dog sees a ghost .", index, 2) == [3, 4]


def test_captions_are_numbered_with_their_ends():
    known = vocabulary(PICTURES, 1)
    captions = numbered(PICTURES, known, 4)
    assert captions.picture.tolist() == [0, 0, 1]
    assert captions.lengths.tolist() == [3, 3, 4]
    assert [known[k] for k in captions.ids[0]] == ["a", "dog", "runs", "<end>", "<end>"]
    assert captions.ids[2, -1] == 0
