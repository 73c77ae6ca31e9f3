"""Hands batches drawn by Python threads to TensorFlow."""

import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

import numpy as np
import tensorflow as tf

# Batches that wait for the model.
AHEAD = 4


class Feed:
    """A dataset of batches that a Python thread keeps ahead of, for as long as it is open.

    No Python runs inside tf.data. With `Dataset.from_generator` it would, and training then locks
    up now and again at the end of an epoch: Python destroys the iterator while it holds its lock
    and waits for tf.data's threads, one of which waits for that lock.

    Args:
        epoch: Called once an epoch; yields the batches, images and labels.
        image_size: Pixels of one side of the images.
        steps: Batches an epoch.
    """

    def __init__(
        self,
        epoch: Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]],
        image_size: int,
        steps: int,
    ):
        self.epoch = epoch
        self.steps = steps
        self.error: Exception | None = None
        self.queue = tf.queue.FIFOQueue(AHEAD, [tf.uint8, tf.int32])
        self.shape = (None, image_size, image_size, 3)
        self.thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.queue.close(cancel_pending_enqueues=True)
        self.thread.join()
        if self.error is not None:
            raise self.error

    @property
    def dataset(self) -> tf.data.Dataset:
        """Batches of `(batch, size, size, 3)` uint8 and `(batch,)` int32, one epoch a pass."""

        def batch(_: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            images, labels = self.queue.dequeue()
            return tf.ensure_shape(images, self.shape), tf.ensure_shape(labels, (None,))

        return tf.data.Dataset.range(self.steps).map(batch)

    def _work(self) -> None:
        try:
            while True:
                for images, labels in self.epoch():
                    self.queue.enqueue((images, labels))
        except tf.errors.CancelledError:
            pass  # Closed: nobody wants more.
        except Exception as error:  # Raised again where the feed is used.
            self.error = error
            self.queue.close()
