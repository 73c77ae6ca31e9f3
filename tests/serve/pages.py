"""Models for the page that answer at once, and a picture to show them."""

import io

import numpy as np
from PIL import Image

from dlapps.apps.classify import showing as classifier
from dlapps.apps.classify.serving import refusal
from dlapps.apps.generate import serving as generator
from dlapps.apps.generate import showing as writer
from dlapps.serve.signatures import Served, Signature, Spec
from tests.apps.generate.tiny import cycling
from tests.serve.echo import TEXTS

KEY = "0123456789abcdef"
FLOATS = np.dtype(np.float32)


def colours():
    """Returns a model that tells red pictures from blue ones."""

    def call(inputs):
        means = [np.asarray(Image.open(io.BytesIO(file))).mean((0, 1)) for file in inputs["images"]]
        red = np.array([mean[0] / (mean[0] + mean[2]) for mean in means], np.float32)
        labels = np.array([[b"red <b>", b"blue"]] * len(means), object)
        return {"labels": labels, "probabilities": np.stack([red, 1 - red], 1)}

    outputs = {"labels": Spec(TEXTS, (None, 2)), "probabilities": Spec(FLOATS, (None, 2))}
    signature = Signature({"images": Spec(TEXTS, (None,))}, outputs, call)
    return Served(
        "colours", 1, {"serving_default": signature}, refusal, shown=classifier.shown(None)
    )


def letters():
    """Returns a model that knows the alphabet so far."""
    return Served(
        "letters", 1, {}, generator.refusal, shown=writer.shown(cycling("abcdefg\n"))
    )  # fmt: skip


def picture(colour, size=(40, 30)):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()
