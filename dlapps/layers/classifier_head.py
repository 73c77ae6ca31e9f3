"""Decides from features which class it is, and says how far off that was."""

import keras
from keras import ops

from dlapps.layers.standardization import Standardization


@keras.saving.register_keras_serializable(package="dlapps")
class ClassifierHead(keras.Model):
    """Tells classes by one linear layer on standardized features, with a smoothed crossentropy.

    In training, part of the probability is to be spread over all classes (Szegedy et al. 2016,
    https://arxiv.org/abs/1512.00567): whoever has to be sure of every label learns the wrong ones
    by heart. In validation nothing is smoothed, so that losses compare with those of other
    models.

    Args:
        num_classes: How many classes.
        dropout: Fraction of the features dropped in training, in [0, 1).
        smoothing: Part of the probability that is spread in training, in [0, 1).

    Call arguments:
        features: `(batch, features)` float.

    Returns:
        `(batch, classes)` float32 logits.
    """

    def __init__(self, num_classes, dropout=0.0, smoothing=0.0, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= smoothing < 1:
            raise ValueError(f"smoothing must be in [0, 1), got {smoothing}.")
        self.num_classes = num_classes
        self.dropout = dropout
        self.smoothing = smoothing
        # float32 whatever the precision of what lies below: it costs next to nothing.
        self.standardization = Standardization(
            trainable=False, dtype="float32", name="standardization"
        )
        self.drop = keras.layers.Dropout(dropout, dtype="float32", name="dropout")
        # Zeros: the first loss is ln(classes), and no class is preferred by chance.
        self.logits = keras.layers.Dense(
            num_classes, kernel_initializer="zeros", dtype="float32", name="logits"
        )

    def build(self, features_shape):
        self.standardization.build(features_shape)
        self.logits.build(features_shape)

    def call(self, features, training=None):
        scaled = self.standardization(features, training=training)
        return self.logits(self.drop(scaled, training=training))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        true = ops.one_hot(ops.cast(y, "int32"), self.num_classes)
        smoothing = self.smoothing if training else 0.0
        nats = keras.losses.categorical_crossentropy(
            true, y_pred, from_logits=True, label_smoothing=smoothing
        )
        return ops.mean(nats if sample_weight is None else nats * sample_weight)

    def temper(self, temperature):
        """Divides all logits by a number: below 1 the probabilities become surer, above 1 less."""
        for weight in self.logits.weights:
            weight.assign(weight / temperature)

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "dropout": self.dropout,
            "smoothing": self.smoothing,
        }
