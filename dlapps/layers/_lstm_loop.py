"""The loop of an LSTM over time, forwards and backwards, as TensorFlow runs it fast on a CPU."""

import os
from collections.abc import Sequence

import tensorflow as tf
from keras import ops

# As JAX does; `tensorflow` itself does not export it.
from tensorflow.compiler.tf2xla.python import xla

# With fewer rows, a part of a batch leaves its core idle.
MIN_ROWS = 8


def recurrence(
    projected: tf.Tensor,
    kernel: tf.Tensor,
    state: Sequence[tf.Tensor],
    masks: Sequence[tf.Tensor] | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Runs an LSTM over time, from what its input adds to the gates at every step.

    The parts of a batch do not depend on one another, so that each core takes one through all
    steps: the matrices of a step are too small for two cores to share. XLA compiles the loop, and
    the gradient is written out, so that the gradient of the kernel is one large product after the
    loop instead of a small one at every step (Appleyard et al. 2016,
    https://arxiv.org/abs/1604.01946).

    Args:
        projected: `(batch, time, 4 * units)`, for the input gate, the forget gate, the candidate
            and the output gate, bias included.
        kernel: `(units, 4 * units)`, the recurrent kernel.
        state: Two of `(batch, units)`, hidden state and cell state before the first step.
        masks: Four of `(batch, units)`, by which the hidden state is multiplied for each gate; or
            None.

    Returns:
        hidden: `(batch, time, units)`, after every step.
        cell: `(batch, units)`, after the last.
    """
    masks = tf.zeros((4, 0, 0), kernel.dtype) if masks is None else tf.stack([*masks])
    # A tensor, for a custom gradient of a variable has to look after it.
    return _recurrence(projected, tf.convert_to_tensor(kernel), *state, masks)


@tf.custom_gradient
def _recurrence(projected, kernel, hidden, cell, masks):
    # Else an eager tape would look for gradients of the operations inside.
    projected, kernel, hidden, cell, masks = map(
        tf.stop_gradient, (projected, kernel, hidden, cell, masks)
    )
    batch = next((x.shape[0] for x in (projected, hidden, cell) if x.shape[0] is not None), None)
    _know(batch, projected, hidden, cell)
    rows = _parts(batch)
    parts = [
        (projected[own], hidden[own], cell[own], masks[:, own] if masks.shape[1] != 0 else masks)
        for own in rows
    ]
    done = [_forwards(x, kernel, h, c, m) for x, h, c, m in parts]
    for found, (x, *_) in zip(done, parts, strict=True):
        _know(x.shape[0], *found)
    every_hidden = tf.concat([hiddens for *_, hiddens, _ in done], 0)
    last_cell = tf.concat([cell for *_, cell in done], 0)

    def gradient(d_hidden, d_cell):
        _know(batch, d_hidden, d_cell)
        found = [
            _backwards(d_hidden[own], d_cell[own], kernel, h, m, *kept)
            for own, (_, h, _, m), (*kept, _) in zip(rows, parts, done, strict=True)
        ]
        d_projected, d_kernel, d_first_hidden, d_first_cell = zip(*found, strict=True)
        joined = [tf.concat(each, 0) for each in (d_projected, d_first_hidden, d_first_cell)]
        return joined[0], tf.add_n(d_kernel), joined[1], joined[2], tf.zeros_like(masks)

    return (every_hidden, last_cell), gradient


def _know(batch: int | None, *tensors: tf.Tensor) -> None:
    """Tells TensorFlow the size of a batch, where it knows it of some of these tensors only.

    It forgets that where it uses the graph of a batch of any size again, and then refuses loops
    whose state begins with a known size.
    """
    for each in tensors:
        each.set_shape((batch, *each.shape[1:]))


def _parts(batch: int | None) -> list[slice]:
    """Returns which rows each core takes; all in one part if it is not known how many there are."""
    count = max(1, min(os.cpu_count() or 1, (batch or 0) // MIN_ROWS))
    ends = [(batch or 0) * k // count for k in range(1, count)]
    return [slice(*each) for each in zip([None, *ends], [*ends, None], strict=True)]


@tf.function(jit_compile=True, autograph=False)
def _forwards(projected, kernel, hidden, cell, masks):
    """Returns six slopes and the hidden state after every step, and the last cell state.

    The slopes are all that the way back needs of the gates: worked out here, where the gates are at
    hand, they make it a third shorter.
    """
    steps = tf.shape(projected)[1]

    def step(time, hidden, cell, *kept):
        z = tf.gather(projected, time, axis=1) + _from_hidden(hidden, kernel, masks)
        i, f, g, o = tf.split(z, 4, -1)
        i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
        before, cell = cell, f * cell + i * g
        squashed = tf.tanh(cell)
        new = _apart(
            g * i * (1 - i),  # Of the cell state by what is added to each gate,
            before * f * (1 - f),
            i * (1 - g * g),
            squashed * o * (1 - o),  # of the hidden state by that to the last,
            o * (1 - squashed * squashed),  # of the hidden state by the cell state,
            f,  # and of the cell state by the one before.
            o * squashed,
        )
        return time + 1, new[-1], cell, *map(_put, kept, new, [time] * len(new))

    per_unit = tf.zeros_like(projected)[..., : hidden.shape[-1]]
    _, _, cell, *kept = tf.while_loop(
        lambda time, *_: time < steps,
        step,
        (0, hidden, cell, *[per_unit] * 7),
        maximum_iterations=steps,
    )
    return *kept, cell


@tf.custom_gradient
def _backwards(*given):
    # A tape may be watching, but what XLA has compiled has no gradient of its own.
    found = _compiled_backwards(*map(tf.stop_gradient, given))

    def refused(*_):
        raise NotImplementedError("FastLSTM has no second derivative; use keras.layers.LSTM.")

    return found, refused


@tf.function(jit_compile=True, autograph=False)
def _compiled_backwards(d_hiddens, d_cell, kernel, hidden, masks, *kept):
    """Returns the gradients of what is projected, the kernel, and the states before."""
    *slopes, hiddens = kept
    transposed = tf.transpose(kernel)

    def step(time, d_hidden, d_cell, d_projected):
        of_i, of_f, of_g, of_o, of_cell, of_before = (
            tf.gather(each, time, axis=1) for each in slopes
        )
        d_hidden += tf.gather(d_hiddens, time, axis=1)
        d_cell += d_hidden * of_cell
        parts = _apart(d_cell * of_i, d_cell * of_f, d_cell * of_g, d_hidden * of_o)
        d_z = tf.concat(parts, -1)
        d_hidden = _to_hidden(d_z, transposed, masks)
        return time - 1, d_hidden, d_cell * of_before, _put(d_projected, d_z, time)

    steps = tf.shape(d_hiddens)[1]
    _, d_hidden, d_cell, d_projected = tf.while_loop(
        lambda time, *_: time >= 0,
        step,
        (steps - 1, tf.zeros_like(hidden), d_cell, tf.repeat(tf.zeros_like(hiddens), 4, -1)),
        maximum_iterations=steps,
    )
    hiddens_before = tf.concat([hidden[:, None], hiddens[:, :-1]], 1)
    return d_projected, _of_kernel(hiddens_before, d_projected, masks), d_hidden, d_cell


def _apart(*parts):
    """Keeps XLA from working out every part anew for each of its uses, number by number."""
    return xla.optimization_barrier(*parts)


def _put(into, row, time):
    return ops.slice_update(into, (0, time, 0), row[:, None])


def _from_hidden(hidden, kernel, masks):
    """Returns what the hidden state adds to the gates, `(batch, 4 * units)`."""
    if masks.shape[1] == 0:
        return tf.matmul(hidden, kernel)
    by_gate = tf.stack(tf.split(kernel, 4, -1))  # (4, units, units)
    return tf.concat(tf.unstack(tf.matmul(hidden * masks, by_gate)), -1)


def _to_hidden(d_z, transposed, masks):
    """Returns the gradient of the hidden state before a step, `(batch, units)`."""
    if masks.shape[1] == 0:
        return tf.matmul(d_z, transposed)
    by_gate = tf.stack(tf.split(transposed, 4, 0))  # (4, units, units)
    return tf.reduce_sum(masks * tf.matmul(tf.stack(tf.split(d_z, 4, -1)), by_gate), 0)


def _of_kernel(hiddens_before, d_projected, masks):
    """Returns the gradient of the recurrent kernel, `(units, 4 * units)`."""

    def product(hiddens, d_z):
        rows = tf.shape(d_z)[0] * tf.shape(d_z)[1]
        flat = [tf.reshape(each, (rows, each.shape[-1])) for each in (hiddens, d_z)]
        return tf.matmul(*flat, transpose_a=True)

    if masks.shape[1] == 0:
        return product(hiddens_before, d_projected)
    gates = zip(tf.unstack(masks), tf.split(d_projected, 4, -1), strict=True)
    return tf.concat([product(hiddens_before * m[:, None], d_z) for m, d_z in gates], -1)
