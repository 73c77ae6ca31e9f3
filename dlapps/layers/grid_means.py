"""Averages what a backbone sees over the picture."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="dlapps")
class GridMeans(keras.layers.Layer):
    """Averages each of several grids over its cells, side by side.

    Call arguments:
        grids: A list of `(batch, height, width, channels)` float.

    Returns:
        `(batch, features)` float32, as many features as all grids have channels.
    """

    def call(self, grids):
        averages = [ops.mean(grid, axis=(1, 2)) for grid in grids]
        return ops.cast(ops.concatenate(averages, axis=-1), "float32")

    def compute_output_spec(self, grids):
        features = sum(grid.shape[-1] for grid in grids)
        return keras.KerasTensor((grids[0].shape[0], features), "float32")
