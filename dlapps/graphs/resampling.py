"""Scales pictures inside a graph exactly as Pillow does, to the last bit."""

from collections.abc import Callable
from dataclasses import dataclass

import PIL
import tensorflow as tf

# Pillow keeps the weights of a pixel as whole numbers of so many bits after the point, and rounds
# to 8 bits between its two passes (src/libImaging/Resample.c, MIT-CMU).
POINT = 22
# Keys' cubic (1981, https://doi.org/10.1109/TASSP.1981.1163711) with the slope that Pillow takes.
SLOPE = -0.5
# From this version on, Pillow chooses anew in which direction to begin.
CHOOSES_ANEW = int(PIL.__version__.partition(".")[0]) >= 13


@dataclass(frozen=True)
class Filter:
    """How pixels are mixed.

    Args:
        reach: How far it goes to either side, in pixels at its own scale.
        weight: From distances to weights.
    """

    reach: float
    weight: Callable[[tf.Tensor], tf.Tensor]


def _cubic(distances: tf.Tensor) -> tf.Tensor:
    x = tf.abs(distances)
    near = ((SLOPE + 2) * x - (SLOPE + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * SLOPE
    return tf.where(x < 1, near, tf.where(x < BICUBIC.reach, far, 0.0))


def _triangle(distances: tf.Tensor) -> tf.Tensor:
    return tf.maximum(1 - tf.abs(distances), 0)


BICUBIC = Filter(2.0, _cubic)
BILINEAR = Filter(1.0, _triangle)


def resized(
    image: tf.Tensor,
    height: int | tf.Tensor,
    width: int | tf.Tensor,
    box: tuple,
    by: Filter = BICUBIC,
) -> tf.Tensor:
    """Returns the `box` of a picture at another size, by an antialiased filter.

    Args:
        image: `(rows, columns, 3)` uint8.
        height: Rows of the result; an int32 scalar if it is a tensor.
        width: Columns of the result, likewise.
        box: Left, top, right and bottom of what to keep, in pixels of the picture; float64
            scalars.
        by: The filter.

    Returns:
        `(height, width, 3)` uint8, equal to the `resize` of the Pillow that is installed, 12.3 or
        later, with the filter of that name.
    """
    left, top, right, bottom = (tf.cast(side, tf.float32) for side in box)  # as Pillow keeps them
    rows, columns = tf.shape(image)[0], tf.shape(image)[1]

    def across(image: tf.Tensor) -> tf.Tensor:
        turned = _scaled(tf.transpose(image, (1, 0, 2)), left, right, width, by)
        return tf.transpose(turned, (1, 0, 2))

    def down(image: tf.Tensor) -> tf.Tensor:
        return _scaled(image, top, bottom, height, by)

    # Pillow begins with the pass that leaves less to do, by this estimate; measured, since the
    # rounding in between tells the order. Before, it did so for the very tallest pictures alone.
    cheaper = rows - height > 2 * (columns - width) if CHOOSES_ANEW else rows > 100 * columns
    tall = (rows > height) & cheaper
    done = tf.cond(tall, lambda: across(down(image)), lambda: down(across(image)))
    known = [side if isinstance(side, int) else None for side in (height, width)]
    return tf.ensure_shape(done, (*known, 3))


def centre_square(image: tf.Tensor, size: int, crop: float) -> tf.Tensor:
    """Returns the middle of a picture, scaled to a square, as `data.pictures.centre_crop` does.

    Args:
        image: `(rows, columns, 3)` uint8.
        size: Pixels of one side of the result.
        crop: Part of the shorter side to keep, in (0, 1].

    Returns:
        `(size, size, 3)` uint8.
    """
    rows, columns = (tf.cast(side, tf.float64) for side in tf.unstack(tf.shape(image)[:2]))
    side = tf.minimum(rows, columns) * crop
    left, top = (columns - side) / 2, (rows - side) / 2
    return resized(image, size, size, (left, top, left + side, top + side))


def _scaled(
    image: tf.Tensor, low: tf.Tensor, high: tf.Tensor, size: int | tf.Tensor, by: Filter
) -> tf.Tensor:
    """Scales what lies between two places on the first axis to `size` rows."""
    shape = tf.shape(image)
    places, weights = _taps(shape[0], low, high, size, by)
    # A row of the result comes of few rows of the picture, so the matrix is sparse.
    row = tf.repeat(tf.range(size), tf.shape(places)[1])
    column = tf.minimum(tf.reshape(places, [-1]), shape[0] - 1)  # Beyond the end they weigh 0.
    matrix = tf.SparseTensor(
        tf.cast(tf.stack([row, column], 1), tf.int64),
        tf.reshape(weights, [-1]),
        tf.cast(tf.stack([size, shape[0]]), tf.int64),
    )
    flat = tf.cast(tf.reshape(image, [shape[0], shape[1] * 3]), tf.int32)
    sums = tf.sparse.sparse_dense_matmul(matrix, flat)
    rounded = tf.bitwise.right_shift(sums + (1 << (POINT - 1)), POINT)
    clipped = tf.cast(tf.clip_by_value(rounded, 0, 255), tf.uint8)
    return tf.reshape(clipped, [size, shape[1], 3])


def _taps(
    count: tf.Tensor, low: tf.Tensor, high: tf.Tensor, size: int | tf.Tensor, by: Filter
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns which pixels make up each one of the result, and how much each weighs.

    Returns:
        places: `(size, taps)` int32; those of `count` and more weigh 0.
        weights: `(size, taps)` int32, with `POINT` bits after the point.
    """
    scale = tf.cast(high - low, tf.float64) / tf.cast(size, tf.float64)
    # Scaled down, the filter grows with the distance of the pixels, which is the antialiasing.
    stretch = tf.maximum(scale, 1.0)
    reach = by.reach * stretch
    centres = tf.cast(low, tf.float64) + (tf.cast(tf.range(size), tf.float64) + 0.5) * scale
    first = tf.maximum(tf.cast(centres - reach + 0.5, tf.int32), 0)
    end = tf.minimum(tf.cast(centres + reach + 0.5, tf.int32), count)
    places = first[:, None] + tf.range(tf.cast(tf.math.ceil(reach), tf.int32) * 2 + 1)
    distances = (tf.cast(places, tf.float64) - centres[:, None] + 0.5) * (1 / stretch)
    weights = tf.where(places < end[:, None], by.weight(distances), 0.0)
    weights /= tf.reduce_sum(weights, 1, keepdims=True)
    whole = tf.math.floor(tf.abs(weights) * 2.0**POINT + 0.5) * tf.sign(weights)
    return places, tf.cast(whole, tf.int32)
