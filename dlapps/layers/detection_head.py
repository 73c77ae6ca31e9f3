"""Says for every cell of a grid what is there and how far its sides are."""

import math

import keras
from keras import ops

from dlapps.layers.conv_block import ConvBlock


@keras.saving.register_keras_serializable(package="dlapps")
class DetectionHead(keras.layers.Layer):
    """Reads boxes and classes off a grid, each by a branch of its own.

    Where a thing is and what it is need different features (Ge et al. 2021,
    https://arxiv.org/abs/2107.08430). A side is given as a distribution over distances, so that a
    blurred edge can be told from a sharp one (Li et al. 2020, https://arxiv.org/abs/2006.04388).

    Args:
        num_classes: Classes to tell apart.
        bins: Distances from 0 to `bins - 1` that a side can have.
        filters: Channels of both branches.
        prior: Probability of every class before anything is learnt, in (0, 1): nearly all cells
            hold nothing, and a head that starts at a half would drown in that.

    Call arguments:
        grid: `(batch, height, width, channels)` float.
        training: Whether to normalise by the batch.

    Returns:
        sides: `(batch, height * width, 4, bins)` float32 logits of the distances to the left, top,
            right and bottom side.
        logits: `(batch, height * width, num_classes)` float32.
    """

    def __init__(self, num_classes, bins=16, filters=64, prior=1e-3, **kwargs):
        super().__init__(**kwargs)
        if num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, got {num_classes}.")
        if not 0 < prior < 1:
            raise ValueError(f"prior must be in (0, 1), got {prior}.")
        self.num_classes = num_classes
        self.bins = bins
        self.filters = filters
        self.prior = prior
        policy = self.dtype_policy
        self.place = [ConvBlock(filters, dtype=policy) for _ in range(2)]
        self.kind = [ConvBlock(filters, dtype=policy) for _ in range(2)]
        # float32 even under mixed precision: probabilities near 0 are what nearly all cells say.
        self.sides = keras.layers.Conv2D(4 * bins, 1, dtype="float32")
        self.logits = keras.layers.Conv2D(
            num_classes,
            1,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            bias_initializer=keras.initializers.Constant(math.log(prior / (1 - prior))),
            dtype="float32",
        )

    def build(self, grid_shape):
        own = (*grid_shape[:-1], self.filters)
        for branch in (self.place, self.kind):
            branch[0].build(grid_shape)
            branch[1].build(own)
        self.sides.build(own)
        self.logits.build(own)

    def call(self, grid, training=None):
        place = kind = grid
        for block in self.place:
            place = block(place, training=training)
        for block in self.kind:
            kind = block(kind, training=training)
        # The number of cells is left open, that of the batch as it may be: both are dynamic.
        batch = ops.shape(grid)[0]
        sides = ops.reshape(self.sides(place), (batch, -1, 4, self.bins))
        return sides, ops.reshape(self.logits(kind), (batch, -1, self.num_classes))

    def compute_output_shape(self, grid_shape):
        batch, height, width, _ = grid_shape
        cells = None if None in (height, width) else height * width
        return (batch, cells, 4, self.bins), (batch, cells, self.num_classes)

    def compute_output_spec(self, grid, training=None):
        shapes = self.compute_output_shape(grid.shape)
        return tuple(keras.KerasTensor(shape, "float32") for shape in shapes)

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "bins": self.bins,
            "filters": self.filters,
            "prior": self.prior,
        }
