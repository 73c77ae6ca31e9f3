"""Pictures in the formats and kinds that people have, as bytes of files."""

import io

import numpy as np
from PIL import Image

SIZE = (90, 70)


def smooth(size=SIZE, seed=0, channels=3):
    """Returns a picture without hard edges."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (5, 6, channels)).astype(np.uint8)
    bands = [
        Image.fromarray(small[..., k]).resize(size, Image.Resampling.BICUBIC)
        for k in range(channels)
    ]
    return Image.merge("RGB" if channels == 3 else "RGBA", bands)


def saved(image, kind, **settings):
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


def noted(orientation, endian="<"):
    """Returns an EXIF note that says how the camera was held, behind another entry."""
    exif = Image.Exif()
    exif.endian = endian
    exif[0x010F] = "Maker"
    exif[0x0112] = orientation
    return exif


def files():
    """Returns files by name."""
    rgb, rgba = smooth(), smooth(channels=4)
    grey16 = Image.fromarray(np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * 21)
    bits = rgb.convert("1")
    return {
        "jpeg": saved(rgb, "JPEG"),
        "jpeg-full-colour": saved(rgb, "JPEG", subsampling=0),
        "jpeg-progressive": saved(rgb, "JPEG", progressive=True),
        "jpeg-grey": saved(rgb.convert("L"), "JPEG"),
        "jpeg-cmyk": saved(rgb.convert("CMYK"), "JPEG"),
        "png": saved(rgb, "PNG"),
        "png-alpha": saved(rgba, "PNG"),
        "png-grey": saved(rgb.convert("L"), "PNG"),
        "png-grey-alpha": saved(rgba.convert("LA"), "PNG"),
        "png-palette": saved(rgb.quantize(16), "PNG"),
        "png-palette-transparent": saved(rgb.quantize(16), "PNG", transparency=3),
        "png-colour-transparent": saved(rgb, "PNG", transparency=rgb.getpixel((0, 0))),
        "png-grey-transparent": saved(rgb.convert("L"), "PNG", transparency=100),
        "png-16-bits": saved(grey16, "PNG"),
        "png-1-bit": saved(bits, "PNG"),
        "bmp": saved(rgb, "BMP"),
        "bmp-grey": saved(rgb.convert("L"), "BMP"),
        "bmp-palette": saved(rgb.quantize(200), "BMP"),
        "bmp-32-bits": saved(rgba, "BMP"),
        "gif": saved(rgb, "GIF"),
        "gif-animated": saved(rgb, "GIF", save_all=True, append_images=[rgb.rotate(90)]),
        "webp": saved(rgb, "WEBP"),
        "webp-lossless": saved(rgb, "WEBP", lossless=True),
        "webp-alpha": saved(rgba, "WEBP"),
    }
