"""Random views of a picture for training, drawn by Pillow from the full-size original."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from dlapps.data.pictures import resized

# Principal components of the colours of ImageNet's pixels, as rows, and their spread, for colours
# in [0, 1] (Krizhevsky et al. 2012, section 4.1; figures as in fb.resnet.torch).
COLOUR_COMPONENTS = np.array(
    [[-0.5675, -0.5808, -0.5836], [0.7192, -0.0045, -0.6948], [0.4009, -0.8140, 0.4203]]
)
COLOUR_SPREAD = np.sqrt([0.2175, 0.0188, 0.0045])
# Short sides of 256 to 480 for crops of 224 pixels (He et al. 2015, https://arxiv.org/abs/1512.03385).
SHORT_SIDES = (256 / 224, 480 / 224)


@dataclass(frozen=True)
class Augmentation:
    """How far views may differ from the picture they are drawn from.

    Args:
        short_sides: Range of the picture's shorter side, in sides of the square cut from it.
        stretch: Largest ratio of the crop's sides, at least 1.
        rotation: Largest angle to either side, degrees.
        light: Largest change of brightness and of contrast, in [0, 1).
        colour: Standard deviation of the jitter along the principal components of colour.
    """

    short_sides: tuple[float, float]
    stretch: float = 1.0
    rotation: float = 0.0
    light: float = 0.0
    colour: float = 0.0


AUGMENTATIONS = {
    "none": None,
    "light": Augmentation((1.0, 1.4), light=0.1, colour=0.1),
    "standard": Augmentation(SHORT_SIDES, light=0.2, colour=0.1),
    "strong": Augmentation(SHORT_SIDES, stretch=4 / 3, rotation=15, light=0.4, colour=0.2),
}


def random_view(
    image: Image.Image, size: int, augmentation: Augmentation, rng: np.random.Generator
) -> np.ndarray:
    """Returns a random crop of a picture: flipped, turned, lit and tinted by chance.

    Args:
        image: The picture, mode "RGB".
        size: Pixels of one side of the result.
        augmentation: How far to go.
        rng: Where chance comes from; the same state gives the same view.

    Returns:
        `(size, size, 3)` uint8.
    """
    # Every number is drawn whatever the settings, so that views stay comparable between them.
    scale, left, top, flip, angle, log_stretch, light, contrast = rng.random(8)
    tint = rng.normal(size=3)
    if augmentation.rotation:
        degrees = augmentation.rotation * (2 * angle - 1)
        image = image.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=_mean_colour(image))
    low, high = augmentation.short_sides
    side = min(image.size) / (low + scale * (high - low))
    stretch = math.exp(math.log(augmentation.stretch) * (2 * log_stretch - 1) / 2)
    width, height = min(side * stretch, image.width), min(side / stretch, image.height)
    x, y = left * (image.width - width), top * (image.height - height)
    view = resized(image, size, (x, y, x + width, y + height))
    if flip < 0.5:
        view = view[:, ::-1]
    return relit(view, augmentation.light, augmentation.colour, (light, contrast), tint)


def _mean_colour(image: Image.Image) -> tuple[int, ...]:
    return tuple(int(v) for v in np.asarray(image.resize((1, 1), Image.Resampling.BOX))[0, 0])


def relit(
    view: np.ndarray,
    light: float,
    colour: float,
    chances: tuple[float, float],
    tint: np.ndarray,
) -> np.ndarray:
    """Returns a picture in another light.

    Args:
        view: `(height, width, 3)` uint8.
        light: Largest change of brightness and of contrast, in [0, 1).
        colour: Standard deviation of the jitter along the principal components of colour.
        chances: Where in their ranges brightness and contrast fall, each in [0, 1).
        tint: `(3,)` standard normal, how far to go along each component.
    """
    if not (light or colour):
        return np.ascontiguousarray(view)
    brightness, contrast = chances
    gain = 1 + light * (2 * contrast - 1)
    shift = 255 * light * (2 * brightness - 1) / 2
    tints = 255 * (colour * tint * COLOUR_SPREAD) @ COLOUR_COMPONENTS
    mean = view.mean()
    grey = np.arange(256.0)
    out = np.empty(view.shape, np.uint8)
    for channel in range(3):  # One table a channel is 20 times faster than arithmetic on pixels.
        table = mean + (grey - mean) * gain + shift + tints[channel]
        out[..., channel] = np.clip(np.rint(table), 0, 255).astype(np.uint8)[view[..., channel]]
    return out
