"""How well a text is foretold, beside what simple models and packers reach."""

import gzip
import lzma
import math
from collections.abc import Iterator

import numpy as np

# The part of a text that is packed and counted; more changes the figures little, and takes long.
MOST = 20_000_000  # characters


def bits(nats: float) -> float:
    """Returns nats as bits."""
    return nats / math.log(2)


def baselines(train: np.ndarray | None, ids: np.ndarray, num_characters: int) -> dict[str, float]:
    """Returns the nats a character that simple ways of foretelling a text need.

    Args:
        train: `(characters,)` ids that counts of characters come from; None for the text itself,
            which flatters them.
        ids: `(characters,)`, the text to foretell.
        num_characters: Size of the vocabulary.

    Returns:
        By name: `uniform`, all characters alike; `unigram`, by how frequent each is; `bigram`, by
        how often each follows the one before, mixed with the unigrams.
    """
    source = ids if train is None else train
    source, ids = source[:MOST], ids[:MOST]
    frequency = np.bincount(source, minlength=num_characters) + 1.0
    frequency /= frequency.sum()
    found = {
        "uniform": math.log(num_characters),
        "unigram": float(-np.log(frequency[ids]).mean()),
    }
    if len(ids) > 1 and num_characters <= 4096:
        pairs = np.zeros((num_characters, num_characters))
        np.add.at(pairs, (source[:-1], source[1:]), 1)
        # As if each character had once been followed by the usual ones.
        rows = (pairs + frequency) / (pairs.sum(axis=1, keepdims=True) + 1)
        found["bigram"] = float(-np.log(rows[ids[:-1], ids[1:]]).mean())
    return found


def packed(text: str) -> Iterator[tuple[str, float]]:
    """Yields the nats a character that packers of files need for a text, by their name."""
    data = text[:MOST].encode("utf-8", "surrogatepass")
    count = max(len(text[:MOST]), 1)
    for name, size in (("gzip", len(gzip.compress(data))), ("xz", len(lzma.compress(data)))):
        yield name, size * 8 / count * math.log(2)
