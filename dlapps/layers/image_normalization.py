"""Brings images of 0 to 255 to the range that a backbone was trained on."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="dlapps")
class ImageNormalization(keras.layers.Layer):
    """Subtracts a mean from each colour channel and divides by a scale.

    It is part of every model, so that training, prediction and export cannot differ.

    Args:
        mean: What becomes 0, one number a channel, in [0, 255], red first.
        scale: What becomes 1 above it, one number a channel, above 0.
        reverse: Whether the backbone wants blue first, as Caffe's do.

    Call arguments:
        images: `(batch, height, width, 3)`, any dtype, 0 to 255, RGB.

    Returns:
        `(batch, height, width, 3)` float.
    """

    def __init__(self, mean=(0.0, 0.0, 0.0), scale=(1.0, 1.0, 1.0), reverse=False, **kwargs):
        super().__init__(**kwargs)
        if len(mean) != 3 or len(scale) != 3:
            raise ValueError(f"mean and scale must have 3 numbers, got {mean} and {scale}.")
        if min(scale) <= 0:
            raise ValueError(f"scale must be above 0, got {scale}.")
        self.mean = tuple(mean)
        self.scale = tuple(scale)
        self.reverse = reverse

    def call(self, images):
        x = ops.cast(images, self.compute_dtype)
        x = (x - ops.cast(self.mean, x.dtype)) / ops.cast(self.scale, x.dtype)
        return ops.flip(x, axis=-1) if self.reverse else x

    def compute_output_spec(self, images):
        return keras.KerasTensor(images.shape, self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "mean": self.mean,
            "scale": self.scale,
            "reverse": self.reverse,
        }
