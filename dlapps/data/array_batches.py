"""Shuffled batches of arrays in memory, the same for the same seed."""

import numpy as np
import tensorflow as tf


class ArrayBatches:
    """A dataset of shuffled batches, another order in each epoch.

    Args:
        x: `(examples, ...)` array.
        y: `(examples, ...)` array.
        batch_size: Examples a batch; the last may be smaller.
        seed: Where the order comes from.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, batch_size: int, seed: int):
        self.x = tf.constant(x)
        self.y = tf.constant(y)
        self.batch_size = batch_size
        self.seed = seed
        self.steps = -(-len(x) // batch_size)
        self.epoch = tf.Variable(0, dtype=tf.int64)
        self.skip = tf.Variable(0, dtype=tf.int64)

    def seek(self, epoch: int, step: int = 0) -> None:
        """Makes the dataset begin at another place.

        Args:
            epoch: The epoch, from 0.
            step: Batches of it to leave out.
        """
        self.epoch.assign(epoch)
        self.skip.assign(step)

    @property
    def dataset(self) -> tf.data.Dataset:
        """Batches of `x` and `y`, one epoch a pass."""
        count = len(self.x)

        def epoch(_: tf.Tensor) -> tf.data.Dataset:
            number, skip = self.epoch.read_value(), self.skip.read_value()
            order = tf.random.experimental.stateless_shuffle(
                tf.range(count), tf.stack([tf.constant(self.seed, tf.int64), number])
            )
            with tf.control_dependencies([order, skip]):
                self.epoch.assign_add(1)
                self.skip.assign(0)

            def batch(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                first = step * self.batch_size
                chosen = order[first : tf.minimum(first + self.batch_size, count)]
                return tf.gather(self.x, chosen), tf.gather(self.y, chosen)

            return tf.data.Dataset.range(skip, self.steps).map(batch).prefetch(2)

        return untuned(tf.data.Dataset.range(1).flat_map(epoch))

    def input_seconds(self) -> float:
        """Returns 0: the arrays lie in memory, so the model never waits."""
        return 0.0


def in_order(x: np.ndarray, y: np.ndarray, batch_size: int) -> tf.data.Dataset:
    """Returns batches of arrays as they lie, for validation.

    Args:
        x: `(examples, ...)` array.
        y: `(examples, ...)` array.
        batch_size: Examples a batch; the last may be smaller.
    """
    return untuned(tf.data.Dataset.from_tensor_slices((x, y)).batch(batch_size))


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns a dataset without autotuning, which there is no need for where nothing is computed.

    It sleeps in a thread of its own, for which the end of each epoch waits: half of the time of a
    head's training.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
