"""Draws pictures whose boxes can be found again by their colour."""

import numpy as np

PAPER = (70, 70, 70)
# The classes of the boxes: red, green and blue, each without the others.
COLOURS = np.array([[250, 0, 0], [0, 250, 0], [0, 0, 250]], np.uint8)


def marked(size, boxes, labels=None):
    """Returns a picture with filled boxes, whole pixels, in the colours of their labels."""
    image = np.full((size[1], size[0], 3), PAPER, np.uint8)
    for box, label in zip(boxes, labels or [0] * len(boxes), strict=True):
        left, top, right, bottom = np.asarray(box, int)
        image[top:bottom, left:right] = COLOURS[label]
    return image


def coloured(image, label=0):
    """Tells where a picture has the colour of a label, from half way on."""
    image = image.astype(int)
    others = np.delete(image, label, axis=-1).max(-1)
    return image[..., label] - others > 90


def edges_of(image, label=0):
    """Returns the box around all that has the colour of a label."""
    rows, columns = np.nonzero(coloured(image, label))
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
