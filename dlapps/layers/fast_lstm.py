"""An LSTM that trains at the speed that a CPU allows."""

import keras
from keras import ops

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    from dlapps.layers import _lstm_loop


@keras.saving.register_keras_serializable(package="dlapps")
class FastLSTM(keras.layers.LSTM):
    """Gives what `keras.layers.LSTM` gives, with the same weights, faster on a CPU.

    What the input adds to the gates is one product for all steps, and only the recurrent part is a
    loop (see `_lstm_loop`). Where that does not apply, Keras' own loop runs: on its other
    backends, on a GPU, with a mask, unrolled, or with other activations than tanh and sigmoid.
    Weights move between both classes with `set_weights`.

    Args:
        units: Width of its state.
        **kwargs: As for `keras.layers.LSTM`.

    Call arguments:
        sequences: `(batch, time, features)` float.
        initial_state: Two of `(batch, units)`, hidden state and cell state; None for zeros.
        mask: `(batch, time)` bool, False where a step is to be passed over.
        training: Whether to apply dropout.

    Returns:
        `(batch, units)`, or `(batch, time, units)` with `return_sequences`; with `return_state`,
        that and the two states after the last step.
    """

    def inner_loop(self, sequences, initial_state, mask, training=False):
        if mask is not None or not self.is_fast:
            return super().inner_loop(sequences, initial_state, mask, training)
        if self.go_backwards:
            sequences = ops.flip(sequences, axis=1)
        projected = self.project(sequences, training)
        return self._run(projected, initial_state, training)

    def project(self, sequences, training=False):
        """Returns what inputs add to the gates, wherever in a text they stand.

        Args:
            sequences: `(..., features)` float; with dropout, `(batch, time, features)`.
            training: Whether to apply dropout to the inputs.

        Returns:
            `(..., 4 * units)`.
        """
        # Outside of a call, nothing else brings them to the type of a mixed precision.
        sequences = ops.cast(sequences, self.compute_dtype)
        kernel = ops.cast(self.cell.kernel, self.compute_dtype)
        masks = self.cell.get_dropout_mask(sequences[:, 0]) if training and self.dropout else None
        if isinstance(masks, list):  # One a gate.
            gates = zip(masks, ops.split(kernel, 4, axis=1), strict=True)
            parts = [ops.matmul(sequences * mask[:, None], own) for mask, own in gates]
            projected = ops.concatenate(parts, axis=-1)
        else:
            dropped = sequences if masks is None else sequences * masks[:, None]
            projected = ops.matmul(dropped, kernel)
        return self.with_bias(projected)

    def with_bias(self, products):
        """Returns products of inputs with the kernel, `(..., 4 * units)`, with the bias added."""
        if not self.use_bias:
            return products
        return ops.add(products, ops.cast(self.cell.bias, products.dtype))

    def read(self, projected, states, training=False):
        """Runs over inputs that `project` has projected; only where the layer `is_fast`.

        Args:
            projected: `(batch, time, 4 * units)`.
            states: Hidden state and cell state before, each `(batch, units)`; None for zeros.
            training: Whether to apply dropout to the recurrence.

        Returns:
            `(batch, time, units)`, and the list of both states after the last step.
        """
        states = states or self.get_initial_state(ops.shape(projected)[0])
        _, outputs, states = self._run(projected, states, training)
        self._maybe_reset_dropout_masks(self.cell)
        return outputs, states

    def _run(self, projected, states, training):
        masks = None
        if training and self.recurrent_dropout:
            masks = self.cell.get_recurrent_dropout_mask(states[0])
        projected, kernel, *states = (
            ops.cast(each, self.compute_dtype)
            for each in (projected, self.cell.recurrent_kernel, *states)
        )
        outputs, cell = _lstm_loop.recurrence(projected, kernel, states, masks)
        last = outputs[:, -1]
        return last, outputs, [last, cell]

    @property
    def is_fast(self):
        """Whether the fast loop runs, here and with these arguments, where there is no mask."""
        return (
            keras.backend.backend() == "tensorflow"
            and not self.unroll
            and self.activation is keras.activations.tanh
            and self.recurrent_activation is keras.activations.sigmoid
            and not tf.config.list_logical_devices("GPU")
        )

    def unrolled(self, x, states):
        """Reads as a call does outside training, without a loop: for runtimes that know none.

        Args:
            x: `(batch, time, features)`; `time` is known.
            states: Before the first, two of `(batch, units)`.

        Returns:
            `(batch, time, units)`, what it says at every time.
        """
        hidden = []
        for time in range(x.shape[1]):
            _, states = self.cell(x[:, time], states)
            hidden.append(states[0])
        return ops.stack(hidden, axis=1)

    def get_config(self):
        return {**super().get_config(), "use_cudnn": self.use_cudnn}  # Keras forgets it.
