"""Attention over the cells of an image, steered by a decoder."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="dlapps")
class RegionAttention(keras.layers.Layer):
    """Pools image regions into one context vector for each word, guided by a decoder's states.

    A region weighs more the better a small tanh network finds that it fits the state
    (Bahdanau et al. 2015, https://arxiv.org/abs/1409.0473). No state needs the context of the one
    before it, so that all words of a caption are served at once.

    Args:
        units: Width of the scoring network.

    Call arguments:
        regions: `(batch, regions, features)` float, one row per cell of the CNN's grid.
        states: `(batch, time, state_units)` float, the decoder's hidden states.

    Returns:
        context: `(batch, time, features)`, the weighted means of the regions.
        weights: `(batch, time, regions)`, not negative, each row summing to 1.
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        if units < 1:
            raise ValueError(f"units must be at least 1, got {units}.")
        self.units = units
        policy = self.dtype_policy
        self.from_regions = keras.layers.Dense(units, use_bias=False, dtype=policy)
        self.from_states = keras.layers.Dense(units, dtype=policy)
        self.score = keras.layers.Dense(1, use_bias=False, dtype=policy)

    def build(self, regions_shape, states_shape):
        self.from_regions.build(regions_shape)
        self.from_states.build(states_shape)
        self.score.build((None, None, None, self.units))

    def call(self, regions, states):
        return self.look(regions, self.from_regions(regions), states)

    def look(self, regions, keys, states):
        """Does what a call does, with what `from_regions` makes of the regions worked out before.

        Args:
            regions: As in a call.
            keys: `(batch, regions, units)`.
            states: As in a call.

        Returns:
            As a call.
        """
        keys = ops.expand_dims(keys, 1)  # (batch, 1, regions, units)
        queries = ops.expand_dims(self.from_states(states), 2)  # (batch, time, 1, units)
        scores = self.score(ops.tanh(keys + queries))
        weights = ops.softmax(ops.squeeze(scores, -1), axis=-1)
        return ops.matmul(weights, regions), weights

    def get_config(self):
        return {**super().get_config(), "units": self.units}
