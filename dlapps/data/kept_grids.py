"""Keeps what the frozen first blocks of a network saw, so that they need not look again."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import tensorflow as tf

from dlapps import terminal
from dlapps.data.features import BATCH
from dlapps.data.feed import Feed
from dlapps.data.pictures import UnreadablePictureError
from dlapps.data.pipeline import batches_of_views
from dlapps.errors import UserError, reason

# On the disk, and gone with the training.
MAX_BYTES = 4_000_000_000


class KeptGrids:
    """Grids of several views of each picture, on the disk, as half-precision numbers.

    Where only the last blocks of a network learn, the first see the same in every epoch. For
    EfficientNet-Lite0 with half of its blocks frozen, looking once makes each epoch about twice
    as fast (`benchmarks/`). The file has no name, so that it is gone with the process, however
    that ends.

    Args:
        folder: Where the file lies.
        labels: `(pictures,)` int32.
        shape: Of one grid, `(height, width, channels)`.
        exact: Whether to keep the grids in full precision.
    """

    def __init__(self, folder: Path, labels: np.ndarray, shape: Sequence[int], exact: bool = False):
        folder.mkdir(parents=True, exist_ok=True)
        self.labels = np.asarray(labels, np.int32)
        self.shape = tuple(shape)
        self.dtype = np.dtype(np.float32 if exact else np.float16)
        self.file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed by __exit__
        self.means: list[np.ndarray] = []
        self.views = 0

    @staticmethod
    def bytes_needed(count: int, views: int, shape: Sequence[int]) -> int:
        """Returns how many bytes on the disk so many pictures and views take."""
        return 2 * count * views * int(np.prod(shape))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def add(
        self,
        look: Callable[[np.ndarray], list[np.ndarray]],
        draw: Callable[[int], np.ndarray],
        title: str,
    ) -> None:
        """Looks at one more view of every picture.

        Args:
            look: Takes `(batch, height, width, 3)` uint8; returns the grids and the means.
            draw: Returns the view of a picture.
            title: What the progress bar says.

        Raises:
            UnreadablePictureError: If a picture cannot be read.
            UserError: If the disk is full.
        """
        rows = []
        with terminal.progress(title, len(self.labels)) as advance:
            for _, images, bad in batches_of_views(len(self.labels), draw, BATCH):
                if bad:
                    raise UnreadablePictureError(next(iter(bad.values())))
                grids, means = look(images)
                try:
                    self.file.write(grids.astype(self.dtype).tobytes())
                except OSError as error:
                    raise UserError(
                        f"No room to keep what the frozen blocks see: {reason(error)}. "
                        "Name another place with DLAPPS_CACHE."
                    ) from error
                rows.append(means)
                advance(len(images))
        self.file.flush()
        self.means.append(np.concatenate(rows))
        self.views += 1

    def shuffled(self, batch_size: int, seed: int, timed: bool = True) -> Feed:
        """Feeds shuffled batches, another order and the next view in each epoch."""
        return self._feed(batch_size, seed, timed)

    def in_order(self, batch_size: int) -> Feed:
        """Feeds the first view in order."""
        return self._feed(batch_size, None, False)

    def _feed(self, batch_size: int, seed: int | None, timed: bool) -> Feed:
        count = len(self.labels)
        grids = np.memmap(self.file, self.dtype, "r", shape=(self.views, count, *self.shape))

        def epoch(number: int, skip: int) -> Iterator[tuple[Any, ...]]:
            order = np.arange(count)
            if seed is not None:
                order = np.random.default_rng([seed, number]).permutation(count)
            view = number % self.views if seed is not None else 0
            for start in range(skip * batch_size, count, batch_size):
                chosen = order[start : start + batch_size]
                yield (grids[view][chosen], self.means[view][chosen]), self.labels[chosen]

        inputs = (
            tf.TensorSpec((None, *self.shape), tf.as_dtype(self.dtype)),
            tf.TensorSpec((None, self.means[0].shape[1]), tf.float32),
        )
        signature = (inputs, tf.TensorSpec((None,), tf.int32))
        return Feed(epoch, signature, -(-count // batch_size), timed)
