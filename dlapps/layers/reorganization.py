"""Moves pixels to channels, in Darknet's own order."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="dlapps")
class Reorganization(keras.layers.Layer):
    """Makes a grid coarser and deeper without losing a number, as YOLOv2's `reorg` does.

    Darknet reads the numbers as if the grid had fewer channels and more rows, so that, unlike in
    `space_to_depth`, what comes together are not neighbours. Its weights want just that.

    Args:
        stride: Cells that become one, along each side.

    Call arguments:
        grid: `(batch, height, width, channels)`; `stride` divides height and width, and its square
            channels.

    Returns:
        `(batch, height / stride, width / stride, stride * stride * channels)`.
    """

    def __init__(self, stride=2, **kwargs):
        super().__init__(**kwargs)
        if stride < 1:
            raise ValueError(f"stride must be at least 1, got {stride}.")
        self.stride = stride

    def build(self, grid_shape):
        if grid_shape[-1] % self.stride**2:
            raise ValueError(
                f"grid must have a multiple of {self.stride**2} channels, got {grid_shape[-1]}."
            )

    def call(self, grid):
        step, channels = self.stride, grid.shape[-1]
        _, height, width, _ = ops.shape(grid)
        x = ops.transpose(grid, (0, 3, 1, 2))
        x = ops.reshape(x, (-1, channels * height // step**2, step, width, step))
        x = ops.transpose(x, (0, 2, 4, 1, 3))
        x = ops.reshape(x, (-1, channels * step**2, height // step, width // step))
        return ops.transpose(x, (0, 2, 3, 1))

    def compute_output_shape(self, grid_shape):
        batch, height, width, channels = grid_shape
        sides = [side and side // self.stride for side in (height, width)]
        return (batch, *sides, channels * self.stride**2)

    def get_config(self):
        return {**super().get_config(), "stride": self.stride}
