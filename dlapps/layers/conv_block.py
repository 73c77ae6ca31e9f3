"""The unit that convolutional networks are made of."""

import keras


@keras.saving.register_keras_serializable(package="dlapps")
class ConvBlock(keras.layers.Layer):
    """Convolves, normalises and rectifies.

    ReLU, as TensorFlow computes it within the convolution on a CPU, which it does not for smoother
    ones (SiLU made the whole detector 1.2 times slower).

    Args:
        filters: Channels of the result.
        kernel_size: Side of the window, cells.
        strides: Cells from one window to the next.

    Call arguments:
        grid: `(batch, height, width, channels)` float.
        training: Whether to normalise by the batch.

    Returns:
        `(batch, height / strides, width / strides, filters)`.
    """

    def __init__(self, filters, kernel_size=3, strides=1, **kwargs):
        super().__init__(**kwargs)
        if filters < 1:
            raise ValueError(f"filters must be at least 1, got {filters}.")
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        policy = self.dtype_policy
        self.convolution = keras.layers.Conv2D(
            filters,
            kernel_size,
            strides,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            dtype=policy,
        )
        # Trainings on a CPU are short: the kept statistics follow faster than Keras' 0.99.
        self.normalization = keras.layers.BatchNormalization(momentum=0.97, dtype=policy)

    def build(self, grid_shape):
        self.convolution.build(grid_shape)
        self.normalization.build(self.convolution.compute_output_shape(grid_shape))

    def call(self, grid, training=None):
        return keras.ops.relu(self.normalization(self.convolution(grid), training=training))

    def compute_output_shape(self, grid_shape):
        return self.convolution.compute_output_shape(grid_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
        }
