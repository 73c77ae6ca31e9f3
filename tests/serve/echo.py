"""Models that answer at once, without TensorFlow."""

import numpy as np

from dlapps.serve.signatures import Served, Signature, Spec

TEXTS, FLOATS = np.dtype(object), np.dtype(np.float32)


def sums(call=None):
    """Returns a signature that adds up rows of three numbers, and says what it got."""

    def add(inputs):
        total = inputs["x"].sum(1) * inputs["times"]
        said = np.array([*(b"%g" % each for each in total), None], object)[:-1]
        return {"total": total, "said": said}

    inputs = {"x": Spec(FLOATS, (None, 3)), "times": Spec(np.dtype(np.int32), (None,))}
    outputs = {"total": Spec(FLOATS, (None,)), "said": Spec(TEXTS, (None,))}
    return Signature(inputs, outputs, call or add)


def lengths(call=None):
    """Returns a signature that counts bytes."""

    def count(inputs):
        return {"length": np.array([len(text) for text in inputs["text"]], np.int64)}

    outputs = {"length": Spec(np.dtype(np.int64), (None,))}
    return Signature({"text": Spec(TEXTS, (None,))}, outputs, call or count)


def served(name="echo", **signatures):
    signatures = signatures or {"serving_default": lengths(), "sums": sums()}
    return Served(name, 1, signatures, example={"instances": ["a"]})
