"""Measures the classifier on labelled pictures."""

from collections import Counter
from pathlib import Path

import numpy as np

from dlapps import drawing, files, held_out, plots, terminal
from dlapps.apps.classify import metrics, render
from dlapps.apps.classify.data import Example, read_dataset, read_examples
from dlapps.apps.classify.model import load_model
from dlapps.apps.classify.predict import answers
from dlapps.data.pictures import centre_crop, read_picture
from dlapps.errors import UserError


def evaluate(name: str, data: str | None, output: Path | None, strict: bool = False) -> dict:
    """Measures a model on labelled pictures.

    Args:
        name: What `load_model` takes.
        data: Labelled pictures; None for the pictures that the run held out.
        output: Folder for the confusion matrix and the worst mistakes, or None for none.
        strict: Stop at the first picture that cannot be read.

    Returns:
        One flat dictionary of measures, and under `classes` those of each class.

    Raises:
        UserError: If the model or the data is at fault.
    """
    model = load_model(name)
    examples, notes = held_out.to_measure(
        name, data, lambda data: read_examples(data, model.labels), read_dataset
    )
    if output is not None:
        files.writable_folder(output)
    for text in notes:
        terminal.note(f"Note: {text}")
    rows = np.zeros((len(examples), len(model.labels)), np.float32)
    why: dict[str, str] = {}
    read: list[int] = []
    with terminal.progress("Evaluating", len(examples)) as advance:
        for indices, probabilities, bad in answers([e.source for e in examples], model):
            why |= {examples[k].name: text for k, text in bad.items()}
            rows[indices] = probabilities
            read += indices
            advance(len(indices) + len(bad))
    if why and strict:
        first, text = next(iter(why.items()))
        raise UserError(f"{first} cannot be read: {text}.")
    terminal.skipped(why)
    if not read:
        raise UserError("No picture of the dataset can be read.")
    truth = np.array([examples[k].label for k in read])
    result = metrics.evaluation(rows[read], truth, model.labels)
    if output is not None:
        title = f"accuracy {result.measures['accuracy']:.4f}"
        plot = plots.confusion_matrix(result.confusion, model.labels, title)
        files.write(output / "confusion.png", plot)
        chosen = worst(rows[read], truth)
        pictures = [thumbnail(examples[read[k]]) for k in chosen]
        titles = [render.answer(rows[read[k]], truth[k], model.labels) for k in chosen]
        if chosen:
            files.write(output / "worst.png", drawing.contact_sheet(pictures, titles))
    return {**result.measures, "skipped": len(why), "classes": result.classes}


def worst(probabilities: np.ndarray, truth: np.ndarray, most: int = 24) -> list[int]:
    """Returns the mistakes that the model was surest of."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != truth)
    return [int(k) for k in wrong[np.argsort(-probabilities[wrong].max(axis=1))][:most]]


def right(probabilities: np.ndarray, truth: np.ndarray, most: int = 12) -> list[int]:
    """Returns right answers, of every class in turn, those that the model was surest of first."""
    correct = np.flatnonzero(probabilities.argmax(axis=1) == truth)
    order = correct[np.argsort(-probabilities[correct].max(axis=1), kind="stable")]
    seen: Counter = Counter()
    turn = {}
    for k in order:
        turn[int(k)] = seen[truth[k]]
        seen[truth[k]] += 1
    return sorted(turn, key=lambda k: (turn[k], int(truth[k])))[:most]


def thumbnail(example: Example) -> np.ndarray:
    """Returns the centre square of a picture, `(224, 224, 3)` uint8."""
    return centre_crop(read_picture(example.source, 224), 224, 1.0)
