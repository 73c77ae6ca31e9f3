"""Texts that are learnt by heart in seconds, and models small enough to look into."""

import numpy as np

from dlapps.apps.generate.model import CharRNN, new_model

# Each character tells the next one.
CYCLE = "abcd\n" * 200
# A training on it: six epochs of fourteen steps.
LEARN = (
    "--window", 8, "--batch-size", 8, "--dropout", 0, "--learning-rate", 0.03, "--epochs", 6,
    "--precision", "float32",
)  # fmt: skip
TINY = ("--units", 16, *LEARN)

UNITS = 8
VARIANTS = {
    "one-hot": {},
    "embedding": {"embedding": 5},
    "tied": {"embedding": UNITS, "tied": True},
    "layer-norm": {"layer_norm": True},
    "residual": {"residual": True, "embedding": 5},
}


def made(characters="abcde", seed=0, **settings):
    """Returns a model with random weights everywhere, biases too."""
    model = new_model(characters, {"units": UNITS, "depth": 2, "dropout": 0.0, **settings})
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(rng.normal(scale=0.6, size=weight.shape))
    return model


def cycling(characters):
    """Returns a model that is sure that each character is followed by the next one of them."""
    count = len(characters)
    model = CharRNN(characters, cell="rnn", units=count, depth=1)
    model.build((None, None))
    kernel, recurrent, bias, logits, logits_bias = model.weights
    kernel.assign(np.eye(count) * 5)
    logits.assign(np.roll(np.eye(count), 1, axis=1) * 100)
    for weight in (recurrent, bias, logits_bias):
        weight.assign(np.zeros(weight.shape))
    return model
