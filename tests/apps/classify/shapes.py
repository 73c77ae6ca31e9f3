"""Draws pictures of two classes that a small model learns in seconds."""

import numpy as np
from PIL import Image, ImageDraw


def draw(kind, seed, size=(56, 48)):
    """Draws a red disc or a blue square at a random place on a noisy ground."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(90, 150, (size[1], size[0], 3)).astype(np.uint8)
    image = Image.fromarray(noise)
    pen = ImageDraw.Draw(image)
    x, y = (int(v) for v in rng.integers(4, 20, 2))
    if kind in ("disc", "cat"):
        pen.ellipse((x, y, x + 26, y + 26), fill=(220, 30, 30))
    else:
        pen.rectangle((x, y, x + 26, y + 26), fill=(30, 30, 220))
    return image


def write_folder(root, per_class=10, first=0):
    """Writes `root/disc/*.png` and `root/square/*.png`."""
    for kind in ("disc", "square"):
        folder = root / kind
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            seed = first + number + (10_000 if kind == "disc" else 0)
            draw(kind, seed).save(folder / f"{number}.png")
    return root
