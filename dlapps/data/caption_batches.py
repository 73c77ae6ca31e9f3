"""Batches of captions, each with what a frozen network saw in its picture."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from dlapps.data.feed import Feed
from dlapps.data.pipeline import in_threads

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
    tops = _tops(captions.lengths)

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


def _tops(lengths: np.ndarray) -> np.ndarray:
    """Returns the lengths at which captions are cut into groups of about one size."""
    return np.unique(np.quantile(lengths, np.linspace(0, 1, BUCKETS + 1)[1:]).astype(int))


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


def shuffled_pictures(
    draw: Callable[[int, int], np.ndarray], image_size: int, captions: Captions, pictures: int,
    each: int, seed: int, timed: bool = True,
) -> Feed:  # fmt: skip
    """Feeds batches of views of pictures, each with several of its captions.

    Args:
        draw: From a picture's place and a turn to `(size, size, 3)` uint8.
        image_size: Side of a view, pixels.
        captions: Of the pictures.
        pictures: How many a batch.
        each: Captions of each; some twice where a picture has fewer.
        seed: Where order and choice come from.
        timed: See `Feed`.
    """
    own = [np.flatnonzero(captions.picture == k) for k in np.unique(captions.picture)]
    steps = len(own) // pictures
    tops = _tops(captions.lengths)

    def epoch(number: int, skip: int) -> Iterator[tuple]:
        rng = np.random.default_rng([seed, number])
        order = rng.permutation(len(own))
        chosen = [_some(own[k], each, rng) for k in order]
        start = skip * pictures
        drawn = in_threads(lambda k: draw(int(k), number + 1), iter(order[start:]), 2 * pictures)
        for step in range(skip, steps):
            rows = np.concatenate(chosen[step * pictures : (step + 1) * pictures])
            top = tops[np.searchsorted(tops, captions.lengths[rows].max())]
            told = read_and_foretold(captions.ids[rows, : top + 1], captions.lengths[rows])
            yield (np.stack([next(drawn) for _ in range(pictures)]), told[0]), told[1]

    return Feed(epoch, _of_images(image_size, pictures, pictures * each), steps, timed)


def pictures_in_order(
    draw: Callable[[int], np.ndarray], image_size: int, captions: Captions, pictures: int
) -> Feed:
    """Feeds plain views of pictures in order, each with one number of its captions.

    Args:
        draw: From a picture's place to `(size, size, 3)` uint8.
        image_size: Side of a view, pixels.
        captions: Of the pictures.
        pictures: How many a batch; the last may be smaller.
    """
    own = [np.flatnonzero(captions.picture == k) for k in np.unique(captions.picture)]
    each = min(map(len, own))
    steps = -(-len(own) // pictures)

    def epoch(_number: int, skip: int) -> Iterator[tuple]:
        drawn = in_threads(draw, iter(range(skip * pictures, len(own))), 2 * pictures)
        for step in range(skip, steps):
            few = own[step * pictures : (step + 1) * pictures]
            rows = np.concatenate([of_one[:each] for of_one in few])
            told = read_and_foretold(captions.ids[rows], captions.lengths[rows])
            yield (np.stack([next(drawn) for _ in few]), told[0]), told[1]

    return Feed(epoch, _of_images(image_size, None, None), steps, timed=False)


def _some(own: np.ndarray, each: int, rng: np.random.Generator) -> np.ndarray:
    """Returns so many of some rows, by chance; all of them before any comes twice."""
    return np.concatenate([rng.permutation(own) for _ in range(-(-each // len(own)))])[:each]


def _of_images(size: int, pictures: int | None, rows: int | None) -> tuple:
    images = tf.TensorSpec((pictures, size, size, 3), tf.uint8)
    row = tf.TensorSpec((rows, None), tf.int32)
    return (images, row), row


def rewarded_captions(
    grids: Sequence[np.ndarray],
    drawn: Callable[[np.ndarray], np.ndarray],
    worth: Callable[[np.ndarray, int], float],
    pictures: int,
    seed: int,
    timed: bool = True,
) -> Feed:
    """Feeds captions that the model has drawn itself, weighed by what they are worth.

    A caption weighs by how much more it is worth than the mean of the others of its picture
    (self-critical training, Rennie et al. 2017, https://arxiv.org/abs/1612.00563, with the mean
    as its baseline as in Luo 2020, https://arxiv.org/abs/2003.09971).

    Args:
        grids: Of each view, `(pictures, regions, features)` float16.
        drawn: From grids to the ids of captions, `(pictures, captions, time)`, with their ends.
        worth: From ids, with the end if there is one, and the place of a picture to a number.
        pictures: How many a batch.
        seed: Where order and views come from.
        timed: See `Feed`.
    """
    count = len(grids[0])
    pictures = min(pictures, count)
    steps = count // pictures
    each, time = drawn(grids[0][:pictures]).shape[1:]

    def epoch(number: int, skip: int) -> Iterator[tuple]:
        rng = np.random.default_rng([seed, number])
        order, views = rng.permutation(count), rng.integers(len(grids), size=count)
        for step in range(skip, steps):
            chosen = order[step * pictures : (step + 1) * pictures]
            seen = np.stack([grids[views[k]][k] for k in chosen])
            ids = drawn(seen)
            ended = ids == END
            lengths = np.where(ended.any(axis=-1), ended.argmax(axis=-1), time)
            rewards = np.array(
                [
                    [worth(row[: length + 1], int(k)) for row, length in zip(*of_one, strict=True)]
                    for k, *of_one in zip(chosen, ids, lengths, strict=True)
                ]
            )
            others = (rewards.sum(axis=1, keepdims=True) - rewards) / max(each - 1, 1)
            told = read_and_foretold(ids.reshape(-1, time).astype(np.int32), lengths.reshape(-1))
            yield (seen, told[0]), told[1], (rewards - others).reshape(-1).astype(np.float32)

    rows = pictures * each
    (grid, _), _ = _signature(grids[0], pictures, time)
    row = tf.TensorSpec((rows, time), tf.int32)
    return Feed(epoch, ((grid, row), row, tf.TensorSpec((rows,), tf.float32)), steps, timed)


def _signature(grids: np.ndarray, batch: int | None, time: int | None) -> tuple:
    grid = tf.TensorSpec((batch, *grids.shape[1:]), tf.as_dtype(grids.dtype))
    row = tf.TensorSpec((batch, time), tf.int32)
    return (grid, row), row
