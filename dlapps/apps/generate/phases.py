"""The phases of the generator's training: one, from nothing or from a trained model."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from dlapps import runs, terminal, training
from dlapps.apps.generate.config import Config
from dlapps.apps.generate.data import (
    IGNORED,
    Corpus,
    held_out_batches,
    random_windows,
    shown,
    streams,
)
from dlapps.apps.generate.model import CharRNN
from dlapps.data.array_batches import untuned
from dlapps.errors import UserError

# A step of the default network takes 20 ms, of which Python's look in between would take 2.
STEPS_AT_ONCE = 8
# Of more held-out text, only as much is read after each epoch.
MOST_HELD_OUT = 500_000  # characters
# Rows and characters on which the activations are watched: a recurrent layer is run step by step.
WATCHED = (8, 16)


def learn(
    model: CharRNN, corpus: Corpus, mode: str, config: Config, run: runs.Run,
    callbacks: Mapping[str, keras.callbacks.Callback], save: Callable[[], None],
) -> dict[str, Any]:  # fmt: skip
    """Trains the generator.

    Args:
        model: From nothing, or trained before.
        corpus: The text.
        mode: "train", or "finetune" for a tenth of the learning rate.
        config: The hyperparameters.
        run: Where to write.
        callbacks: More to call by name, such as what shows samples.
        save: Called whenever an epoch is the best so far.

    Returns:
        The measures of the best epoch.

    Raises:
        UserError: If the text is too short.
    """
    check_length(corpus, config)
    timed = not config.deterministic
    train, held_out = _used(corpus, config)
    if config.stateful:
        data = streams(train, config.window, config.batch_size, timed)
        rows = data.signature[1].shape[0]
        learner: keras.Model = ContinuedCharRNN(model, rows)
    else:
        data = random_windows(train, config.window, config.batch_size, config.seed, timed)
        learner = model
    if config.fast_dev_run:
        data.steps = 1
    regular = not config.overfit_batches
    phase = training.Phase(
        mode,
        1 if config.fast_dev_run else int(config.epochs),
        config.learning_rate / (10 if mode == "finetune" else 1),
        config.weight_decay if regular else 0.0,
        chance=math.log(len(corpus.characters)),
        average=config.average if regular else 0.0,
        steps_at_once=STEPS_AT_ONCE,
    )
    few = train[: WATCHED[0] * WATCHED[1]].astype(np.int32)
    few = few[: len(few) // WATCHED[1] * WATCHED[1]].reshape(-1, WATCHED[1])
    watched = (few, np.ones(len(few), bool)) if config.stateful else few
    with data:
        return training.fit(
            learner, phase, run, config, data, _validation(held_out, config.stateful),
            loss=keras.losses.SparseCategoricalCrossentropy(
                from_logits=True, ignore_class=IGNORED
            ),
            look_at=watched if len(few) else None, save=save, more=callbacks,
        )  # fmt: skip


def check_length(corpus: Corpus, config: Config) -> None:
    """Sees that there is a window to learn from, and something to hold out.

    Raises:
        UserError: If not.
    """
    count = len(corpus.train)
    if len(corpus.characters) < 2:
        raise UserError(
            f"{corpus.name} is {shown(corpus.characters)} again and again; there is nothing to "
            "learn from one character."
        )
    if count < config.window + 1:
        raise UserError(
            f"{corpus.name} has {count} characters to learn from, fewer than --window "
            f"{config.window} and one more. Give a longer text or a smaller --window."
        )
    if len(corpus.validation) < 2:
        raise UserError(
            f"{corpus.name} has {len(corpus.validation)} characters to hold out. "
            "Give a longer text or a larger --validation."
        )


def _used(corpus: Corpus, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Returns the ids to learn from and to validate on."""
    train, held_out = corpus.train, corpus.validation
    if config.overfit_batches:
        # One window more, for the others to be moved by.
        windows = config.overfit_batches * config.batch_size + (not config.stateful)
        train = train[: windows * config.window + 1]
        terminal.note(f"Note: learning {len(train)} characters by heart; validation is the same.")
        return train, train
    most = config.window if config.fast_dev_run else MOST_HELD_OUT
    if len(held_out) > most:
        terminal.note(
            f"Note: after each epoch, the first {most} of {len(held_out)} held-out characters "
            "are read."
        )
    return train, held_out[:most]


def _validation(ids: np.ndarray, stateful: bool) -> tf.data.Dataset:
    inputs, targets = held_out_batches(ids)
    if not stateful:
        return untuned(tf.data.Dataset.from_tensor_slices((inputs, targets)))
    anew = np.ones(inputs.shape[:2], bool)
    return untuned(tf.data.Dataset.from_tensor_slices(((inputs, anew), targets)))


@keras.saving.register_keras_serializable(package="dlapps")
class ContinuedCharRNN(keras.Model):
    """Reads every batch on from where the one before ended; only in training.

    Args:
        reader: A built `CharRNN`, whose layers it shares.
        rows: Rows of every batch it is trained on.

    Call arguments:
        inputs: A pair of `(batch, time)` int32 ids and `(batch,)` bool, whether a row begins anew.

    Returns:
        `(batch, time, characters)` float32 logits.
    """

    def __init__(self, reader, rows, **kwargs):
        super().__init__(**kwargs)
        self.reader = reader
        self.rows = rows
        count = 2 if reader.cell == "lstm" else 1
        self.states = [
            [
                self.add_weight((rows, reader.units), "zeros", trainable=False, name=f"state_{k}")
                for k in range(count)
            ]
            for _ in range(reader.depth)
        ]
        self.built = True

    def call(self, inputs, training=None):
        ids, anew = inputs
        if not training:
            return self.reader(ids)
        keeps = ops.expand_dims(ops.cast(ops.logical_not(anew), self.compute_dtype), -1)
        before = [
            [ops.cast(state, self.compute_dtype) * keeps for state in layer]
            for layer in self.states
        ]
        logits, after = self.reader.read(ids, before, training=True)
        for variables, values in zip(self.states, after, strict=True):
            for variable, value in zip(variables, values, strict=True):
                # Truncated backpropagation: the gradient ends where the window begins.
                variable.assign(ops.stop_gradient(value))
        return logits

    def get_config(self):
        reader = keras.saving.serialize_keras_object(self.reader)
        return {**super().get_config(), "reader": reader, "rows": self.rows}

    @classmethod
    def from_config(cls, config):
        reader = keras.saving.deserialize_keras_object(config["reader"])
        if not reader.built:
            reader.build((None, None))
        return cls(**{**config, "reader": reader})
