"""The detectors of the Darknet family: YOLOv2, v3, v4 and their small sisters."""

from collections.abc import Sequence

import keras
from keras import ops

from dlapps.darknet_sections import FIXED, LAYERS, Build
from dlapps.errors import nearest
from dlapps.layers.image_normalization import ImageNormalization
from dlapps.weights.darknet import Section, sections_of


@keras.saving.register_keras_serializable(package="dlapps")
class DarknetDetector(keras.Model):
    """Finds things in a picture with a network that a Darknet `.cfg` describes.

    Args:
        labels: Names of the classes, in the order of the scores.
        cfg: The text of the `.cfg`.
        image_size: Longer side of the images that it is meant for, pixels, a multiple of 32; None
            for what the `.cfg` says.

    Call arguments:
        images: `(batch, height, width, 3)`, 0 to 255, RGB; sides are multiples of 32.

    Returns:
        boxes: `(batch, cells, 4)` float32, pixels of the images.
        scores: `(batch, cells, labels)` float32 in [0, 1].
    """

    def __init__(self, labels, cfg, image_size=None, **kwargs):
        super().__init__(**kwargs)
        sections = sections_of(cfg)
        self.labels = list(labels)
        self.cfg = cfg
        self.image_size = image_size or image_size_of(sections)
        if self.image_size < 1 or self.image_size % 32:
            raise ValueError(f"image_size must be a multiple of 32, got {image_size}.")
        known = num_classes(sections)
        if len(self.labels) != known:
            raise ValueError(f"labels must be {known}, as cfg says, got {len(self.labels)}.")
        self.normalization = ImageNormalization(scale=(255.0,) * 3, dtype=self.dtype_policy)
        self.network = network(sections, self.dtype_policy)

    def build(self, images_shape):
        self.built = True

    def call(self, images, training=None):
        return self.network(self.normalization(images), training=training)

    def predictions(self, images):
        """Returns what a call returns, with fixed batch norms."""
        return tuple(self(images, training=False))

    def get_config(self):
        own = {"labels": self.labels, "cfg": self.cfg, "image_size": self.image_size}
        return {**super().get_config(), **own}


def image_size_of(sections: Sequence[Section]) -> int:
    """Returns the longer side, in pixels, of the images that a network is meant for.

    Raises:
        ValueError: If that is not a multiple of 32.
    """
    sides = [sections[0].whole(name, 416, least=32) for name in ("width", "height")]
    if any(side % 32 for side in sides):
        raise ValueError(
            f"{sections[0].place}: width and height must be multiples of 32, got "
            f"{sides[0]} and {sides[1]}."
        )
    return max(sides)


def network(
    sections: Sequence[Section],
    policy: keras.DTypePolicy | None = None,
    prefixes: Sequence[str] = (),
    name: str = "darknet",
) -> keras.Model:
    """Builds a network with random weights.

    Args:
        sections: As `sections_of` returns them.
        policy: Of all its layers; None for Keras' global one.
        prefixes: What the names of each section's layers begin with; nothing without.
        name: Its own.

    Returns:
        A functional model of images `(batch, height, width, 3)`, in [0, 1], RGB. It returns what
        all its `yolo` and `region` sections see, one after the other: boxes `(batch, cells, 4)`,
        xyxy, pixels, and scores `(batch, cells, classes)`; without any, the last layer's grid.

    Raises:
        ValueError: If sections or their options are unknown, or do not fit together; says where.
    """
    if sections[0].whole("channels", 3) != 3:
        raise ValueError(f"{sections[0].place}: channels must be 3, red, green and blue.")
    images = keras.Input((None, None, 3), name="images")
    built = Build(images, policy or keras.config.dtype_policy())
    for place, section in enumerate(sections[1:]):
        if section.kind not in LAYERS:
            raise ValueError(
                f"{section.place} is no layer that is known.{nearest(section.kind, LAYERS)} "
                f"Known: {', '.join(LAYERS)}."
            )
        for option, value in FIXED.get(section.kind, {}).items():
            if section.text(option, value) != value:
                raise ValueError(
                    f"{section.place}: {option}={section.options[option]} is not supported."
                )
        built.name = f"{prefixes[place] if prefixes else ''}{section.kind}_{place}"
        built.grids.append(LAYERS[section.kind](section, built))
    if not built.grids:
        raise ValueError("it has no layers.")
    if not built.seen:
        return keras.Model(images, built.grids[-1], name=name)
    if len({scores.shape[-1] for _, scores in built.seen}) > 1:
        raise ValueError("its [yolo] or [region] sections have different numbers of classes.")
    boxes, scores = (ops.concatenate([*each], axis=1) for each in zip(*built.seen, strict=True))
    return keras.Model(images, [boxes, scores], name=name)


def num_classes(sections: Sequence[Section]) -> int:
    """Returns how many classes a network tells apart, as its first section that finds boxes says.

    Raises:
        ValueError: If none does.
    """
    for section in sections:
        if section.kind in ("yolo", "region"):
            return section.whole("classes", 20, least=1)
    raise ValueError("it has no section [yolo] or [region], and so finds no boxes.")
