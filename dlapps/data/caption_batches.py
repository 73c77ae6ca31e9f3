"""Batches of captions, each with what a frozen network saw in its picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from dlapps.data.feed import Feed

END, START = 0, 1
IGNORED = -1
# Captions are cut into so many groups by length; each length is compiled for itself.
BUCKETS = 6


@dataclass(frozen=True)
class Captions:
    """Captions as ids, each with the place of its picture.

    Args:
        picture: `(captions,)` int.
        ids: `(captions, longest + 1)` int32, `END` behind the last word and on from there.
        lengths: `(captions,)` int, words without the end.
    """

    picture: np.ndarray
    ids: np.ndarray
    lengths: np.ndarray


def read_and_foretold(ids: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns what a decoder reads of captions, and what it is to foretell.

    Args:
        ids: `(captions, time)` int32, with their ends.
        lengths: `(captions,)` int, words without the end.

    Returns:
        The same shifted by a start; and the ids, `IGNORED` behind the end.
    """
    read = np.concatenate([np.full((len(ids), 1), START, np.int32), ids[:, :-1]], axis=1)
    behind = np.arange(ids.shape[1]) > lengths[:, None]
    return read, np.where(behind, IGNORED, ids).astype(np.int32)


def caption_batches(
    grids: Sequence[np.ndarray], captions: Captions, batch_size: int, seed: int, timed: bool = True
) -> Feed:
    """Feeds batches of captions of about one length, another order and views in each epoch.

    All batches are full, for the decoder is fastest when it knows how many rows there are; the
    few captions left over in one epoch come in another.

    Args:
        grids: Of each view, `(pictures, regions, features)` float16.
        captions: Of those pictures.
        batch_size: Captions a batch; fewer if there are not so many.
        seed: Where order and views come from.
        timed: See `Feed`.
    """
    batch_size = min(batch_size, len(captions.ids))
    steps = len(captions.ids) // batch_size
    tops = np.unique(np.quantile(captions.lengths, np.linspace(0, 1, BUCKETS + 1)[1:]).astype(int))

    def epoch(number: int, skip: int) -> Iterator[tuple]:
        rng = np.random.default_rng([seed, number])
        batches = [*_bucketed(captions.lengths, tops, batch_size, rng)]
        views = rng.integers(len(grids), size=len(captions.ids))
        for place in rng.permutation(len(batches))[skip:]:
            top, chosen = batches[place]
            ids, lengths = captions.ids[chosen, : top + 1], captions.lengths[chosen]
            read, foretold = read_and_foretold(ids, lengths)
            seen = [grids[views[k]][captions.picture[k]] for k in chosen]
            yield (np.stack(seen), read), foretold

    return Feed(epoch, _signature(grids[0], batch_size, None), steps, timed)


def _bucketed(
    lengths: np.ndarray, tops: np.ndarray, batch_size: int, rng: np.random.Generator
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields full batches by length; what is left of one length joins the next longer."""
    order = rng.permutation(len(lengths))
    bucket = np.searchsorted(tops, lengths[order])
    left = order[:0]
    for number, top in enumerate(tops):
        own = np.concatenate([left, order[bucket == number]])
        full = len(own) // batch_size * batch_size
        for start in range(0, full, batch_size):
            yield int(top), own[start : start + batch_size]
        left = own[full:]


def captions_in_order(grids: Sequence[np.ndarray], captions: Captions, batch_size: int) -> Feed:
    """Feeds all captions in order with the first view, for validation.

    Args:
        grids: Of each view, `(pictures, regions, features)` float16.
        captions: Of those pictures.
        batch_size: Captions a batch; the last may be smaller.
    """
    steps = -(-len(captions.ids) // batch_size)

    def epoch(_number: int, skip: int) -> Iterator[tuple]:
        for step in range(skip, steps):
            own = slice(step * batch_size, (step + 1) * batch_size)
            read, foretold = read_and_foretold(captions.ids[own], captions.lengths[own])
            yield (grids[0][captions.picture[own]], read), foretold

    return Feed(epoch, _signature(grids[0], None, captions.ids.shape[1]), steps, timed=False)


def _signature(grids: np.ndarray, batch: int | None, time: int | None) -> tuple:
    grid = tf.TensorSpec((batch, *grids.shape[1:]), tf.as_dtype(grids.dtype))
    row = tf.TensorSpec((batch, time), tf.int32)
    return (grid, row), row
