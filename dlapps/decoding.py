"""Finds the words of a caption inside the graph: beam search, and sampling."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

# Far below the logarithm of any probability, and yet a number that can be added to.
NEVER = -1e9
# Reads `(batch, rows)` words after states, a list of `(batch, rows, ...)`; returns the logarithms
# of the probabilities of the next, `(batch, rows, vocabulary)`, and the states behind them.
Read = Callable[[Any, list[Any]], tuple[Any, list[Any]]]


def beam_search(
    read: Read, states: list[Any], start: int, end: int, longest: int, width: int = 3,
    length_power: float = 1.0, banned: tuple[int, ...] = (),
) -> tuple[Any, Any]:  # fmt: skip
    """Returns the likeliest captions, the likeliest first; none repeats itself.

    Captions compete by the logarithm of their probability, divided by a power of their length:
    else the short ones win, which have fewer factors below 1 (Wu et al. 2016, section 7,
    https://arxiv.org/abs/1609.08144). A caption is ruled out once a word repeats the last one, or
    three words three before (Paulus et al. 2017, section 2.5, https://arxiv.org/abs/1705.04304).

    Args:
        read: Goes on by one word.
        states: Before the first word, each `(batch, ...)`.
        start: The id that is read before the first word.
        end: The id behind the last word.
        longest: Words at most, without `end`.
        width: Captions that are followed at once; 1 always takes the likeliest word.
        length_power: 0 for no normalisation, 1 for the mean of a word.
        banned: Ids that are never chosen.

    Returns:
        words: `(batch, width, longest + 1)` int32; `end` from the end on.
        log_probabilities: `(batch, width)` float32 of the captions with their end, as they are,
            not divided.
    """
    batch, steps = ops.shape(states[0])[0], longest + 1
    beams = [ops.repeat(ops.expand_dims(state, 1), width, axis=1) for state in states]
    # All beams are alike at first, so that only the first counts.
    alive = ops.broadcast_to(ops.where(ops.arange(width) == 0, 0.0, NEVER), (batch, width))
    words = ops.full((batch, width, steps), end, dtype="int32")
    last = ops.full((batch, width), start, dtype="int32")
    done = (words, ops.full((batch, width), NEVER), ops.full((batch, width), NEVER))

    def goes_on(step, last, alive, words, done, beams):
        # A longer caption can only win if it is better even when it is as long as can be.
        best_left = ops.max(alive, axis=1) / float(steps) ** length_power
        hopeless = ops.all(best_left <= ops.min(done[1], axis=1))
        return ops.logical_and(step < steps, ops.logical_not(hopeless))

    def one_step(step, last, alive, words, done, beams):
        logs, beams = read(last, beams)
        logs = ops.cast(logs, "float32")
        divisor = ops.cast(step + 1, "float32") ** length_power
        ended = alive + logs[:, :, end]
        done = _best_of(done, (words, ended / divisor, ended), width)
        # As many as are left when every repetition is barred.
        enough = min(width + steps, logs.shape[-1])
        best, which = ops.top_k(logs + _never(logs, (end, *banned)), enough)
        totals = alive[:, :, None] + best + NEVER * _repeats(which, words, step)
        alive, place = ops.top_k(ops.reshape(totals, (-1, width * enough)), width)
        parent = place // enough
        last = ops.take_along_axis(ops.reshape(which, (-1, width * enough)), place, axis=1)
        words = ops.take_along_axis(words, parent[:, :, None], axis=1)
        words = _written(words, last, step)
        beams = [_rows(state, parent) for state in beams]
        return step + 1, ops.cast(last, "int32"), alive, words, done, beams

    *_, done, _ = ops.while_loop(goes_on, one_step, (0, last, alive, words, done, beams))
    return done[0], done[2]


def sampled(
    read: Read, states: list[Any], start: int, end: int, longest: int, seed: Any,
    samples: int = 1, temperature: float = 1.0, top_k: int | None = None,
    banned: tuple[int, ...] = (),
) -> tuple[Any, Any]:  # fmt: skip
    """Returns captions drawn by their probability.

    Args:
        read: Goes on by one word.
        states: Before the first word, each `(batch, ...)`.
        start: The id that is read before the first word.
        end: The id behind the last word.
        longest: Words at most, without `end`.
        seed: Where the chance comes from: a `keras.random.SeedGenerator`, or a number.
        samples: Captions for each picture.
        temperature: Above 0; below 1 the likely words gain, above 1 the unlikely ones.
        top_k: How many of the likeliest words stay at each step, or None for all.
        banned: Ids that are never chosen.

    Returns:
        words: `(batch, samples, longest + 1)` int32; `end` from the end on.
        log_probabilities: `(batch, samples)` float32 at a temperature of 1.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature}.")
    batch, steps = ops.shape(states[0])[0], longest + 1
    rows = [ops.repeat(ops.expand_dims(state, 1), samples, axis=1) for state in states]
    words = ops.full((batch, samples, steps), end, dtype="int32")
    last = ops.full((batch, samples), start, dtype="int32")
    total = ops.zeros((batch, samples))
    # All at once, for within the loop a number as seed would give the same at each step.
    size = read(last, rows)[0].shape[-1]
    chance = keras.random.uniform((steps, batch, samples, size), 1e-7, 1.0, seed=seed)
    going = ops.ones((batch, samples))

    def goes_on(step, last, total, going, words, rows):
        return ops.logical_and(step < steps, ops.any(going > 0))

    def one_step(step, last, total, going, words, rows):
        logs, rows = read(last, rows)
        logs = ops.cast(logs, "float32") + _never(logs, banned)
        drawn = _drawn(logs, temperature, top_k, ops.take(chance, step, axis=0))
        drawn = ops.where(going > 0, drawn, end)
        # What has no room for its end is cut off, and counts no end.
        chosen = ops.squeeze(ops.take_along_axis(logs, drawn[:, :, None], axis=-1), -1)
        total = total + going * chosen
        going = going * ops.cast(drawn != end, "float32")
        return step + 1, drawn, total, going, _written(words, drawn, step), rows

    _, _, total, _, words, _ = ops.while_loop(
        goes_on, one_step, (0, last, total, going, words, rows)
    )
    return words, total


def _drawn(logs: Any, temperature: float, top_k: int | None, chance: Any) -> Any:
    """Draws a word for every row by adding Gumbel noise, of which the largest sum is a sample."""
    scaled = logs / temperature
    if top_k is not None and top_k < logs.shape[-1]:
        least = ops.top_k(scaled, top_k)[0][..., -1:]
        scaled = ops.where(scaled < least, NEVER, scaled)
    return ops.cast(ops.argmax(scaled - ops.log(-ops.log(chance)), axis=-1), "int32")


def _never(logs: Any, banned: tuple[int, ...]) -> Any:
    """Returns `(vocabulary,)`, what keeps banned ids from being chosen."""
    hot = ops.one_hot(ops.array([*banned, -1]), logs.shape[-1])
    return NEVER * ops.minimum(ops.sum(hot, axis=0), 1.0)


def _repeats(which: Any, words: Any, step: Any) -> Any:
    """Returns whether words would repeat the last one, or three that stand in their caption.

    Args:
        which: `(batch, rows, candidates)` int.
        words: `(batch, rows, steps)` int, what was said.
        step: How much was said.

    Returns:
        `(batch, rows, candidates)` float, 1 or 0.
    """
    places = ops.arange(words.shape[-1])
    # The last two words, by a product rather than by their place, which is no constant.
    at = [ops.cast(places == step - back, "int32") for back in (2, 1)]
    before, newest = (ops.sum(words * each, axis=-1, keepdims=True) for each in at)
    same = ops.logical_and(words[:, :, :-2] == before, words[:, :, 1:-1] == newest)
    same = ops.logical_and(same, places[2:] < step)
    barred = ops.where(same, words[:, :, 2:], -1)
    barred = ops.concatenate([barred, ops.where(step > 0, newest, -1)], axis=-1)
    found = ops.cast(which, "int32")[:, :, :, None] == barred[:, :, None, :]
    return ops.cast(ops.any(found, axis=-1), "float32")


def _written(words: Any, chosen: Any, step: Any) -> Any:
    """Returns words with those of one step put in."""
    here = ops.arange(words.shape[-1]) == step
    return ops.where(here, ops.cast(chosen, "int32")[:, :, None], words)


def _best_of(known: tuple, new: tuple, width: int) -> tuple:
    """Returns the best of captions that are at an end, by their normalised score."""
    joined = [ops.concatenate(pair, axis=1) for pair in zip(known, new, strict=True)]
    _, place = ops.top_k(joined[1], width)
    return tuple(_rows(each, place) for each in joined)


def _rows(values: Any, place: Any) -> Any:
    extra = len(values.shape) - 2
    return ops.take_along_axis(
        values, ops.reshape(place, (*ops.shape(place), *[1] * extra)), axis=1
    )
