"""Hands batches drawn by Python threads to TensorFlow."""

import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

import tensorflow as tf

# Batches that wait for the model.
AHEAD = 4


def labelled_images(image_size: int) -> tuple[tf.TensorSpec, tf.TensorSpec]:
    """Returns the signature of square uint8 images and int32 labels."""
    images = tf.TensorSpec((None, image_size, image_size, 3), tf.uint8)
    return images, tf.TensorSpec((None,), tf.int32)


class Feed:
    """A dataset of batches that a Python thread keeps ahead of, for as long as it is open.

    No Python runs inside tf.data. With `Dataset.from_generator` it would, and training then locks
    up now and again at the end of an epoch: Python destroys the iterator while it holds its lock
    and waits for tf.data's threads, one of which waits for that lock.

    Args:
        epoch: Called once an epoch with its number, from 0, and the number of batches to leave
            out at its start; yields the others, as nested tuples of arrays.
        signature: A tensor spec for each array, nested in the same way.
        steps: Batches an epoch.
        timed: Whether to measure how long the model waits. TensorFlow has no clock where its
            operations are to be deterministic.
    """

    def __init__(
        self,
        epoch: Callable[[int, int], Iterator[tuple]],
        signature: tuple,
        steps: int,
        timed: bool = True,
    ):
        self.timed = timed
        self.epoch = epoch
        self.steps = steps
        self.error: Exception | None = None
        self.signature = signature
        self.queue = tf.queue.FIFOQueue(AHEAD, [spec.dtype for spec in tf.nest.flatten(signature)])
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.start = (0, 0)
        self.skip = tf.Variable(0, dtype=tf.int64)
        self.waited = tf.Variable(0.0, dtype=tf.float64)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.queue.close(cancel_pending_enqueues=True)
        if self.thread.ident is not None:
            self.thread.join()
        if self.error is not None:
            raise self.error

    def seek(self, epoch: int, step: int = 0) -> None:
        """Makes the dataset begin at another place; only before it is used.

        Args:
            epoch: The epoch, from 0.
            step: Batches of it to leave out.
        """
        self.start = (epoch, step)
        self.skip.assign(step)

    @property
    def dataset(self) -> tf.data.Dataset:
        """Batches as the signature says, one epoch a pass."""
        if self.thread.ident is None:
            self.thread.start()

        def places(_: tf.Tensor) -> tf.data.Dataset:
            skip = self.skip.read_value()
            with tf.control_dependencies([skip]):
                self.skip.assign(0)
            return tf.data.Dataset.range(skip, self.steps)

        def batch(_: tf.Tensor) -> tuple:
            asked = tf.timestamp() if self.timed else tf.constant(0.0)
            with tf.control_dependencies([asked]):
                parts = self.queue.dequeue()
            if self.timed:
                with tf.control_dependencies([parts[0]]):
                    self.waited.assign_add(tf.timestamp() - asked)
            specs = tf.nest.flatten(self.signature)
            parts = [
                tf.ensure_shape(*each) for each in zip(parts, (s.shape for s in specs), strict=True)
            ]
            return tf.nest.pack_sequence_as(self.signature, parts)

        options = tf.data.Options()
        # The queue is ahead already; another thread ahead of it would hide the waiting.
        options.autotune.enabled = False
        options.experimental_optimization.inject_prefetch = False
        return tf.data.Dataset.range(1).flat_map(places).map(batch).with_options(options)

    def input_seconds(self) -> float | None:
        """Returns for how long the model has waited for batches since this was last asked."""
        if not self.timed:
            return None
        seconds = float(self.waited)
        self.waited.assign(0.0)
        return seconds

    def _work(self) -> None:
        number, step = self.start
        try:
            while True:
                for parts in self.epoch(number, step):
                    self.queue.enqueue(tf.nest.flatten(parts))
                number, step = number + 1, 0
        except tf.errors.CancelledError:
            pass  # Closed: nobody wants more.
        except Exception as error:  # Raised again where the feed is used.
            self.error = error
            self.queue.close()
