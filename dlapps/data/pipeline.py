"""Draws pictures in threads while the model computes."""

import io
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from PIL import Image

from dlapps.data.pictures import Source, UnreadablePictureError, read_picture, size_of

T = TypeVar("T")
R = TypeVar("R")
# Pictures whose sides are this much longer than needed are worth keeping shrunk.
WORTH_KEEPING = 2
MAX_KEPT_BYTES = 1_000_000_000


def in_threads(
    function: Callable[[T], R], items: Iterator[T], ahead: int, threads: int = os.cpu_count() or 1
) -> Iterator[R]:
    """Yields `function(item)` for each item, in order, computing some ahead in threads.

    Args:
        function: Thread-safe.
        items: May be endless.
        ahead: How many results may wait; bounds the memory.
        threads: How many compute.
    """
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


class PictureStore:
    """Reads the same pictures again and again, and keeps small copies of the large ones.

    A photo of 12 megapixels takes as long to decode as the network takes to learn from it. What is
    kept is a JPEG of the size that training needs, in memory, up to `MAX_KEPT_BYTES`.

    Args:
        sources: The pictures.
        short_side: Pixels that the shorter side must keep.
    """

    def __init__(self, sources: Sequence[Source], short_side: int):
        self.sources = sources
        self.short_side = short_side
        self.kept: dict[int, bytes] = {}
        self.bytes = 0

    def read(self, index: int) -> Image.Image:
        """Returns a picture, its shorter side at least `short_side` if it ever was.

        Raises:
            UnreadablePictureError: If it is none.
        """
        if index in self.kept:
            return read_picture(self.kept[index])
        image = read_picture(self.sources[index], self.short_side)
        # The size in the file counts: large JPEGs come shrunk, but not faster the next time.
        if min(size_of(self.sources[index])) <= WORTH_KEEPING * self.short_side:
            return image
        scale = self.short_side / min(image.size)
        size = (round(image.width * scale), round(image.height * scale))
        file = io.BytesIO()
        image.resize(size, Image.Resampling.LANCZOS).save(file, "JPEG", quality=95)
        copy = file.getvalue()
        if self.bytes < MAX_KEPT_BYTES:
            self.kept[index] = copy
            self.bytes += len(copy)
        # The copy, the first time and without room for it, too: a training that is resumed within
        # an epoch, and reads for the first time, is to see what it would have seen.
        return read_picture(copy)


def batches_of_views(
    count: int,
    draw: Callable[[int], np.ndarray],
    batch_size: int,
    ahead: int = 0,
) -> Iterator[tuple[list[int], np.ndarray, dict[int, str]]]:
    """Yields batches of pictures in order, drawn in threads.

    Args:
        count: How many pictures there are.
        draw: From the index of a picture to `(size, size, 3)` uint8; it may raise
            UnreadablePictureError.
        batch_size: Pictures a batch.
        ahead: How many pictures may wait, at least two batches.

    Yields:
        The indices in the batch, the pictures `(batch, size, size, 3)` without the unreadable
        ones, and why those could not be read, by index.
    """

    def attempt(index: int) -> tuple[int, np.ndarray | str]:
        try:
            return index, draw(index)
        except UnreadablePictureError as error:
            return index, str(error)

    good: list[tuple[int, np.ndarray]] = []
    bad: dict[int, str] = {}
    for index, drawn in in_threads(attempt, iter(range(count)), max(ahead, 2 * batch_size)):
        if isinstance(drawn, str):
            bad[index] = drawn
        else:
            good.append((index, drawn))
        if len(good) == batch_size:
            yield [i for i, _ in good], np.stack([x for _, x in good]), bad
            good, bad = [], {}
    if good or bad:
        images = np.stack([x for _, x in good]) if good else np.empty((0, 1, 1, 3), np.uint8)
        yield [i for i, _ in good], images, bad
