"""Draws the first filters of a network, where one sees whether they have learnt anything."""

import io

import keras
import numpy as np
from PIL import Image

# Pixels of a side of one number of a filter, and between filters.
SCALE, GAP = 12, 4
COLUMNS = 8
PAPER = 255


def first_filters(model: keras.Model) -> bytes | None:
    """Returns a PNG of the filters that look at the colours of a picture.

    Smooth ones, edges and blobs of colour, have converged; noisy ones have not, or want more
    regularisation (CS231n, lecture 6).

    Args:
        model: Any model.

    Returns:
        The picture, each filter stretched to the full range of grey around 0; None if the model
        has no convolution over three channels.
    """
    kernel = next((k for layer in _layers(model) if (k := _kernel(layer)) is not None), None)
    if kernel is None:
        return None
    reach = np.abs(kernel).max(axis=(0, 1, 2), keepdims=True)
    shades = np.rint(127.5 + 127.5 * kernel / np.maximum(reach, 1e-12)).astype(np.uint8)
    height, width, _, count = shades.shape
    step_x, step_y = width * SCALE + GAP, height * SCALE + GAP
    rows = -(-count // COLUMNS)
    columns = min(count, COLUMNS)
    sheet = Image.new("RGB", (columns * step_x + GAP, rows * step_y + GAP), (PAPER,) * 3)
    for place in range(count):
        tile = Image.fromarray(np.ascontiguousarray(shades[..., place]))
        tile = tile.resize((width * SCALE, height * SCALE), Image.Resampling.NEAREST)
        sheet.paste(tile, (GAP + place % columns * step_x, GAP + place // columns * step_y))
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()


def _layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Returns the layers of a model, those of its models among them, in order."""
    found: list[keras.layers.Layer] = []
    for layer in model.layers:
        found += _layers(layer) if isinstance(layer, keras.Model) else [layer]
    return found


def _kernel(layer: keras.layers.Layer) -> np.ndarray | None:
    if not isinstance(layer, keras.layers.Conv2D) or not layer.built:
        return None
    kernel = np.asarray(keras.ops.convert_to_numpy(layer.kernel), np.float32)
    return kernel if kernel.shape[2] == 3 else None
