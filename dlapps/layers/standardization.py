"""Brings features to a common scale, and keeps them centred while what makes them learns."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="dlapps")
class Standardization(keras.layers.Layer):
    """Subtracts the mean of each feature and divides by its standard deviation.

    Both are set from a training set. Where the layer is trainable, in training, the mean is that
    of the batch, and the kept one follows it: when the network below learns, all its features
    drift together, and the layer above need not follow. The deviation stays, so that a feature
    that hardly moves is not blown up (mean-only batch normalization, Salimans and Kingma 2016,
    https://arxiv.org/abs/1602.07868). Where it is not trainable, both are fixed.

    Args:
        momentum: Weight of the past in the kept mean, in [0, 1).
        epsilon: Added to the variances.

    Call arguments:
        features: `(batch, features)` float.
        training: Whether to use the mean of the batch, if the layer is trainable.

    Returns:
        `(batch, features)`.
    """

    def __init__(self, momentum=0.98, epsilon=1e-6, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {momentum}.")
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, features_shape):
        settings = {"shape": features_shape[-1:], "trainable": False, "autocast": False}
        self.moving_mean = self.add_weight(name="moving_mean", initializer="zeros", **settings)
        self.moving_variance = self.add_weight(
            name="moving_variance", initializer="ones", **settings
        )

    def call(self, features, training=None):
        wide = ops.cast(features, self.variable_dtype)
        mean = self.moving_mean.value
        if training and self.trainable:
            mean = ops.mean(wide, axis=0)
            past = self.momentum
            self.moving_mean.assign(past * self.moving_mean + (1 - past) * ops.stop_gradient(mean))
        scaled = (wide - mean) / ops.sqrt(self.moving_variance + self.epsilon)
        return ops.cast(scaled, self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum, "epsilon": self.epsilon}
