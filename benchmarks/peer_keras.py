"""The usual Keras loop with a frozen backbone, for `time_to_accuracy.py`.

Reads a request as JSON from standard input (see `time_to_accuracy.py`) and writes a reply to
standard output. EfficientNet-Lite0 with its ImageNet weights, frozen inside the model; then
GlobalAveragePooling2D and Dense; Adam; `model.fit` on a tf.data pipeline.

Settings: float32, no XLA (on a CPU it makes convolutions 30 times slower), TensorFlow's own choice
of threads, pictures decoded by tf.io and mapped with AUTOTUNE calls at once, prefetch AUTOTUNE. No
augmentation. The clock starts when everything is imported and stands still during evaluations,
while tf.data may go on decoding. The backbone alone comes from dlapps: the very same network.
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf
from keras.preprocessing.image import smart_resize
from stopwatch import Stopwatch

from dlapps import backbones


class Evaluation(keras.callbacks.Callback):
    """Evaluates every few steps, beside the clock, and stops at the target.

    Args:
        evaluate: Returns the held-out accuracy.
        watch: The clock.
        every: Steps between evaluations.
        target: The accuracy to stop at.
    """

    def __init__(self, evaluate, watch: Stopwatch, every: int, target: float):
        super().__init__()
        self.evaluate = evaluate
        self.watch = watch
        self.every = every
        self.target = target
        self.steps = 0
        self.moments: list[dict] = []

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if self.steps % self.every:
            return
        seconds = self.watch.seconds
        with self.watch.paused():
            accuracy = self.evaluate()
        epochs = self.steps / self.params["steps"]
        self.moments.append({"seconds": seconds, "accuracy": accuracy, "epochs": epochs})
        self.model.stop_training = accuracy >= self.target


def batches(examples: list, request: dict, shuffle: bool) -> tf.data.Dataset:
    """Returns batches of pictures' central squares, 0 to 255, and labels."""
    size = request["image_size"]

    def decoded(path, label):
        image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
        if not (image.shape[0] == image.shape[1] == size):
            image = smart_resize(image, (size, size))
        return image, label

    paths, labels = zip(*examples, strict=True)
    dataset = tf.data.Dataset.from_tensor_slices((list(paths), list(labels)))
    if shuffle:
        dataset = dataset.shuffle(len(examples), seed=request["seed"])
    dataset = dataset.map(decoded, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.batch(request["batch_size"]).prefetch(tf.data.AUTOTUNE)


def main() -> None:
    """Trains until the target is reached, and replies with what was reached when."""
    request = json.load(sys.stdin)
    watch = Stopwatch()
    keras.utils.set_random_seed(request["seed"])
    size = request["image_size"]
    backbone = backbones.pretrained(backbones.BUILT_IN)
    backbone.network.trainable = False
    images = keras.Input((size, size, 3))
    grid = backbone.network(backbone.normalization(images))
    means = keras.layers.GlobalAveragePooling2D()(grid)
    head = keras.layers.Dense(request["num_classes"])
    model = keras.Model(images, head(means))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam(request["learning_rate"])
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
    with watch.paused():
        # The backbone never changes, so evaluating asks for its answers once.
        features = keras.Model(images, means)
        features.compile(jit_compile=False)
        rows = features.predict(batches(request["held_out"], request, shuffle=False), verbose=0)
        true = np.array([label for _, label in request["held_out"]])

    def evaluate() -> float:
        answers = keras.ops.convert_to_numpy(head(rows)).argmax(axis=1)
        return float(np.mean(answers == true))

    evaluation = Evaluation(evaluate, watch, request["steps_between"], request["target"])
    data = batches(request["train"], request, shuffle=True)
    model.fit(data, epochs=request["epochs"], verbose=0, callbacks=[evaluation])
    version = f"Keras {keras.version()} on TensorFlow {tf.__version__}"
    json.dump({"moments": evaluation.moments, "version": version}, sys.stdout)


if __name__ == "__main__":
    main()
