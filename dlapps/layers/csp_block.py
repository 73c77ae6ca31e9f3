"""A block whose parts are all read by its end."""

import keras
from keras import ops

from dlapps.layers.conv_block import ConvBlock


@keras.saving.register_keras_serializable(package="dlapps")
class CSPBlock(keras.layers.Layer):
    """Sends half of the channels through convolutions, and reads all stages together.

    Half as much is computed as in a plain stack, and gradients have a short way to every stage
    (cross-stage partial networks, Wang et al. 2019, https://arxiv.org/abs/1911.11929; every stage
    read at the end as in ELAN, https://arxiv.org/abs/2211.04800).

    Args:
        filters: Channels of the result, even.
        depth: Pairs of convolutions one after the other.

    Call arguments:
        grid: `(batch, height, width, channels)` float.
        training: Whether to normalise by the batch.

    Returns:
        `(batch, height, width, filters)`.
    """

    def __init__(self, filters, depth=1, **kwargs):
        super().__init__(**kwargs)
        if filters < 2 or filters % 2:
            raise ValueError(f"filters must be even and at least 2, got {filters}.")
        self.filters = filters
        self.depth = depth
        policy = self.dtype_policy
        half = filters // 2
        self.enter = ConvBlock(filters, 1, dtype=policy)
        self.stages = [
            (ConvBlock(half, dtype=policy), ConvBlock(half, dtype=policy)) for _ in range(depth)
        ]
        self.leave = ConvBlock(filters, 1, dtype=policy)

    def build(self, grid_shape):
        self.enter.build(grid_shape)
        half = (*grid_shape[:-1], self.filters // 2)
        for first, second in self.stages:
            first.build(half)
            second.build(half)
        self.leave.build((*grid_shape[:-1], self.filters // 2 * (2 + self.depth)))

    def call(self, grid, training=None):
        seen = ops.split(self.enter(grid, training=training), 2, axis=-1)
        for first, second in self.stages:
            seen.append(second(first(seen[-1], training=training), training=training))
        return self.leave(ops.concatenate(seen, axis=-1), training=training)

    def compute_output_shape(self, grid_shape):
        return (*grid_shape[:-1], self.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "depth": self.depth}
