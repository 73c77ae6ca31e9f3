"""Teaches a captioner: what it reads, and how far off it is."""

import keras
from keras import ops

END = 0
IGNORED = -1


@keras.saving.register_keras_serializable(package="dlapps")
class CaptionLearner(keras.Model):
    """Learns to tell captions from what a backbone saw; shares the layers of a captioner.

    Args:
        captioner: Built; what it shares.
        looks: Whether it is given images, and its backbone learns, rather than grids.
        smoothing: Part of the probability that is to be spread over all words (Szegedy et al.
            2016, https://arxiv.org/abs/1512.00567).
        coverage: Weight of the wish that a caption looks at every cell alike (Xu et al. 2015,
            https://arxiv.org/abs/1502.03044, equation 14, for as many words as the caption has).
        own_words: Part of the words read that are its own by the last step, rising from 0 with
            the steps (Bengio et al. 2015, https://arxiv.org/abs/1506.03099), all foretold at once
            (Duckworth et al. 2019, https://arxiv.org/abs/1906.04331).
        steps: Steps of the training, for `own_words`.

    Call arguments:
        inputs: A pair of grids, `(pictures, regions, features)`, or images, and words read,
            `(captions, time)` int32, the same number of captions for each picture.

    Returns:
        `(captions, time, vocabulary)` float32 logits.
    """

    def __init__(
        self, captioner, looks=False, smoothing=0.0, coverage=0.0, own_words=0.0, steps=1, **kwargs
    ):
        super().__init__(**kwargs)
        self.captioner = captioner
        self.looks = looks
        self.smoothing = smoothing
        self.coverage = coverage
        self.own_words = own_words
        self.steps = steps
        self.teller = captioner.teller
        self.standardization = captioner.standardization
        self.network = captioner.network if looks else None
        self.chance = keras.random.SeedGenerator(0)
        # Not a scalar, which a saved state would give back as a plain number.
        self.done = self.add_weight((1,), "zeros", trainable=False, dtype="int32", name="steps")

    def build(self, inputs_shape):
        self.built = True

    def call(self, inputs, training=None):
        seen, words = inputs
        regions = self.captioner.regions(seen, training=training) if self.looks else seen
        regions = self.standardization(ops.cast(regions, "float32"))
        if words.shape[0] is None or words.shape[0] != regions.shape[0]:
            each = ops.shape(words)[0] // ops.shape(regions)[0]
            regions = ops.repeat(regions, each if words.shape[0] is None else int(each), axis=0)
        if training and self.own_words:
            words = self._with_own(regions, words)
        logits, weights = self.teller.read(regions, words, training=training)
        if training and self.coverage and weights is not None:
            self.add_loss(self.coverage * _uncovered(weights, words))
        return logits

    def _with_own(self, regions, words):
        """Returns words of which some are what it would have said itself."""
        self.done.assign_add(1)
        part = self.own_words * ops.minimum(ops.cast(self.done[0], "float32") / self.steps, 1.0)
        logits, _ = self.teller.read(regions, words, training=True)
        own = ops.cast(ops.argmax(ops.stop_gradient(logits), axis=-1), "int32")
        own = ops.concatenate([words[:, :1], own[:, :-1]], axis=1)
        drawn = keras.random.uniform(ops.shape(words), seed=self.chance) < part
        # The start stays, and so does what stands behind the end.
        drawn = ops.logical_and(drawn, words != END)
        return ops.where(drawn, own, words)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        logs = ops.log_softmax(y_pred, axis=-1)
        counted = ops.cast(y != IGNORED, "float32")
        chosen = ops.take_along_axis(logs, ops.maximum(y, 0)[..., None], axis=-1)[..., 0]
        nats = -chosen
        if training and self.smoothing:
            nats = (1 - self.smoothing) * nats - self.smoothing * ops.mean(logs, axis=-1)
        if sample_weight is not None:
            nats = nats * sample_weight[:, None]
        loss = ops.sum(nats * counted) / ops.maximum(ops.sum(counted), 1.0)
        for extra in self.losses:
            loss = loss + extra
        return loss

    def get_config(self):
        return {
            **super().get_config(),
            "captioner": keras.saving.serialize_keras_object(self.captioner),
            "looks": self.looks,
            "smoothing": self.smoothing,
            "coverage": self.coverage,
            "own_words": self.own_words,
            "steps": self.steps,
        }


def _uncovered(weights, words):
    """Returns how unlike the sums of attention are over the cells, for captions of any length."""
    spoken = ops.cast(words != END, weights.dtype)[..., None]
    sums = ops.sum(weights * spoken, axis=1)  # (captions, regions)
    per_cell = ops.sum(spoken, axis=1) / weights.shape[-1]
    return ops.mean(ops.square(1 - sums / ops.maximum(per_cell, 1e-3)))
