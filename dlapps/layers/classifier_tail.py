"""The last blocks of a classifier, which learn while those before them stay as they are."""

import keras
from keras import ops

from dlapps.layers.grid_means import GridMeans

PARTS = ("late", "head")


@keras.saving.register_keras_serializable(package="dlapps")
class ClassifierTail(keras.Model):
    """Goes on with what the frozen first blocks of a classifier saw; shares its layers.

    Args:
        late: From the grid at the cut to the later grids, as `backbones.split` gives it.
        head: The classifier's head.

    Call arguments:
        inputs: A pair of the grid at the cut, `(batch, height, width, channels)`, and the means
            of the grids before it, `(batch, features)`.

    Returns:
        `(batch, labels)` float32 logits, those of the whole classifier.
    """

    def __init__(self, late, head, **kwargs):
        super().__init__(**kwargs)
        self.late = late
        self.means = GridMeans(dtype=self.dtype_policy)
        self.head = head

    def build(self, inputs_shape):
        self.built = True

    def call(self, inputs, training=None):
        grid, early = inputs
        grids = self.late(ops.cast(grid, self.compute_dtype), training=training)
        seen = self.means(grids if isinstance(grids, list) else [grids])
        return self.head(ops.concatenate([early, seen], axis=-1), training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return self.head.compute_loss(x, y, y_pred, sample_weight, training)

    def get_config(self):
        kept = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in PARTS}
        return {**super().get_config(), **kept}

    @classmethod
    def from_config(cls, config):
        parts = {name: keras.saving.deserialize_keras_object(config[name]) for name in PARTS}
        return cls(**{**config, **parts})
