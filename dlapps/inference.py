"""A frozen model's function at the speed that the machine allows."""

import contextlib
import os
import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlapps import terminal

# Each of LiteRT's interpreters has a copy of the weights; so much may all of them take.
MAX_BYTES_OF_COPIES = 500_000_000


def frozen(function: Callable, image_size: int | None) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Compiles a function of images with its variables built in as constants.

    TensorFlow then folds every batch norm into the convolution before it: 1.3 times the speed of a
    `tf.function` over variables for EfficientNet-Lite0 on two cores, with results equal to 1e-5.
    On Keras' other backends the function is called as it is.

    Args:
        function: Takes `(batch, image_size, image_size, 3)` uint8; returns a tensor or several.
        image_size: Pixels of one side of the images; None for images of any height and width.

    Returns:
        A function of such an array that returns a list of arrays. What the variables hold is
        what they held when it was made.
    """
    if keras.backend.backend() != "tensorflow":
        return lambda images: _arrays(function(images))
    spec = tf.TensorSpec((None, image_size, image_size, 3), tf.uint8)
    constant = with_constants(function, spec)
    return lambda images: _arrays(constant(tf.constant(images)))


def frozen_network(network: Callable, image_size: int) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Compiles what looks at each image by itself, for many images.

    On a CPU it runs in LiteRT, one interpreter a core. Its convolutions (XNNPACK's) are 1.4 times
    as fast as TensorFlow's for EfficientNet-Lite0 on two cores, 1.5 times for its first blocks
    alone, and what it sees in an image depends neither on the others nor on the number of cores.
    What LiteRT cannot do, half precision for one, is left to `frozen`, and so is a GPU.

    Args:
        network: Takes `(batch, image_size, image_size, 3)` uint8; returns a tensor or several,
            each of them `(batch, ...)`.
        image_size: Pixels of one side of the images.

    Returns:
        As `frozen` does.
    """
    with terminal.quiet():
        if keras.backend.backend() == "tensorflow" and not tf.config.list_physical_devices("GPU"):
            spec = tf.TensorSpec((1, image_size, image_size, 3), tf.uint8)
            # Converter and interpreter name no exception as the one for what they cannot do; what
            # is wrong with the network itself, `frozen` says once more.
            with contextlib.suppress(Exception):
                return _litert(with_constants(network, spec))
        return frozen(network, image_size)


def _litert(traced: Any) -> Callable[[np.ndarray], list[np.ndarray]]:
    graph = traced.graph.as_graph_def()
    # The converter of concrete functions would freeze what is frozen already, by two copies of
    # the graph: four seconds instead of one.
    converter = tf.compat.v1.lite.TFLiteConverter(graph, traced.inputs, traced.outputs)
    content = converter.convert()
    cores = os.cpu_count() or 1
    count = min(cores, max(1, MAX_BYTES_OF_COPIES // len(content)))
    idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for _ in range(count):
        interpreter = tf.lite.Interpreter(model_content=content, num_threads=cores // count)
        interpreter.allocate_tensors()
        idle.put(interpreter)
    (place,) = (each["index"] for each in interpreter.get_input_details())
    places = [each["index"] for each in interpreter.get_output_details()]

    def look(image: np.ndarray) -> list[np.ndarray]:
        interpreter = idle.get()
        try:
            interpreter.set_tensor(place, image[None])
            interpreter.invoke()
            return [interpreter.get_tensor(each)[0] for each in places]
        finally:
            idle.put(interpreter)

    look(np.zeros(traced.inputs[0].shape[1:], np.uint8))  # What it cannot do, it says here.
    pool = ThreadPoolExecutor(count)

    def look_at_all(images: np.ndarray) -> list[np.ndarray]:
        return [np.stack(rows) for rows in zip(*pool.map(look, images), strict=True)]

    return look_at_all


def with_constants(function: Callable, *specs: tf.TensorSpec) -> Any:
    """Returns a concrete function whose variables are built in as constants.

    Args:
        function: Takes tensors; returns one, several, or a dictionary.
        specs: Of the tensors.

    Returns:
        What takes the tensors and returns a list; of a dictionary, in the order of its keys.
    """

    def flat(*tensors):
        with _Constants():
            return tf.nest.flatten(function(*tensors))

    traced = tf.function(flat, autograph=False, jit_compile=False).get_concrete_function(*specs)
    # Those that were read to make constants: the graph holds none, and outlives them.
    traced.graph.variables = []
    return traced


class _Constants(keras.StatelessScope):
    """Gives what a variable holds as a constant of the graph that is being traced.

    TensorFlow's own `convert_variables_to_constants_v2` puts constants into the finished graph,
    and for that copies it twice, which takes longer than tracing it.
    """

    def __init__(self):
        super().__init__()
        # A loop's body is a graph of its own. What is made outside can be read in all of them.
        self.graph = tf.compat.v1.get_default_graph()
        self.reading = False

    def get_current_value(self, variable):
        """Returns the constant; made once, however often the variable is read."""
        if self.reading:
            return None
        if id(variable) not in self.state_mapping:
            self.reading = True
            with tf.init_scope():
                value = keras.ops.convert_to_numpy(variable)
            self.reading = False
            with self.graph.as_default(), tf.control_dependencies(None):
                self.state_mapping[id(variable)] = tf.constant(value)
        return self.state_mapping[id(variable)]


def _arrays(outputs: object) -> list[np.ndarray]:
    several = outputs if isinstance(outputs, list | tuple) else [outputs]
    return [keras.ops.convert_to_numpy(output) for output in several]
