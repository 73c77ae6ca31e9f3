"""The network of the text generator."""

from typing import Any

import keras
from keras import ops

from dlapps import saving
from dlapps.layers.fast_lstm import FastLSTM
from dlapps.weights import packed

CELLS = {"lstm": FastLSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}
# Up to as many characters, a product with one-hot rows is faster than gathering rows and than
# adding up their gradients one by one (2 times for 65 characters on two cores).
FEW_CHARACTERS = 256


@keras.saving.register_keras_serializable(package="dlapps")
class CharRNN(keras.Model):
    """Predicts the next character at every position of a text.

    After Karpathy (2015), https://karpathy.github.io/2015/05/21/rnn-effectiveness/.

    Args:
        characters: The vocabulary, each character once; ids are places in it.
        cell: "lstm", "gru" or "rnn".
        units: Width of every recurrent layer.
        depth: Recurrent layers stacked on top of each other.
        embedding: Width of the vectors that stand for characters; 0 for one-hot.
        dropout: Fraction of each recurrent layer's output dropped in training, in [0, 1).
        recurrent_dropout: Fraction of the hidden states dropped between steps in training, in
            [0, 1).
        tied: Whether the characters' vectors also weigh the output; then `embedding` is `units`
            (Press & Wolf 2017, https://arxiv.org/abs/1608.05859).
        layer_norm: Whether to normalise the output of each recurrent layer.
        residual: Whether to add the input of each recurrent layer but the first to its output.
        normalization: The Unicode normal form of the text it learns from, or "none".

    Call arguments:
        ids: `(batch, time)` int32.

    Returns:
        `(batch, time, characters)` float32 logits; those at `t` are about the character at
        `t + 1`.
    """

    def __init__(
        self,
        characters,
        cell="lstm",
        units=256,
        depth=2,
        embedding=0,
        dropout=0.2,
        recurrent_dropout=0.0,
        tied=False,
        layer_norm=False,
        residual=False,
        normalization="none",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if cell not in CELLS:
            raise ValueError(f"cell must be one of {', '.join(CELLS)}, got {cell!r}.")
        if tied and embedding != units:
            raise ValueError(f"tied needs an embedding of {units}, the units, got {embedding}.")
        self.characters = characters
        self.cell = cell
        self.units = units
        self.depth = depth
        self.embedding = embedding
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.tied = tied
        self.layer_norm = layer_norm
        self.residual = residual
        self.normalization = normalization
        policy = self.dtype_policy
        if embedding:
            self.vectors = keras.layers.Embedding(
                len(characters), embedding, dtype=policy, name="vectors"
            )
        self.recurrent = [
            CELLS[cell](
                units,
                return_sequences=True,
                return_state=True,
                recurrent_dropout=recurrent_dropout,
                dtype=policy,
                name=f"{cell}_{number + 1}",
            )
            for number in range(depth)
        ]
        self.drops = [
            keras.layers.Dropout(dropout, dtype=policy, name=f"dropout_{number + 1}")
            for number in range(depth)
        ]
        self.norms = [
            keras.layers.LayerNormalization(dtype=policy, name=f"norm_{number + 1}")
            for number in range(depth if layer_norm else 0)
        ]
        # Not used where `tied`. float32 even under mixed precision: a softmax over float16 logits
        # loses the rare ones.
        self.logits = keras.layers.Dense(len(characters), dtype="float32", name="logits")

    def build(self, ids_shape):
        if self.embedding:
            self.vectors.build(ids_shape)
        width = self.embedding or len(self.characters)
        for layer in self.recurrent:
            layer.build((None, None, width))
            width = self.units
        for norm in self.norms:
            norm.build((None, None, self.units))
        if self.tied:
            self.bias = self.add_weight(
                (len(self.characters),), "zeros", dtype="float32", name="bias"
            )
        else:
            self.logits.build((None, None, self.units))

    def call(self, ids, training=None):
        return self.read(ids, training=training)[0]

    def read(self, ids, states=None, training=None):
        """Reads on from `states`, so that writing costs one step a character.

        Args:
            ids: `(batch, time)` int32.
            states: What the last `read` returned, or None at the start of a text.
            training: Whether to apply dropout.

        Returns:
            The logits, as from a call, and the states after the last character: for each
            recurrent layer a list of `(batch, units)`.
        """
        after = []
        x = None
        for number, layer in enumerate(self.recurrent):
            before = states[number] if states else None
            if x is None:
                y, state = self._first(ids, before, training)
            else:
                y, *state = layer(x, initial_state=before, training=training)
            if self.residual and x is not None:
                y = ops.add(x, y)
            if self.norms:
                y = self.norms[number](y)
            x = self.drops[number](y, training=training)
            after.append(state)
        return self._judged(x), after

    def step(self, ids, states):
        """Reads one character, with nothing but single operations, as other runtimes know them.

        Args:
            ids: `(batch,)` int32.
            states: `(batch, units)` each, those of the first recurrent layer first.

        Returns:
            `(batch, characters)` logits about the next one, and the states after it.
        """
        x = self.vectors(ids) if self.embedding else self._one_hot(ids)
        each = len(states) // self.depth
        after = []
        for number, layer in enumerate(self.recurrent):
            before = [*states[number * each : (number + 1) * each]]
            y, state = layer.cell(x, before, training=False)
            if self.residual and number:
                y = ops.add(x, y)
            x = self.norms[number](y) if self.norms else y
            after += state if isinstance(state, list | tuple) else [state]
        return self._judged(x), after

    def _judged(self, x):
        """Returns the logits of what the last layer says."""
        if not self.tied:
            return self.logits(x)
        vectors = ops.transpose(ops.convert_to_tensor(self.vectors.embeddings))
        products = ops.matmul(ops.cast(x, "float32"), ops.cast(vectors, "float32"))
        return ops.add(products, self.bias)

    def _first(self, ids, before, training):
        """Runs the first recurrent layer, whose input is one of few vectors."""
        layer = self.recurrent[0]
        if isinstance(layer, FastLSTM) and layer.is_fast:
            # What each character adds to the gates is worked out once, not at every place.
            if self.embedding:
                table = layer.project(ops.convert_to_tensor(self.vectors.embeddings))
            else:
                table = layer.with_bias(ops.convert_to_tensor(layer.cell.kernel))
            table = ops.cast(table, self.compute_dtype)
            return layer.read(self._rows(table, ids), before, training)
        x = self.vectors(ids) if self.embedding else self._one_hot(ids)
        y, *state = layer(x, initial_state=before, training=training)
        return y, state

    def _rows(self, table, ids):
        """Returns the row of each id: `(batch, time, ...)`."""
        if len(self.characters) <= FEW_CHARACTERS:
            return ops.matmul(self._one_hot(ids), table)
        return ops.take(table, ids, axis=0)

    def _one_hot(self, ids):
        return ops.one_hot(ids, len(self.characters), dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "characters": self.characters,
            "cell": self.cell,
            "units": self.units,
            "depth": self.depth,
            "embedding": self.embedding,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "tied": self.tied,
            "layer_norm": self.layer_norm,
            "residual": self.residual,
            "normalization": self.normalization,
        }


def new_model(characters: str, settings: dict) -> CharRNN:
    """Makes a text generator that knows nothing yet.

    Args:
        characters: The vocabulary.
        settings: More arguments of `CharRNN`.
    """
    model = CharRNN(characters, **settings)
    model.build((None, None))
    return model


def extended(model: CharRNN, characters: str, **changes: Any) -> CharRNN:
    """Returns a copy of a model that knows more characters, of the precision now in force.

    Args:
        model: Trained.
        characters: Its vocabulary, and behind it the new ones; they begin as if never seen, and
            with the bias of the least likely one.
        changes: Other arguments of `CharRNN` that change no weight, such as `dropout`.
    """
    kept = {name: value for name, value in model.get_config().items() if name != "dtype"}
    more = CharRNN.from_config({**kept, **changes, "characters": characters})
    more.build((None, None))
    count = len(model.characters)
    for old, new in zip(model.weights, more.weights, strict=True):
        value = keras.ops.convert_to_numpy(old)
        if old.shape == new.shape:
            new.assign(value)
            continue
        grown = keras.ops.convert_to_numpy(new).copy() * 0
        grown[tuple(slice(side) for side in old.shape)] = value
        if len(old.shape) == 1:  # The bias of the logits.
            grown[count:] = value.min()
        new.assign(grown)
    return more


def load_model(name: str) -> CharRNN:
    """Loads a text generator.

    Args:
        name: A run folder, a `.keras` file, or `shakespeare`.

    Raises:
        UserError: If it is none of these.
    """
    return saving.load(name, CharRNN, {"shakespeare": _shakespeare})


def _shakespeare() -> CharRNN:
    config, weights = packed.unpacked("shakespeare")
    model = CharRNN.from_config(config)
    model.build((None, None))
    model.set_weights(weights)
    return model
