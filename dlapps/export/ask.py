"""Asks an exported model, in a process that has nothing but what runs its format.

Usage: python ask.py FORMAT MODEL QUESTIONS ANSWERS
"""

import json
import os
import sys

import numpy as np

ROWS = 32  # asked at once
TEXT = "#text"


class Without:
    """Finds what another finder finds, but for some packages, as if they were not installed.

    Args:
        finder: The other one.
        names: Of the packages.
    """

    def __init__(self, finder, names):
        self.finder = finder
        self.names = names

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            return None
        return self.finder.find_spec(name, path, target)


def do_without(*names):
    """Makes packages look as if they were not installed."""
    sys.meta_path[:] = [Without(finder, names) for finder in sys.meta_path]


def write_arrays(path, groups):
    """Writes dictionaries of arrays to one file; texts, arrays of bytes objects, among them.

    Args:
        path: The file; its name ends in `.npz`.
        groups: The dictionaries.
    """
    flat = {}
    for number, group in enumerate(groups):
        for name, array in group.items():
            key = f"{number}/{name}"
            if array.dtype.kind == "O":
                lengths = [len(each) for each in array.flat]
                flat[key + TEXT] = np.frombuffer(b"".join(array.flat), np.uint8)
                flat[key + TEXT + "/lengths"] = np.array(lengths, np.int64).reshape(array.shape)
            else:
                flat[key] = array
    np.savez(path, **flat)


def read_arrays(path):
    """Returns the dictionaries that `write_arrays` wrote."""
    groups = {}
    with np.load(path, allow_pickle=False) as kept:
        for key in kept.files:
            number, name, *rest = key.split("/")
            if rest:
                continue
            array = kept[key]
            if name.endswith(TEXT):
                name, array = name.removesuffix(TEXT), _texts(array, kept[key + "/lengths"])
            groups.setdefault(int(number), {})[name] = array
    return [groups[number] for number in sorted(groups)]


def _texts(content, lengths):
    data, ends = content.tobytes(), np.cumsum(lengths.ravel())
    texts = np.empty(lengths.size, object)
    texts[:] = [data[end - length : end] for end, length in zip(ends, lengths.flat, strict=True)]
    return texts.reshape(lengths.shape)


def _savedmodel(path):
    do_without("keras", "keras_cv", "dlapps")
    import tensorflow as tf

    model = tf.saved_model.load(path)

    def ask(signature, inputs):
        tensors = {name: tf.constant(array) for name, array in inputs.items()}
        return {k: v.numpy() for k, v in model.signatures[signature](**tensors).items()}

    return ask


def _onnx(path):
    do_without("keras", "keras_cv", "dlapps", "tensorflow")
    import onnxruntime

    session = onnxruntime.InferenceSession(os.path.join(path, "model.onnx"))
    names = [output.name for output in session.get_outputs()]
    return lambda _, inputs: dict(zip(names, session.run(names, dict(inputs)), strict=True))


def _litert(path):
    do_without("keras", "keras_cv", "dlapps")
    import warnings

    warnings.simplefilter("ignore")  # TensorFlow says that its interpreter is to move house.
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(os.path.join(path, "model.tflite"))
    runner = interpreter.get_signature_runner("serving_default")
    return lambda _, inputs: runner(**inputs)


def _keras(path):
    import importlib

    from dlapps import runs

    file = os.path.join(path, "model.keras")
    app = runs.app_of(file)
    model = importlib.import_module(f"dlapps.apps.{app}.model").load_model(file)
    numeric = importlib.import_module(f"dlapps.apps.{app}.serving").numeric(model)
    import tensorflow as tf

    def ask(_, inputs):
        return {k: v.numpy() for k, v in numeric(*map(tf.constant, inputs.values())).items()}

    return ask


READERS = {"savedmodel": _savedmodel, "onnx": _onnx, "litert": _litert, "keras": _keras}


def main(kind, model, questions, answers):
    """Reads questions, asks the model, and writes what it says."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    ask = READERS[kind](model)
    with open(questions + ".json", encoding="utf-8") as file:
        signatures = json.load(file)
    found = []
    for signature, inputs in zip(signatures, read_arrays(questions), strict=True):
        rows = len(next(iter(inputs.values())))
        parts = [
            ask(signature, {name: array[start : start + ROWS] for name, array in inputs.items()})
            for start in range(0, rows, ROWS)
        ]
        found.append({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
    write_arrays(answers, found)


if __name__ == "__main__":
    main(*sys.argv[1:])
