"""Reads one picture from whatever people keep pictures in."""

import io
import struct
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps

from dlapps.errors import reason

# What Pillow reads by itself (MPO as JPEG): EPS would start Ghostscript, so the list is closed.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
    | {".ppm", ".pgm", ".avif"}
)
# Pillow's own limit, from which on it warns: 256 MB of RGB are enough for one picture.
MAX_PIXELS = 1024**3 // 4 // 3
# What Pillow raises for files that are damaged in one way or another.
DAMAGED = (
    OSError, ValueError, SyntaxError, EOFError, TypeError, KeyError, IndexError, AttributeError,
    ZeroDivisionError, OverflowError, MemoryError, struct.error,
    Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip

ORIENTATION = 0x0112  # The EXIF tag.

# Pillow loads its readers at first use, which two threads must not do at once.
_LOADING = threading.Lock()

Source = str | Path | bytes | np.ndarray


class UnreadablePictureError(ValueError):
    """Says in a few words why a file cannot be shown as a picture."""


def read_picture(source: Source, short_side: int = 0) -> Image.Image:
    """Reads a picture upright, in RGB; the first frame of an animation, alpha over white.

    Args:
        source: A path, the bytes of a file, or a `(height, width, 3)` uint8 array.
        short_side: Pixels that the shorter side must keep. A JPEG of more than twice that is
            decoded at a half, a quarter or an eighth of its size, which is several times faster.

    Returns:
        The picture, mode "RGB".

    Raises:
        UnreadablePictureError: If it is no picture, damaged, or of more than `MAX_PIXELS` pixels.
    """
    if isinstance(source, np.ndarray):
        return Image.fromarray(source)
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
    except OSError as error:
        raise UnreadablePictureError(reason(error)) from error
    if not data:
        raise UnreadablePictureError("the file is empty")
    try:
        with _opened(io.BytesIO(data)) as image:
            return _upright_rgb(image, short_side)
    except Image.UnidentifiedImageError as error:
        raise UnreadablePictureError("not a picture in a known format") from error
    except DAMAGED as error:
        raise UnreadablePictureError(f"damaged: {reason(error) or type(error).__name__}") from error


def _opened(file: IO[bytes] | str | Path) -> Image.Image:
    with _LOADING:
        Image.init()
    return Image.open(file, formats=FORMATS)


def _upright_rgb(image: Image.Image, short_side: int) -> Image.Image:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise UnreadablePictureError(
            f"{width} x {height} is more than {MAX_PIXELS // 1_000_000} million pixels"
        )
    if short_side and min(width, height) > 2 * short_side:
        scale = short_side / min(width, height)
        image.draft("RGB", (int(width * scale), int(height * scale)))  # JPEG only, else nothing
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):  # 16 and 32 bits: Pillow would clip, not scale
        image = _eight_bits(image)
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    values = np.nan_to_num(np.asarray(image).astype(np.float64))
    low, high = values.min(), values.max()
    if image.mode.startswith("I;16") or (low >= 0 and 255 < high <= 65535):
        low, high = 0.0, 65535.0
    elif low >= 0 and high <= 255:
        low, high = 0.0, (255.0 if high > 1 else 1.0)
    scaled = (values - low) / max(high - low, 1e-9) * 255
    return Image.fromarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8))


def centre_crop(image: Image.Image, size: int, crop: float) -> np.ndarray:
    """Returns the middle of a picture, scaled to a square.

    Args:
        image: The picture.
        size: Pixels of one side of the result.
        crop: Part of the shorter side to keep, in (0, 1].

    Returns:
        `(size, size, 3)` uint8.
    """
    width, height = image.size
    side = min(width, height) * crop
    left, top = (width - side) / 2, (height - side) / 2
    return resized(image, size, (left, top, left + side, top + side))


def resized(image: Image.Image, size: int, box: tuple[float, float, float, float]) -> np.ndarray:
    """Returns the `box` (left, top, right, bottom in pixels) of a picture as a square.

    Args:
        image: The picture.
        size: Pixels of one side of the result.
        box: What to keep, in pixels of the picture.

    Returns:
        `(size, size, 3)` uint8, resampled by an antialiased bicubic filter.
    """
    square = image.resize((size, size), Image.Resampling.BICUBIC, box=box)
    return np.asarray(square)


def size_of(source: Source) -> tuple[int, int]:
    """Returns the width and height of a picture from its header, (0, 0) if it has none."""
    if isinstance(source, np.ndarray):
        return source.shape[1], source.shape[0]
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        with _opened(file) as image:
            return image.size
    except DAMAGED:
        return 0, 0


def header_of(source: Source) -> tuple[int, int, int]:
    """Returns width, height and EXIF orientation (1 to 8; 1 is upright) from a picture's header.

    Raises:
        UnreadablePictureError: If it has none.
    """
    if isinstance(source, np.ndarray):
        return source.shape[1], source.shape[0], 1
    try:
        if isinstance(source, bytes):
            return _header(io.BytesIO(source))
        with open(source, "rb") as file:
            return _header(file)
    except Image.UnidentifiedImageError as error:
        raise UnreadablePictureError("not a picture in a known format") from error
    except DAMAGED as error:
        raise UnreadablePictureError(reason(error) or type(error).__name__) from error


def _header(file: IO[bytes]) -> tuple[int, int, int]:
    with _opened(file) as image:
        # Pillow decodes a whole PNG to learn of its EXIF; few have any.
        plain = image.format == "PNG" and not _has_metadata(file)
        orientation = 1 if plain else image.getexif().get(ORIENTATION, 1)
        return *image.size, orientation if orientation in range(1, 9) else 1


def _has_metadata(file: IO[bytes]) -> bool:
    """Tells whether a PNG holds a chunk that may say how to turn it."""
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind in (b"eXIf", b"iTXt", b"tEXt", b"zTXt"):
            return True
        file.seek(length + 4, io.SEEK_CUR)
    return False


def pictures_refused(files: Iterable[bytes], most_pixels: int) -> str:
    """Returns which of some files is no picture, or too large a one, by its header; else nothing.

    Args:
        files: Their bytes.
        most_pixels: Of one picture.
    """
    for number, file in enumerate(files):
        width, height = size_of(file)
        if not width or not height:
            return f"Picture {number} is not a picture in a known format."
        if width * height > most_pixels:
            return (
                f"Picture {number} has {width} x {height} pixels; at most "
                f"{most_pixels / 1e6:g} million are taken."
            )
    return ""
