"""Reads and writes text inside a graph, a character at a time."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

Step = Callable[..., list[tf.Tensor]]


class Writer:
    """Goes on with prompts, each row by its own style and seed, whatever rows are beside it.

    Args:
        characters: The vocabulary, each character once.
        step: From ids, `(batch,)` int32, and a tensor for each state to a list: logits, `(batch,
            characters)`, and the states after it.
        widths: Of the states, `(batch, width)` each; they begin as zeros.
    """

    def __init__(self, characters: str, step: Step, widths: Sequence[int]):
        codes = np.array([ord(character) for character in characters], np.int32)
        order = np.argsort(codes)
        self.texts = tf.constant([character.encode() for character in characters])
        self.codes, self.places = tf.constant(codes[order]), tf.constant(order.astype(np.int32))
        self.first = max(characters.find("\n"), 0)
        self.step = step
        self.widths = widths

    def write(
        self, prompts: tf.Tensor, length: tf.Tensor, temperature: tf.Tensor, seed: tf.Tensor,
        top_k: tf.Tensor, top_p: tf.Tensor,
    ) -> dict[str, tf.Tensor]:  # fmt: skip
        """Writes on; `sampling.probabilities` says how.

        Args:
            prompts: `(batch,)` string, UTF-8.
            length: `(batch,)` int32, characters to write.
            temperature: `(batch,)` float32, above 0.
            seed: `(batch,)` int64.
            top_k: `(batch,)` int32, 0 for all.
            top_p: `(batch,)` float32, in (0, 1].

        Returns:
            `texts`, `(batch,)` string without the prompts; and `unknown`, `(batch,)` int32, how
            many characters of each prompt are not in the vocabulary and were left out.
        """
        checks = [
            tf.debugging.Assert(tf.reduce_all(holds), [message])
            for holds, message in (
                (length >= 0, "length must not be negative."),
                (temperature > 0, "temperature must be above 0."),
                (top_k >= 0, "top_k must be at least 1, or 0 for all."),
                ((top_p > 0) & (top_p <= 1), "top_p must be in (0, 1]."),
            )
        ]
        with tf.control_dependencies(checks):
            ids, read, unknown = self._encoded(prompts)
        most = tf.reduce_max(tf.concat([length, [1]], 0))
        chances = draws(seed, most)
        steps = tf.reduce_max(tf.concat([read, [1]], 0)) - 1 + most

        def step(time, last, states, chosen):
            given = tf.gather(ids, tf.minimum(time, tf.shape(ids)[1] - 1), axis=1)
            logits, states = self._read(tf.where(time < read, given, last), states)
            own = tf.clip_by_value(time + 1 - read, 0, most - 1)
            chance = tf.gather(chances, own, axis=1, batch_dims=1)
            last = picked(likelihoods(logits, temperature, top_k, top_p), chance)
            return time + 1, last, states, chosen.write(time, last)

        start = (0, tf.zeros_like(read), self._zeros(read), _array(tf.int32, steps))
        *_, chosen = tf.while_loop(
            lambda time, *_: time < steps, step, start, maximum_iterations=steps
        )
        every = tf.transpose(tf.ensure_shape(chosen.stack(), (None, None)))  # (batch, steps)
        times = read[:, None] - 1 + tf.range(most)
        own = tf.gather(every, tf.minimum(times, steps - 1), axis=1, batch_dims=1)
        letters = tf.where(tf.range(most) < length[:, None], tf.gather(self.texts, own), "")
        return {"texts": tf.strings.reduce_join(letters, 1), "unknown": unknown}

    def read(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns what may come next after every character.

        Args:
            ids: `(batch, time)` int32.

        Returns:
            `(batch, time, characters)` float32 logits.
        """
        known = tf.reduce_all((ids >= 0) & (ids < tf.size(self.texts)))
        check = tf.debugging.Assert(known, ["ids must be places in `labels`."])
        with tf.control_dependencies([check]):
            ids = tf.identity(ids)
        steps = tf.shape(ids)[1]

        def step(time, states, found):
            logits, states = self._read(tf.gather(ids, time, axis=1), states)
            return time + 1, states, found.write(time, logits)

        start = (0, self._zeros(ids[:, 0]), _array(tf.float32, steps))
        *_, found = tf.while_loop(lambda time, *_: time < steps, step, start)
        return tf.transpose(
            tf.ensure_shape(found.stack(), (None, None, len(self.texts))), (1, 0, 2)
        )

    def _encoded(self, prompts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns ids `(batch, time)`, how many of each row count, and how many are unknown."""
        codes = tf.strings.unicode_decode(prompts, "UTF-8", errors="strict")
        place = tf.searchsorted(self.codes, codes.flat_values)
        place = tf.minimum(place, tf.size(self.codes) - 1)
        known = tf.gather(self.codes, place) == codes.flat_values
        ids = codes.with_flat_values(tf.gather(self.places, place))
        kept = tf.ragged.boolean_mask(ids, codes.with_flat_values(known))
        unknown = tf.cast(codes.row_lengths() - kept.row_lengths(), tf.int32)
        # With no prompt, as at the start of a line.
        read = tf.maximum(tf.cast(kept.row_lengths(), tf.int32), 1)
        dense = kept.to_tensor(self.first)
        return tf.pad(dense, [[0, 0], [0, 1]], constant_values=self.first), read, unknown

    def _read(self, ids: tf.Tensor, states: Sequence[tf.Tensor]) -> tuple[tf.Tensor, list]:
        logits, *after = self.step(ids, *states)
        return logits, after

    def _zeros(self, rows: tf.Tensor) -> list[tf.Tensor]:
        return [tf.zeros((tf.shape(rows)[0], width)) for width in self.widths]


def draws(seeds: tf.Tensor, count: int | tf.Tensor) -> tf.Tensor:
    """Returns `(batch, count)` float64 in [0, 1): what a seed gives, beside whatever others."""

    def own(seed: tf.Tensor) -> tf.Tensor:
        both = tf.stack([seed, tf.zeros_like(seed)])
        return tf.random.stateless_uniform([count], both, dtype=tf.float64, alg="philox")

    row = tf.TensorSpec((None,), tf.float64)
    return tf.map_fn(own, tf.cast(seeds, tf.int64), fn_output_signature=row)


def likelihoods(
    logits: tf.Tensor, temperature: tf.Tensor, top_k: tf.Tensor, top_p: tf.Tensor
) -> tf.Tensor:
    """Returns `(batch, tokens)` float64, each row as `sampling.probabilities` has it.

    Args:
        logits: `(batch, tokens)`.
        temperature: `(batch,)`, above 0.
        top_k: `(batch,)` int32, 0 for all.
        top_p: `(batch,)`, in (0, 1].
    """
    scaled = tf.cast(logits, tf.float64)
    scaled -= tf.reduce_max(scaled, 1, keepdims=True)
    weights = tf.exp(scaled / tf.cast(temperature, tf.float64)[:, None])
    order = tf.argsort(weights, direction="DESCENDING", stable=True)
    ranked = tf.gather(weights, order, batch_dims=1)
    most = tf.where(top_k > 0, top_k, tf.shape(logits)[1])[:, None]
    ranked = tf.where(tf.range(tf.shape(logits)[1]) < most, ranked, 0)
    ranked /= tf.reduce_sum(ranked, 1, keepdims=True)
    before = tf.cumsum(ranked, 1) - ranked
    limit = tf.cast(top_p, tf.float64)[:, None]
    ranked = tf.where((before < limit) | (limit >= 1), ranked, 0)
    ranked /= tf.reduce_sum(ranked, 1, keepdims=True)
    return tf.gather(ranked, tf.argsort(order, stable=True), batch_dims=1)


def picked(chances: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
    """Returns the token that each draw falls on, `(batch,)` int32, as `sampling.picked` does.

    Args:
        chances: `(batch, tokens)` float64, each row summing to 1.
        draw: `(batch,)` float64 in [0, 1).
    """
    place = tf.reduce_sum(tf.cast(tf.cumsum(chances, 1) <= draw[:, None], tf.int32), 1)
    # The sum may be a little below 1; what was ruled out is never drawn.
    places = tf.range(tf.shape(chances)[1])
    return tf.minimum(place, tf.reduce_max(tf.where(chances > 0, places, 0), 1))


def _array(kind: tf.DType, size: tf.Tensor) -> tf.TensorArray:
    return tf.TensorArray(kind, size)
