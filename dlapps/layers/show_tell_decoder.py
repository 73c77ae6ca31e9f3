"""A decoder of captions that sees the picture once, before the first word."""

import keras
from keras import ops

from dlapps.layers.fast_lstm import FastLSTM


@keras.saving.register_keras_serializable(package="dlapps")
class ShowTellDecoder(keras.layers.Layer):
    """Foretells each word of a caption from the words before it; the picture enters with START.

    The first state comes from the picture and the start word together: `h1 = g(W_ih i + W_xh
    x(START))`, the later ones from the words alone (Vinyals et al. 2015,
    https://arxiv.org/abs/1411.4555; Karpathy and Fei-Fei 2015, https://arxiv.org/abs/1412.2306).
    The vectors of the words also weigh the output (Press and Wolf 2017,
    https://arxiv.org/abs/1608.05859).

    Args:
        vocabulary_size: How many words there are.
        embedding: Width of the vectors that stand for words.
        units: Width of the LSTM.
        dropout: Fraction of the vectors and of the states dropped in training, in [0, 1).

    Call arguments:
        regions: `(batch, regions, features)` float, one row per cell of the CNN's grid, each
            feature of mean 0 and deviation 1 or so.
        words: `(batch, time)` int32, the words read, of which the first is a start.
        training: Whether to apply dropout.

    Returns:
        `(batch, time, vocabulary_size)` float32 logits; those at `t` are about the word at
        `t + 1`.
    """

    def __init__(self, vocabulary_size, embedding=256, units=512, dropout=0.5, **kwargs):
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.embedding = embedding
        self.units = units
        self.dropout = dropout
        policy = self.dtype_policy
        self.vectors = keras.layers.Embedding(
            vocabulary_size,
            embedding,
            embeddings_initializer=keras.initializers.RandomNormal(stddev=embedding**-0.5),
            dtype=policy,
            name="vectors",
        )
        self.from_picture = keras.layers.Dense(embedding, dtype=policy, name="from_picture")
        self.lstm = FastLSTM(
            units, return_sequences=True, return_state=True, dtype=policy, name="lstm"
        )
        self.from_state = keras.layers.Dense(embedding, dtype=policy, name="from_state")
        self.drops = [
            keras.layers.Dropout(dropout, dtype=policy, name=f"dropout_{name}")
            for name in ("vectors", "state")
        ]

    def build(self, regions_shape, words_shape):
        self.vectors.build(words_shape)
        self.from_picture.build((None, regions_shape[-1]))
        self.lstm.build((None, None, self.embedding))
        self.from_state.build((None, None, self.units))
        # float32 even under mixed precision, as the logits.
        self.bias = self.add_weight(
            (self.vocabulary_size,), "zeros", dtype="float32", autocast=False, name="bias"
        )

    def call(self, regions, words, training=None):
        return self.read(regions, words, training=training)[0]

    def start(self, regions):
        """Returns the states before the first word: what the picture adds to it, and zeros."""
        seen = ops.mean(ops.cast(regions, self.compute_dtype), axis=1)
        zeros = ops.zeros((ops.shape(seen)[0], self.units), self.compute_dtype)
        return [self.from_picture(seen), zeros, zeros]

    def read(self, regions, words, training=None, unroll=False):
        """Reads captions.

        Args:
            regions: As in a call.
            words: As in a call.
            training: Whether to apply dropout.
            unroll: Whether to do without a loop in the graph; not for training.

        Returns:
            The logits, as from a call; and None, for it never says where it looks.
        """
        picture, *states = self.start(regions)
        vectors = self.drops[0](self.vectors(words), training=training)
        rest = ops.zeros_like(vectors[:, 1:])
        x = vectors + ops.concatenate([ops.expand_dims(picture, 1), rest], axis=1)
        if unroll:
            hidden = self.lstm.unrolled(x, states)
        else:
            hidden, *_ = self.lstm(x, initial_state=states, training=training)
        return self._said(self.drops[1](hidden, training=training)), None

    def reader(self, regions):
        """Returns what reads captions of these pictures on, several of each, word by word.

        Args:
            regions: As in a call.

        Returns:
            A function of `(batch, rows)` words and the states before them, each
            `(batch, rows, ...)`; it returns the logits, `(batch, rows, vocabulary_size)`, and the
            states behind them.
        """

        def read(words, states):
            rows = words.shape[1]
            picture, *before = states
            flat = [
                ops.reshape(each, (-1, each.shape[-1]))
                for each in (self.vectors(words) + picture, *before)
            ]
            _, after = self.lstm.cell(flat[0], flat[1:])
            after = [ops.reshape(each, (-1, rows, self.units)) for each in after]
            return self._said(after[0]), [ops.zeros_like(picture), *after]

        return read

    def _said(self, hidden):
        table = ops.transpose(ops.convert_to_tensor(self.vectors.embeddings))
        said = ops.cast(self.from_state(hidden), "float32")
        return ops.matmul(said, ops.cast(table, "float32")) + self.bias

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "embedding": self.embedding,
            "units": self.units,
            "dropout": self.dropout,
        }
