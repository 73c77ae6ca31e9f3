"""A decoder of captions that looks at the picture anew for each word."""

import keras
from keras import ops

from dlapps.layers.fast_lstm import FastLSTM
from dlapps.layers.region_attention import RegionAttention


@keras.saving.register_keras_serializable(package="dlapps")
class AttendDecoder(keras.layers.Layer):
    """Foretells each word of a caption from the words before it and from where it looks.

    As in Show, Attend and Tell (Xu et al. 2015, https://arxiv.org/abs/1502.03044), the picture
    gives the LSTM its first states, attention over the cells of its grid gives each word a context,
    and a gate says how much that context counts. What looks is the state that has read the last
    word already, not the one before it (Lu et al. 2017, https://arxiv.org/abs/1612.01887): so the
    LSTM runs over the whole caption at once, and so does the attention, which on a CPU trains many
    times faster. The vectors of the words also weigh the output (Press and Wolf 2017,
    https://arxiv.org/abs/1608.05859).

    Args:
        vocabulary_size: How many words there are.
        embedding: Width of the vectors that stand for words.
        units: Width of the LSTM.
        attention: Width of the network that scores the cells.
        dropout: Fraction of the vectors, of the states and of the contexts dropped in training, in
            [0, 1).

    Call arguments:
        regions: `(batch, regions, features)` float, one row per cell of the CNN's grid, each
            feature of mean 0 and deviation 1 or so.
        words: `(batch, time)` int32, the words read, of which the first is a start.
        training: Whether to apply dropout.

    Returns:
        `(batch, time, vocabulary_size)` float32 logits; those at `t` are about the word at
        `t + 1`.
    """

    def __init__(
        self, vocabulary_size, embedding=256, units=512, attention=128, dropout=0.5, **kwargs
    ):
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.embedding = embedding
        self.units = units
        self.attention = attention
        self.dropout = dropout
        policy = self.dtype_policy
        self.vectors = keras.layers.Embedding(
            vocabulary_size,
            embedding,
            embeddings_initializer=keras.initializers.RandomNormal(stddev=embedding**-0.5),
            dtype=policy,
            name="vectors",
        )
        self.first_states = [
            keras.layers.Dense(units, activation="tanh", dtype=policy, name=f"first_{name}")
            for name in ("hidden", "cell")
        ]
        self.lstm = FastLSTM(
            units, return_sequences=True, return_state=True, dtype=policy, name="lstm"
        )
        self.look = RegionAttention(attention, dtype=policy, name="attention")
        # Open at first: a gate that begins half closed leaves the picture half unseen.
        self.gate = keras.layers.Dense(
            1, activation="sigmoid", bias_initializer="ones", dtype=policy, name="gate"
        )
        self.from_state = keras.layers.Dense(embedding, dtype=policy, name="from_state")
        self.from_context = keras.layers.Dense(
            embedding, use_bias=False, dtype=policy, name="from_context"
        )
        self.drops = [
            keras.layers.Dropout(dropout, dtype=policy, name=f"dropout_{name}")
            for name in ("vectors", "state", "context")
        ]

    def build(self, regions_shape, words_shape):
        features = regions_shape[-1]
        self.vectors.build(words_shape)
        for layer in self.first_states:
            layer.build((None, features))
        self.lstm.build((None, None, self.embedding))
        self.look.build(regions_shape, (None, None, self.units))
        self.gate.build((None, None, self.units))
        self.from_state.build((None, None, self.units))
        self.from_context.build((None, None, features))
        # float32 even under mixed precision, as the logits.
        self.bias = self.add_weight(
            (self.vocabulary_size,), "zeros", dtype="float32", autocast=False, name="bias"
        )

    def call(self, regions, words, training=None):
        return self.read(regions, words, training=training)[0]

    def start(self, regions):
        """Returns the states before the first word: two of `(batch, units)`."""
        seen = ops.mean(ops.cast(regions, self.compute_dtype), axis=1)
        return [layer(seen) for layer in self.first_states]

    def read(self, regions, words, training=None, unroll=False):
        """Reads captions, and says where it looks.

        Args:
            regions: As in a call.
            words: As in a call.
            training: Whether to apply dropout.
            unroll: Whether to do without a loop in the graph; not for training.

        Returns:
            The logits, as from a call; and `(batch, time, regions)`, how much each cell counted
            for each word, each row summing to 1.
        """
        regions = ops.cast(regions, self.compute_dtype)
        vectors = self.drops[0](self.vectors(words), training=training)
        if unroll:
            hidden = self.lstm.unrolled(vectors, self.start(regions))
        else:
            hidden, *_ = self.lstm(vectors, initial_state=self.start(regions), training=training)
        return self._said(regions, self.look.from_regions(regions), vectors, hidden, training)

    def reader(self, regions):
        """Returns what reads captions of these pictures on, several of each, word by word.

        Args:
            regions: As in a call.

        Returns:
            A function of `(batch, rows)` words and the states before them, each
            `(batch, rows, units)`; it returns the logits, `(batch, rows, vocabulary_size)`, and
            the states behind them.
        """
        regions = ops.cast(regions, self.compute_dtype)
        keys = self.look.from_regions(regions)

        def read(words, states):
            rows = words.shape[1]
            vectors = self.vectors(words)
            flat = [ops.reshape(each, (-1, each.shape[-1])) for each in (vectors, *states)]
            _, after = self.lstm.cell(flat[0], flat[1:])
            after = [ops.reshape(each, (-1, rows, self.units)) for each in after]
            logits, _ = self._said(regions, keys, vectors, after[0], False)
            return logits, after

        return read

    def _said(self, regions, keys, vectors, hidden, training):
        """Returns logits from what was read, `(batch, time, units)`, and where it looks."""
        _, of_state, of_context = self.drops
        context, weights = self.look.look(regions, keys, hidden)
        context = of_context(context * self.gate(hidden), training=training)
        hidden = of_state(hidden, training=training)
        said = self.from_state(hidden) + self.from_context(context) + vectors
        table = ops.transpose(ops.convert_to_tensor(self.vectors.embeddings))
        logits = ops.matmul(ops.cast(said, "float32"), ops.cast(table, "float32"))
        return logits + self.bias, weights

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "embedding": self.embedding,
            "units": self.units,
            "attention": self.attention,
            "dropout": self.dropout,
        }
