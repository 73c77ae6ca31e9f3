"""Made-up truths, findings and a stand-in for a detector, shared by the tests of the detector."""

import numpy as np
from keras import ops
from PIL import Image, ImageDraw

from dlapps.data.boxed import BoxedExample
from dlapps.matching import Found

COLOURS = {"red": (230, 20, 20), "blue": (20, 20, 230)}


def truth(boxes, labels=None, crowd=None, size=(640, 480)):
    """Returns a picture's boxes; of class 0 and no crowds unless told otherwise."""
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    labels = np.zeros(len(boxes), np.int32) if labels is None else np.array(labels, np.int32)
    crowd = np.zeros(len(boxes), bool) if crowd is None else np.array(crowd, bool)
    return BoxedExample("picture.jpg", b"", boxes, labels, crowd, size)


def found(boxes, scores=None, labels=None):
    """Returns what was found; surely, and of class 0, unless told otherwise."""
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    scores = np.full(len(boxes), 0.9) if scores is None else np.array(scores)
    labels = np.zeros(len(boxes), int) if labels is None else np.array(labels, int)
    return Found(boxes, scores.astype(np.float32), labels)


def scattered(count, seed=0, size=(640, 480), largest=120):
    """Returns boxes all over a picture, `(count, 4)`."""
    rng = np.random.default_rng(seed)
    sides = rng.uniform(40, largest, (count, 2))
    corners = rng.uniform(0, 1, (count, 2)) * (np.array(size) - sides)
    return np.concatenate([corners, corners + sides], axis=1).astype(np.float32)


def painted(size, boxes, colours, background=(225, 225, 225)):
    """Returns a picture with a coloured rectangle in each box."""
    image = Image.new("RGB", size, background)
    draw = ImageDraw.Draw(image)
    for (left, top, right, bottom), colour in zip(boxes, colours, strict=True):
        draw.rectangle((left, top, right - 1, bottom - 1), COLOURS[colour])
    return image


class ColourDetector:
    """Finds one rectangle of each colour in a view: the extent of its pixels, in steps of 4."""

    labels = ("red", "blue")
    image_size = 160

    def predictions(self, images):
        pixels = ops.cast(images, "float32")[:, ::4, ::4]
        height, width = ops.shape(pixels)[1:3]
        boxes, scores = [], []
        for channel, other in ((0, 2), (2, 0)):
            there = ops.cast(pixels[..., channel] - pixels[..., other] > 80, "float32")
            sides = []
            for axis, length in ((1, width), (2, height)):
                line = ops.max(there, axis=axis)  # (batch, length)
                place = ops.cast(ops.arange(length), "float32")
                low = ops.min(ops.where(line > 0, place, 1e6), axis=-1)
                high = ops.max(ops.where(line > 0, place + 1, 0.0), axis=-1)
                sides.append((4 * low, 4 * high))
            (left, right), (top, bottom) = sides
            boxes.append(ops.stack([left, top, right, bottom], axis=-1))
            any_there = ops.cast(ops.max(there, axis=(1, 2)) > 0, "float32")
            own = [any_there * 0.9, any_there * 0.0]
            scores.append(ops.stack(own if channel == 0 else own[::-1], axis=-1))
        return ops.stack(boxes, axis=1), ops.stack(scores, axis=1)
