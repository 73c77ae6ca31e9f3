"""Keeps decoded pictures in memory, no larger than training needs them."""

import io
import threading
from collections.abc import Sequence

from PIL import Image

from dlapps.data.pictures import Source, read_picture

# Decoding a JPEG takes as long as drawing two views of it; 2000 pictures of 480 x 360 fit in.
MAX_DECODED_BYTES = 1_000_000_000
# Photos much larger than needed are kept as small JPEGs where decoded they would not fit.
MAX_SHRUNK_BYTES = 1_000_000_000
MUCH_LARGER = 2


class KeptPictures:
    """Reads the same pictures again and again, each time the same pixels.

    Args:
        sources: The pictures.
        sizes: Their widths and heights, pixels.
        longer_side: Pixels of the longer side that are needed; larger pictures are shrunk to it.
    """

    def __init__(
        self, sources: Sequence[Source], sizes: Sequence[tuple[int, int]], longer_side: int
    ):
        self.sources = sources
        self.sizes = sizes
        self.longer_side = longer_side
        self.decoded: dict[int, Image.Image] = {}
        self.shrunk: dict[int, bytes] = {}
        self.decoded_bytes = self.shrunk_bytes = 0
        self.lock = threading.Lock()

    def read(self, index: int) -> Image.Image:
        """Returns a picture, mode "RGB", in its own size or less; not to be drawn on.

        Raises:
            UnreadablePictureError: If it is none.
        """
        if (image := self.decoded.get(index)) is not None:
            return image
        if (shrunk := self.shrunk.get(index)) is None:
            image, shrunk = self._read(index)
        else:
            image = read_picture(shrunk)
        self._keep(index, image, shrunk)
        return image

    def _read(self, index: int) -> tuple[Image.Image, bytes | None]:
        scale = self.longer_side / max(self.sizes[index])
        if scale >= 1:
            return read_picture(self.sources[index]), None
        image = read_picture(self.sources[index], round(min(self.sizes[index]) * scale))
        scale = self.longer_side / max(image.size)
        if scale < 1:
            size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
            image = image.resize(size, Image.Resampling.LANCZOS)
        if max(self.sizes[index]) <= MUCH_LARGER * self.longer_side:
            return image, None
        # Through a JPEG at once, so that the pixels do not depend on what was kept how.
        file = io.BytesIO()
        image.save(file, "JPEG", quality=95)
        return read_picture(file.getvalue()), file.getvalue()

    def _keep(self, index: int, image: Image.Image, shrunk: bytes | None) -> None:
        size = image.width * image.height * 3
        with self.lock:
            if index in self.decoded:
                return
            if self.decoded_bytes + size <= MAX_DECODED_BYTES:
                self.decoded[index] = image
                self.decoded_bytes += size
                if (dropped := self.shrunk.pop(index, None)) is not None:
                    self.shrunk_bytes -= len(dropped)
            elif (
                shrunk is not None
                and index not in self.shrunk
                and self.shrunk_bytes + len(shrunk) <= MAX_SHRUNK_BYTES
            ):
                self.shrunk[index] = shrunk
                self.shrunk_bytes += len(shrunk)
