"""Averages what a backbone sees over the picture."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="dlapps")
class GridMeans(keras.layers.Layer):
    """Averages each of several grids over its cells, side by side; one is learnt through.

    In training, gradients pass through the last grid alone, as in pretraining: a head weighs up
    the others, whose spread is small, and their gradients would swamp it (with momentum, NaN).

    Call arguments:
        grids: A list of `(batch, height, width, channels)` float.
        training: Whether gradients are to pass through the last grid alone.

    Returns:
        `(batch, features)` float32, as many features as all grids have channels.
    """

    def call(self, grids, training=None):
        averages = [ops.mean(grid, axis=(1, 2)) for grid in grids]
        if training:
            averages = [*map(ops.stop_gradient, averages[:-1]), averages[-1]]
        return ops.cast(ops.concatenate(averages, axis=-1), "float32")

    def compute_output_spec(self, grids, training=None):
        features = sum(grid.shape[-1] for grid in grids)
        return keras.KerasTensor((grids[0].shape[0], features), "float32")
