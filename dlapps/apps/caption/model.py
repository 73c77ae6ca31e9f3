"""The network of the captioner."""

from typing import Any

import keras
import numpy as np
from keras import ops

from dlapps import backbones, decoding, saving
from dlapps.layers.attend_decoder import AttendDecoder
from dlapps.layers.show_tell_decoder import ShowTellDecoder
from dlapps.layers.standardization import Standardization
from dlapps.weights import packed

END, START, UNKNOWN = 0, 1, 2
# Power of the length by which a caption's log probability is divided; see `phases`.
LENGTH_POWER = 1.0


@keras.saving.register_keras_serializable(package="dlapps")
class Captioner(keras.Model):
    """Says in a sentence what a picture shows.

    A backbone looks, and a decoder says word by word what it sees in the cells of the last grid.

    Args:
        vocabulary: The words; the first three stand for end, start and unknown.
        decoder: "attend" to look anew for each word, "show-tell" to look once.
        backbone: A name that `backbones.build` knows.
        image_size: Side of the images that it is meant for, pixels, a multiple of 32.
        longest: Words of a caption at most.
        embedding: Width of the vectors that stand for words.
        units: Width of the LSTM.
        attention: Width of the network that scores cells; for "attend".
        dropout: Fraction of vectors, states and contexts dropped in training, in [0, 1).

    Call arguments:
        inputs: A pair of images, `(batch, height, width, 3)`, 0 to 255, RGB, and words read,
            `(batch, time)` int32, of which the first is the start.

    Returns:
        `(batch, time, vocabulary)` float32 logits; those at `t` are about the word at `t + 1`.
    """

    def __init__(
        self,
        vocabulary,
        decoder="attend",
        backbone=backbones.BUILT_IN,
        image_size=224,
        longest=20,
        embedding=256,
        units=512,
        attention=128,
        dropout=0.5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if image_size < 1 or image_size % backbones.STRIDE:
            raise ValueError(f"image_size must be a multiple of 32, got {image_size}.")
        if decoder not in ("attend", "show-tell"):
            raise ValueError(f"decoder must be 'attend' or 'show-tell', got {decoder!r}.")
        self.vocabulary = list(vocabulary)
        self.decoder = decoder
        self.backbone = backbone
        self.image_size = image_size
        self.longest = longest
        self.embedding = embedding
        self.units = units
        self.attention = attention
        self.dropout = dropout
        policy = self.dtype_policy
        built = backbones.build(backbone, policy)
        self.normalization = built.normalization
        self.network = _to_late_grid(built.network)
        # Cells differ in scale; `standardize` gives it the statistics of the training set.
        self.standardization = Standardization(
            trainable=False, dtype="float32", name="standardization"
        )
        shape = {"embedding": embedding, "units": units, "dropout": dropout, "dtype": policy}
        size = len(self.vocabulary)
        if decoder == "attend":
            self.teller = AttendDecoder(size, attention=attention, name="decoder", **shape)
        else:
            self.teller = ShowTellDecoder(size, name="decoder", **shape)

    def build(self, inputs_shape):
        channels = self.network.output.shape[-1]
        self.standardization.build((None, None, channels))
        self.teller.build((None, None, channels), (None, None))

    def call(self, inputs, training=None):
        images, words = inputs
        regions = self.standardization(self.regions(images, training=training))
        return self.teller(regions, words, training=training)

    def regions(self, images, training=None):
        """Returns what the backbone sees: `(batch, regions, features)`, a row a cell."""
        grid = self.network(self.normalization(images), training=training)
        return ops.reshape(grid, (-1, grid.shape[1] * grid.shape[2], grid.shape[3]))

    def compute_regions_shape(self):
        """Returns how many cells and features `regions` gives for each image."""
        images = keras.KerasTensor((1, self.image_size, self.image_size, 3))
        _, height, width, features = self.network.compute_output_spec(images).shape
        return height * width, features

    def standardize(self, regions):
        """Learns mean and scale of each feature from the training set.

        Args:
            regions: `(cells, features)` array.
        """
        variance = np.var(regions, axis=0, dtype=np.float64)
        self.standardization.moving_mean.assign(np.mean(regions, axis=0, dtype=np.float64))
        self.standardization.moving_variance.assign(np.maximum(variance, 1e-6))

    def told(self, regions, width=3, length_power=LENGTH_POWER):
        """Returns the likeliest captions of pictures, by beam search.

        Args:
            regions: `(batch, regions, features)`, as `regions` returns them.
            width: Captions followed at once, and returned for each picture.
            length_power: See `decoding.beam_search`.

        Returns:
            words: `(batch, width, longest + 1)` int32, the likeliest caption first.
            log_probabilities: `(batch, width)` float32.
        """
        read, states = self._reader(regions)
        return decoding.beam_search(
            read, states, START, END, self.longest, width, length_power, (START, UNKNOWN)
        )

    def drawn(self, regions, seed, samples=1, temperature=1.0, top_k=None):
        """Returns captions drawn by their probability; see `decoding.sampled`.

        Args:
            regions: `(batch, regions, features)`, as `regions` returns them.
            seed: Where the chance comes from.
            samples: Captions for each picture.
            temperature: Below 1 the likely words gain.
            top_k: How many words stay at each step, or None.
        """
        read, states = self._reader(regions)
        return decoding.sampled(
            read, states, START, END, self.longest, seed, samples, temperature, top_k,
            (START, UNKNOWN),
        )  # fmt: skip

    def _reader(self, regions):
        regions = self.standardization(ops.cast(regions, "float32"))
        read = self.teller.reader(regions)

        def logs(words, states):
            logits, states = read(words, states)
            return ops.log_softmax(ops.cast(logits, "float32"), axis=-1), states

        return logs, self.teller.start(regions)

    def where(self, regions, words):
        """Returns where it looks for each word of captions that are there already.

        Args:
            regions: `(batch, regions, features)`, as `regions` returns them.
            words: `(batch, time)` int32, as they are read: the first is the start.

        Returns:
            `(batch, time, regions)`, each row summing to 1; those at `t` are about the word at
            `t + 1`. None with the decoder "show-tell", which does not say.
        """
        return self.teller.read(self.standardization(ops.cast(regions, "float32")), words)[1]

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary": self.vocabulary,
            "decoder": self.decoder,
            "backbone": self.backbone,
            "image_size": self.image_size,
            "longest": self.longest,
            "embedding": self.embedding,
            "units": self.units,
            "attention": self.attention,
            "dropout": self.dropout,
        }


def _to_late_grid(network: keras.Model) -> keras.Model:
    """Returns a backbone up to its last narrow grid.

    What EfficientNet-Lite0 has behind it, a wide layer for ImageNet's classes, adds nothing that
    the decoder could not learn, and has four times as many features.
    """
    ends = [name for names in backbones.pyramid(network).values() for name in names]
    last = network.get_layer(ends[-2]).output if network.name == backbones.BUILT_IN else None
    grid = network.output if last is None else last
    return keras.Model(network.input, grid, name=network.name)


def new_model(
    vocabulary: list[str], frequencies: np.ndarray, settings: dict[str, Any]
) -> Captioner:
    """Makes a captioner with a pretrained backbone and a decoder that knows nothing yet.

    Args:
        vocabulary: The words, behind the three special ones.
        frequencies: `(vocabulary,)`, how often each is to be foretold; the decoder begins with
            that, so that it need not learn it.
        settings: More arguments of `Captioner`.

    Raises:
        UserError: If the weights cannot be had.
    """
    model = Captioner(vocabulary, **settings)
    model.build(None)
    backbones.load_pretrained(model.backbone, model.network)
    logs = np.log(np.maximum(frequencies, 0.1) / frequencies.sum())
    model.teller.bias.assign(logs.astype(np.float32))
    return model


def load_model(name: str) -> Captioner:
    """Loads a captioner.

    Args:
        name: A run folder, a `.keras` file, or `flickr8k`.

    Raises:
        UserError: If it is none of these.
    """
    return saving.load(name, Captioner, {"flickr8k": _flickr8k})


def _flickr8k() -> Captioner:
    config, weights = packed.unpacked("flickr8k")
    model = Captioner.from_config(config)
    model.build(None)
    of_network = {id(weight) for weight in model.network.weights}
    own = [weight for weight in model.weights if id(weight) not in of_network]
    if len(weights) == len(own):  # The backbone is ImageNet's, which comes with its own package.
        backbones.load_pretrained(model.backbone, model.network)
        for weight, value in zip(own, weights, strict=True):
            weight.assign(value)
    else:
        model.set_weights(weights)
    return model
