"""Measures the detector on pictures whose boxes are known."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlapps import drawing, files, held_out, plots, terminal
from dlapps.apps.detect import metrics, render
from dlapps.apps.detect.data import read_dataset, read_examples
from dlapps.apps.detect.model import load_model
from dlapps.apps.detect.predict import Search, detections
from dlapps.boxes import faults as box_faults
from dlapps.boxes import matching
from dlapps.boxes.matching import Found
from dlapps.data.boxed import BoxedExample
from dlapps.data.pictures import read_picture
from dlapps.errors import UserError

# As many and as unsure boxes as a measure of average precision wants to see.
ALL = Search(confidence=0.001, iou=0.6)
# Below this mAP50, it is said why.
POOR = 0.1
# Of more held-out pictures, only as many are looked at for examples right and wrong.
DRAWN_FROM = 256
SIDE = 320  # pixels of a picture on a sheet
MOST_DRAWN = 12
LEAST_DRAWN = 0.05


def evaluate(name: str, data: str | None, output: Path | None, strict: bool = False) -> dict:
    """Measures a model on pictures whose boxes are known.

    Args:
        name: What `load_model` takes.
        data: What `data.read_dataset` takes; None for the pictures that the run held out.
        output: Folder for the curves, the confusion matrix and the worst pictures, or None.
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
    read, found, why = look(model, examples, "Evaluating")
    if why and strict:
        first, text = next(iter(why.items()))
        raise UserError(f"{first} cannot be read: {text}.")
    terminal.skipped(why)
    if not read:
        raise UserError("No picture of the dataset can be read.")
    result = metrics.evaluation(read, found, model.labels)
    if output is not None:
        _plot(result, model.labels, output)
        draw_worst(read, found, model.labels, result.measures["best_confidence"], output)
    poor = (result.measures["map50"] or 0) < POOR
    said = box_faults.explanation(read, found, model.labels) if poor else []
    more = {"explanation": said} if said else {}
    return {**result.measures, "skipped": len(why), **more, "classes": result.classes}


def look(
    model: Any, examples: Sequence[BoxedExample], title: str
) -> tuple[list[BoxedExample], list[Found], dict[str, str]]:
    """Returns the readable examples, what a model finds in them, and why others are not read.

    Args:
        model: What to ask.
        examples: The pictures.
        title: What is shown meanwhile.
    """
    read, found = [], []
    bad: dict[int, str] = {}
    with terminal.progress(title, len(examples)) as advance:
        for index, boxes in detections([e.source for e in examples], model, ALL, bad):
            read.append(examples[index])
            found.append(boxes)
            advance(1)
    return read, found, {examples[k].name: why for k, why in bad.items()}


def _plot(result: metrics.Evaluation, labels: Sequence[str], folder: Path) -> None:
    measures = result.measures
    shown = [k for k, row in enumerate(result.confusion[:-1]) if row.any()] or [0]
    shown = [*shown, len(labels)] if len(labels) > plots.MOST_NAMED else [*range(len(labels) + 1)]
    counts = result.confusion[np.ix_(shown, shown)]
    names = [*labels, "background"]
    confidence = measures["best_confidence"]
    title = "nothing right" if confidence is None else f"confidence above {confidence:.2f}"
    plot = plots.confusion_matrix(counts, [names[k] for k in shown], title)
    files.write(folder / "confusion.png", plot)
    figures = [own["ap50"] for own in result.classes.values()]
    title = "" if measures["map50"] is None else f"mAP50 {measures['map50']:.4f}"
    curves = plots.precision_recall(result.curves, labels, figures, title)
    files.write(folder / "precision_recall.png", curves)


def draw_examples(model: Any, examples: Sequence[BoxedExample], folder: Path) -> None:
    """Draws held-out pictures in which the model was right, and the worst ones.

    Args:
        model: What to ask.
        examples: Pictures to choose from.
        folder: Takes `right.png` and `wrong.png`.
    """
    few = examples[:: -(-len(examples) // DRAWN_FROM)]
    read, found, _ = look(model, few, "Drawing")
    if not read:
        return
    result = metrics.evaluation(read, found, model.labels, by_size=False)
    confidence = result.measures["best_confidence"]
    draw_worst(read, found, model.labels, confidence, folder, "wrong.png")
    faults = _faults(read, found, confidence)
    good = [k for k in np.argsort([-len(e.boxes) for e in read], kind="stable") if not faults[k][0]]
    _draw(read, found, model.labels, confidence, good[:MOST_DRAWN], folder / "right.png")


def draw_worst(
    examples: Sequence[BoxedExample], found: Sequence[Found], labels: Sequence[str],
    confidence: float | None, folder: Path, name: str = "worst.png",
) -> None:  # fmt: skip
    """Draws the pictures with the most boxes missed, invented or called by another name."""
    faults = _faults(examples, found, confidence)
    order = sorted(range(len(examples)), key=lambda k: -faults[k][0])
    chosen = [k for k in order if faults[k][0]][:MOST_DRAWN]
    _draw(examples, found, labels, confidence, chosen, folder / name)


def _faults(
    examples: Sequence[BoxedExample], found: Sequence[Found], confidence: float | None
) -> list[tuple[int, str]]:
    faults = []
    for example, said in zip(examples, found, strict=True):
        true, answers, missed, wrong = matching.pairs(example, said, _or_usual(confidence))
        mixed = int((example.labels[true] != said.labels[answers]).sum())
        parts = {"missed": len(missed), "false": len(wrong), "mixed up": mixed}
        text = ", ".join(f"{count} {part}" for part, count in parts.items() if count)
        faults.append((sum(parts.values()), text or "all right"))
    return faults


def _or_usual(confidence: float | None) -> float:
    """Returns from which score on to draw boxes: of those that mean nothing there are too many."""
    return box_faults.USUAL_CONFIDENCE if confidence is None else max(confidence, LEAST_DRAWN)


def _draw(
    examples: Sequence[BoxedExample], found: Sequence[Found], labels: Sequence[str],
    confidence: float | None, chosen: Sequence[int], path: Path,
) -> None:  # fmt: skip
    """Draws pictures twice: with the true boxes, and with those found."""
    pictures, titles = [], []
    least = _or_usual(confidence)
    texts = _faults([examples[k] for k in chosen], [found[k] for k in chosen], least)
    for k, (_, text) in zip(chosen, texts, strict=True):
        image = read_picture(examples[k].source, SIDE)
        image.thumbnail((SIDE, SIDE))
        pair = render.compared(image, examples[k], found[k], labels, least)
        pictures += [np.asarray(each) for each in pair]
        titles += [f"truth: {Path(examples[k].name).name}", f"found: {text}"]
    if pictures:
        files.write(path, drawing.contact_sheet(pictures, titles, SIDE, columns=4))
