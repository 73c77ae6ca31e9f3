"""Draws pictures and captions that a small model learns by heart in seconds."""

import csv

import numpy as np
from PIL import Image, ImageDraw

COLOURS = {"red": (220, 30, 30), "blue": (30, 30, 220), "green": (20, 170, 40)}
KINDS = ("disc", "square")
EVERY = [(kind, colour) for kind in KINDS for colour in COLOURS]
# A small decoder, for the smallest images.
TINY = [
    "--image-size", 64, "--units", 48, "--embedding", 24, "--attention", 24, "--min-count", 1,
    "--longest", 10, "--dropout", 0, "--label-smoothing", 0, "--views", 1, "--average", 0,
    "--batch-size", 8, "--precision", "float32", "--learning-rate", "1e-2",
]  # fmt: skip
# Many small batches an epoch, for an epoch costs more than a step.
BY_HEART = ["--batch-size", 1, "--overfit-batches", 10, "--epochs", 1]


def draw(kind, colour, seed):
    """Draws a disc or a square of a colour on a noisy ground."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(200, 255, (64, 80, 3)).astype(np.uint8))
    x, y = (int(v) for v in rng.integers(4, 24, 2))
    pen = ImageDraw.Draw(image)
    shape = pen.ellipse if kind == "disc" else pen.rectangle
    shape((x, y, x + 34, y + 34), fill=COLOURS[colour])
    return image


def captions(kind, colour):
    """Returns two captions."""
    return f"A {colour} {kind} on a wall .", f"There is one {colour} {kind} ."


def write_captioned(root, copies=2, first=0, table="captions.csv", kinds=EVERY):
    """Writes `root/captions.csv` and the pictures of these kinds and colours beside it."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / table).open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "caption"])
        for number in range(copies):
            for kind, colour in kinds:
                name = f"{colour}-{kind}-{number}.png"
                draw(kind, colour, first + 100 * number + len(name)).save(root / name)
                rows.writerows([name, text] for text in captions(kind, colour))
    return root
