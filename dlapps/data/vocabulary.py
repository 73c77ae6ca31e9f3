"""The words of captions as numbers."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from dlapps.data.caption_batches import END, Captions
from dlapps.data.captioned import Described
from dlapps.data.words import words
from dlapps.errors import UserError

# In the places of END, START and UNKNOWN.
SPECIAL = ("<end>", "<start>", "<unknown>")
UNKNOWN = 2


def vocabulary(pictures: Sequence[Described], min_count: int) -> list[str]:
    """Returns the words to learn, the most frequent first, behind the three special ones.

    Args:
        pictures: Whose captions to count in.
        min_count: Captions that a word must stand in.

    Raises:
        UserError: If none does.
    """
    counts: Counter = Counter()
    for each in pictures:
        for caption in each.captions:
            counts.update(dict.fromkeys(words(caption), 1))
    if not counts or max(counts.values()) < min_count:
        most, times = max(counts.items(), key=lambda each: each[1])
        raise UserError(
            f"No word stands in {min_count} captions, so the vocabulary would be empty at "
            f"--min-count {min_count}. The most frequent, '{most}', stands in {times}."
        )
    known = [word for word, count in counts.items() if count >= min_count]
    return [*SPECIAL, *sorted(known, key=lambda word: (-counts[word], word))]


def encoded(caption: str, index: dict[str, int], longest: int) -> list[int]:
    """Returns a caption as ids, cut off behind `longest` words, without start and end."""
    return [index.get(word, UNKNOWN) for word in words(caption)][:longest]


def numbered(pictures: Sequence[Described], known: Sequence[str], longest: int) -> Captions:
    """Returns the captions of pictures as ids.

    Args:
        pictures: The places in this are those of the result.
        known: The vocabulary.
        longest: Words of a caption at most.
    """
    index = {word: place for place, word in enumerate(known)}
    rows = [
        (place, encoded(caption, index, longest))
        for place, each in enumerate(pictures)
        for caption in each.captions
    ]
    ids = np.full((len(rows), longest + 1), END, np.int32)
    for row, (_, caption) in enumerate(rows):
        ids[row, : len(caption)] = caption
    lengths = np.array([len(caption) for _, caption in rows])
    return Captions(np.array([place for place, _ in rows]), ids, lengths)
