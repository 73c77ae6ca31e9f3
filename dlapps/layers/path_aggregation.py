"""Lets fine grids know what coarse ones see, and the other way round."""

import keras
from keras import ops

from dlapps.layers.conv_block import ConvBlock
from dlapps.layers.csp_block import CSPBlock


@keras.saving.register_keras_serializable(package="dlapps")
class PathAggregation(keras.layers.Layer):
    """Passes what is seen down from coarse to fine, then up again (PAN).

    A small thing is found on a fine grid, by what a coarse one knows of the scene; a large one on
    a coarse grid, by edges that only a fine one sees (Liu et al. 2018,
    https://arxiv.org/abs/1803.01534).

    Args:
        filters: Channels of the fine, the middle and the coarse grid of the result, even.
        depth: Pairs of convolutions in each block.

    Call arguments:
        fine: `(batch, 4 h, 4 w, channels)` float.
        middle: `(batch, 2 h, 2 w, channels)`.
        coarse: `(batch, h, w, channels)`.
        training: Whether to normalise by the batch.

    Returns:
        Three grids of the same sides, fine to coarse, with the channels of `filters`.
    """

    def __init__(self, filters=(64, 96, 128), depth=1, **kwargs):
        super().__init__(**kwargs)
        if len(filters) != 3:
            raise ValueError(f"filters must be three numbers, got {len(filters)}.")
        self.filters = tuple(filters)
        self.depth = depth
        policy = self.dtype_policy
        self.entries = [ConvBlock(n, 1, dtype=policy) for n in self.filters]
        self.down = [CSPBlock(n, depth, dtype=policy) for n in self.filters[:2]]
        self.steps = [ConvBlock(n, 3, 2, dtype=policy) for n in self.filters[:2]]
        self.up = [CSPBlock(n, depth, dtype=policy) for n in self.filters[1:]]

    def build(self, fine_shape, middle_shape, coarse_shape):
        shapes = [fine_shape, middle_shape, coarse_shape]
        for entry, shape in zip(self.entries, shapes, strict=True):
            entry.build(shape)
        own = [(*shape[:-1], n) for shape, n in zip(shapes, self.filters, strict=True)]
        for level in (0, 1):
            both = self.filters[level] + self.filters[level + 1]
            self.down[level].build((*own[level][:-1], both))
            self.steps[level].build(own[level])
            self.up[level].build((*own[level + 1][:-1], both))

    def call(self, fine, middle, coarse, training=None):
        grids = [
            entry(grid, training=training)
            for entry, grid in zip(self.entries, (fine, middle, coarse), strict=True)
        ]
        for level in (1, 0):
            seen = ops.concatenate([_doubled(grids[level + 1]), grids[level]], axis=-1)
            grids[level] = self.down[level](seen, training=training)
        for level in (0, 1):
            step = self.steps[level](grids[level], training=training)
            seen = ops.concatenate([step, grids[level + 1]], axis=-1)
            grids[level + 1] = self.up[level](seen, training=training)
        return grids

    def compute_output_shape(self, fine_shape, middle_shape, coarse_shape):
        shapes = fine_shape, middle_shape, coarse_shape
        return [(*shape[:-1], n) for shape, n in zip(shapes, self.filters, strict=True)]

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "depth": self.depth}


def _doubled(grid):
    return ops.repeat(ops.repeat(grid, 2, axis=1), 2, axis=2)
