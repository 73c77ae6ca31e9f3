"""Measures the generator on a text."""

from pathlib import Path

import keras
import numpy as np

from dlapps import runs, terminal
from dlapps.apps.generate import metrics
from dlapps.apps.generate.data import (
    IGNORED,
    encoded,
    held_out_batches,
    read_corpus,
    read_text,
    shown,
)
from dlapps.apps.generate.model import CharRNN, load_model
from dlapps.errors import UserError


def evaluate(name: str, data: str | None, output: Path | None, strict: bool = False) -> dict:
    """Measures how well a model foretells a text.

    Args:
        name: What `load_model` takes.
        data: A text; None for what the run held out.
        output: Not used: there is nothing to draw.
        strict: Stop at a character that the model does not know.

    Returns:
        One flat dictionary of measures, and under `baselines` the nats a character of simpler
        means.

    Raises:
        UserError: If the model or the text is at fault.
    """
    model = load_model(name)
    train, ids, text = _to_measure(name, data, model, strict)
    if len(ids) < 2:
        raise UserError(f"The text has {len(ids)} characters that the model knows; 2 are needed.")
    nats = nats_per_char(model, ids)
    baselines = metrics.baselines(train, ids[1:], len(model.characters))
    baselines |= dict(metrics.packed(text))
    return {
        "num_characters": len(ids) - 1,
        "num_unknown": len(text) - len(ids),
        "nats_per_char": nats,
        "bits_per_char": metrics.bits(nats),
        "perplexity": float(np.exp(nats)),
        "baselines": baselines,
    }


def _to_measure(
    name: str, data: str | None, model: CharRNN, strict: bool
) -> tuple[np.ndarray | None, np.ndarray, str]:
    """Returns the ids that it learnt from, if they are known; those to measure on; their text."""
    is_run = (Path(name) / runs.RECORD).is_file()
    options = runs.load(name).record["options"] if is_run else {}
    if data is not None:
        text = read_text(data, options.get("encoding", "auto"), model.normalization)
        ids, unknown = encoded(text, model.characters)
        if unknown and strict:
            raise UserError(f"The text holds {shown(unknown)}, which the model does not know.")
        if unknown:
            terminal.note(
                f"Note: {len(text) - len(ids)} characters are unknown to the model and left out: "
                f"{shown(unknown)}."
            )
        return None, ids, text
    if not is_run:
        raise UserError(f"{name} is not a run, so DATA is needed: a text to measure it on.")
    learnt = runs.load(name).record["dataset"]
    if "-" in learnt["data"]:
        raise UserError(f"{name} learnt from standard input, so DATA is needed to measure it on.")
    corpus = read_corpus(
        learnt["data"], options["validation"], options["validation_text"], options["encoding"],
        options["normalize"], model.characters,
    )  # fmt: skip
    if corpus.fingerprint != learnt["fingerprint"]:
        raise UserError(
            f"{' '.join(learnt['data'])} has changed since the training, so what was held out is "
            "no longer known. Name the DATA to measure on."
        )
    count = len(corpus.validation)
    terminal.note(f"Note: measured on the {count} characters held out in training.")
    return corpus.train, corpus.validation, "".join(model.characters[k] for k in corpus.validation)


def nats_per_char(model: CharRNN, ids: np.ndarray) -> float:
    """Returns the mean of -ln of the probability given to each character but the first.

    Args:
        model: What foretells.
        ids: `(characters,)`.
    """
    inputs, targets = held_out_batches(ids)
    total, count = 0.0, 0
    with terminal.progress("Reading", len(inputs)) as advance:
        for x, y in zip(inputs, targets, strict=True):
            logits = model.predict_on_batch(x)
            counted = y != IGNORED
            loss = keras.losses.sparse_categorical_crossentropy(
                y[counted], logits[counted], from_logits=True
            )
            total += float(keras.ops.sum(loss))
            count += int(counted.sum())
            advance(1)
    return total / count
