"""The network of the classifier."""

from pathlib import Path

import keras
import numpy as np
from keras import ops

from dlapps import backbones, saving
from dlapps.errors import UserError
from dlapps.layers.classifier_head import ClassifierHead
from dlapps.layers.grid_means import GridMeans
from dlapps.weights import efficientnet_lite0

# Grids finer than this hold edges and textures, which say little about a class (measured on
# flowers: from stride 16 on 0.934, from stride 8 on no better, the last grid alone 0.914).
FINEST_STRIDE = 16


@keras.saving.register_keras_serializable(package="dlapps")
class ImageClassifier(keras.Model):
    """Tells which of its labels a picture shows.

    A backbone looks, each of its late grids is averaged over the picture, and one linear layer
    decides. Reading the grids of every late block, not of the last one alone, lets a linear layer
    on a frozen backbone do most of what fine-tuning would (Evci et al. 2022,
    https://arxiv.org/abs/2201.03529).

    Args:
        labels: Names of the classes, in the order of the logits.
        backbone: A name that `backbones.build` knows.
        image_size: Side of the images that it is meant for, pixels, a multiple of 32.
        crop: Part of a picture's shorter side that prediction looks at, in (0, 1].
        every_block: Whether to read the grids of all blocks from stride 16 on, or the last only.
        dropout: Fraction of the features dropped in training, in [0, 1).
        smoothing: Part of the probability that training spreads over all classes, in [0, 1).

    Call arguments:
        images: `(batch, height, width, 3)`, 0 to 255, RGB.

    Returns:
        `(batch, labels)` float32 logits.
    """

    def __init__(
        self,
        labels,
        backbone=backbones.BUILT_IN,
        image_size=224,
        crop=0.875,
        every_block=True,
        dropout=0.2,
        smoothing=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not 0 < crop <= 1:
            raise ValueError(f"crop must be in (0, 1], got {crop}.")
        if image_size < 1 or image_size % backbones.STRIDE:
            raise ValueError(f"image_size must be a multiple of 32, got {image_size}.")
        self.labels = list(labels)
        self.backbone = backbone
        self.image_size = image_size
        self.crop = crop
        self.every_block = every_block
        self.dropout = dropout
        self.smoothing = smoothing
        built = backbones.build(backbone, self.dtype_policy)
        self.normalization = built.normalization
        self.network = _with_grids(built.network, every_block)
        self.means = GridMeans(dtype=self.dtype_policy)
        # `standardize` gives it the statistics of the training set.
        self.head = ClassifierHead(len(self.labels), dropout, smoothing, name="head")

    def build(self, images_shape):
        self.head.build((None, self.num_features))

    @property
    def num_features(self):
        """How many numbers the head decides by: the channels of all grids."""
        return sum(grid.shape[-1] for grid in self.network.outputs)

    def call(self, images, training=None):
        return self.head(self.features(images, training=training), training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return self.head.compute_loss(x, y, y_pred, sample_weight, training)

    def grids(self, images, training=None):
        """Returns what the backbone's late blocks see.

        Args:
            images: `(batch, image_size, image_size, 3)`, 0 to 255, RGB.
            training: Whether to apply the backbone's stochastic depth.

        Returns:
            A list of `(batch, height, width, channels)`, from the finest to the coarsest.
        """
        seen = self.network(self.normalization(images), training=training)
        return seen if isinstance(seen, list) else [seen]  # Keras unpacks a list of one.

    def features(self, images, training=None):
        """Returns the grids averaged over the picture, side by side: `(batch, features)`."""
        return self.means(self.grids(images, training=training))

    def standardize(self, features):
        """Learns the mean of each feature, and its scale, at least that of its grid.

        A feature that hardly moves in the training set would else be blown up, and with it every
        small step of the backbone in fine-tuning.

        Args:
            features: `(pictures, features)` array of the training set.
        """
        variance = np.var(features, axis=0)
        first = 0
        for grid in self.network.outputs:
            own = slice(first, first + grid.shape[-1])
            variance[own] = np.maximum(variance[own], variance[own].mean())
            first = own.stop
        layer = self.head.standardization
        layer.moving_mean.assign(np.mean(features, axis=0))
        layer.moving_variance.assign(np.maximum(variance, 1e-8))

    def evidence(self, images, classes):
        """Says which places of a picture speak for a class.

        This is Grad-CAM (Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391) on every grid
        that the head reads. Because the head is linear in the means of the grids, the gradient of
        a logit is its row of weights, the same at every place, and needs no backward pass.

        Args:
            images: `(batch, image_size, image_size, 3)`, 0 to 255, RGB.
            classes: `(batch,)` int, which logit to explain.

        Returns:
            `(batch, height, width)` float, not negative, on the finest grid.
        """
        deviation = ops.sqrt(self.head.standardization.moving_variance + 1e-6)
        kernel = self.head.logits.kernel / ops.expand_dims(deviation, -1)
        weights = ops.take(ops.transpose(kernel), classes, axis=0)  # (batch, features)
        grids = self.grids(images)
        finest, first = grids[0].shape[1:3], 0
        total = 0.0
        for grid in grids:
            channels = grid.shape[-1]
            part = weights[:, None, None, first : first + channels]
            speaks = ops.sum(ops.cast(grid, "float32") * part, axis=-1, keepdims=True)
            total += ops.image.resize(speaks, finest, "bilinear")
            first += channels
        return ops.relu(total[..., 0])

    def unfreeze(self, num_blocks):
        """Lets the last blocks of the backbone learn; all batch norms stay as they are.

        The head follows the mean of the features from then on.

        Args:
            num_blocks: How many blocks, counted from the output; 0 for none.
        """
        groups = backbones.blocks(self.network)
        for distance, group in enumerate(reversed(groups)):
            for layer in group:
                is_norm = isinstance(layer, keras.layers.BatchNormalization)
                layer.trainable = distance < num_blocks and not is_norm
        self.head.standardization.trainable = num_blocks > 0

    def get_config(self):
        return {
            **super().get_config(),
            "labels": self.labels,
            "backbone": self.backbone,
            "image_size": self.image_size,
            "crop": self.crop,
            "every_block": self.every_block,
            "dropout": self.dropout,
            "smoothing": self.smoothing,
        }


def _with_grids(network: keras.Model, every_block: bool) -> keras.Model:
    if not every_block:
        return keras.Model(network.input, [network.output], name=network.name)
    levels = backbones.pyramid(network)
    names = [name for stride, ends in levels.items() if stride >= FINEST_STRIDE for name in ends]
    grids = [network.get_layer(name).output for name in names]
    return keras.Model(network.input, grids or [network.output], name=network.name)


def new_model(
    labels: list[str],
    backbone: str,
    image_size: int,
    dropout: float,
    smoothing: float = 0.0,
    init: str | None = None,
) -> ImageClassifier:
    """Makes a classifier with a pretrained backbone and a head that knows nothing yet.

    Args:
        labels: Names of the classes.
        backbone: A name that `backbones.build` knows.
        image_size: Side of the images, pixels.
        dropout: Fraction of the features dropped in training, in [0, 1).
        smoothing: Part of the probability that training spreads over all classes, in [0, 1).
        init: A trained classifier whose backbone to take instead of ImageNet's.

    Raises:
        UserError: If the weights cannot be had, or `init` has another backbone.
    """
    model = ImageClassifier(labels, backbone, image_size, dropout=dropout, smoothing=smoothing)
    model.build((None, image_size, image_size, 3))
    if init is None:
        backbones.load_pretrained(backbone, model.network)
        return model
    start = load_model(init)
    if start.backbone != backbone:
        raise UserError(
            f"--init {init} has the backbone {start.backbone}, not {backbone}. "
            f"Say --backbone {start.backbone}"
        )
    backbones.copy_weights(start.network, model.network)
    return model


def load_model(name: str) -> ImageClassifier:
    """Loads a classifier.

    Args:
        name: A run folder, a `.keras` file, or `imagenet`.

    Raises:
        UserError: If it is none of these.
    """
    return saving.load(name, ImageClassifier, {"imagenet": _imagenet})


def _imagenet() -> ImageClassifier:
    labels = (Path(efficientnet_lite0.__file__).with_name("imagenet.txt")).read_text().splitlines()
    model = ImageClassifier(labels, every_block=False)
    model.build((None, model.image_size, model.image_size, 3))
    efficientnet_lite0.load_backbone(model.network)
    model.head.logits.set_weights(efficientnet_lite0.head_weights())
    return model
