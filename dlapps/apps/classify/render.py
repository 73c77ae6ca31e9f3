"""Shows predictions and evaluations as text, JSON and pictures."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from dlapps.apps.classify.data import Dataset
from dlapps.data.inputs import Input
from dlapps.drawing import INK, PAPER, fitting, font
from dlapps.output import csv_lines, json_lines, json_list


@dataclass(frozen=True)
class Prediction:
    """What a model says of one picture.

    Args:
        input: The picture.
        classes: The likeliest labels with their probabilities, the likeliest first.
    """

    input: Input
    classes: list[tuple[str, float]]


def as_json(prediction: Prediction) -> dict:
    """Returns a prediction in the shape that every app's JSON has."""
    classes = [{"label": label, "probability": round(p, 6)} for label, p in prediction.classes]
    return {"path": prediction.input.name, "classes": classes}


def lines(predictions: Iterable[Prediction], format_: str, names: Sequence[str]) -> Iterator[str]:
    """Writes predictions down, as they come.

    Args:
        predictions: What to write.
        format_: "table", "json", "jsonl" or "csv".
        names: Names of all the inputs, for the width of the table.

    Returns:
        Lines without their ends.
    """
    if format_ == "json":
        return json_list(map(as_json, predictions))
    if format_ == "jsonl":
        return json_lines(map(as_json, predictions))
    if format_ == "csv":
        return csv_lines(["path", "rank", "label", "probability"], _csv_rows(predictions))
    return _table_rows(predictions, min(max(map(len, names), default=0), 60))


def _csv_rows(predictions: Iterable[Prediction]) -> Iterator[list]:
    for prediction in predictions:
        for rank, (label, p) in enumerate(prediction.classes, start=1):
            yield [prediction.input.name, rank, label, f"{p:.6f}"]


def _table_rows(predictions: Iterable[Prediction], width: int) -> Iterator[str]:
    for prediction in predictions:
        name = prediction.input.name
        for label, p in prediction.classes:
            yield f"{name:<{width}}  {p:7.1%}  {label}"
            name = ""


def dataset_line(dataset: Dataset) -> str:
    """Says what is learnt from and how well one could do without looking."""
    counts = np.bincount([e.label for e in dataset.validation], minlength=len(dataset.labels))
    majority = counts.max() / max(counts.sum(), 1)
    return (
        f"{dataset.name}: {len(dataset.labels)} classes, {len(dataset.train)} pictures to learn "
        f"from, {len(dataset.validation)} held out. Without looking: chance "
        f"{1 / len(dataset.labels):.1%}, always the commonest class {majority:.1%}."
    )


def evaluation_table(measures: dict) -> str:
    """Returns an evaluation as text, each measure beside what it takes without looking."""
    rows = [
        ("pictures", f"{measures['num_pictures']}"),
        ("accuracy", f"{measures['accuracy']:.4f}"),
        ("  by chance", f"{measures['chance_accuracy']:.4f}"),
        ("  always the commonest class", f"{measures['majority_accuracy']:.4f}"),
        ("top-5 accuracy", f"{measures['top5_accuracy']:.4f}"),
        ("macro F1", f"{measures['macro_f1']:.4f}"),
        ("loss (nats)", f"{measures['loss']:.4f}"),
        ("calibration error", f"{measures['calibration_error']:.4f}"),
    ]
    text = [f"{name:<30}{value:>8}" for name, value in rows]
    classes = {k: v for k, v in measures["classes"].items() if v["num_pictures"]}
    width = max(12, *(len(label) for label in classes))
    text += ["", f"{'class':<{width}}  precision  recall      F1  pictures"]
    text += [
        f"{label:<{width}}  {m['precision']:9.4f}  {m['recall']:6.4f}  {m['f1']:6.4f}"
        f"  {m['num_pictures']:8d}"
        for label, m in classes.items()
    ]
    return "\n".join(text)


def answer(probabilities: np.ndarray, truth: int, labels: list[str]) -> str:
    """Says in a few words what a model took a picture for."""
    answer = int(probabilities.argmax())
    if answer == truth:
        return f"{labels[truth]} ({probabilities[answer]:.0%})"
    return f"{labels[truth]}, taken for\n{labels[answer]} ({probabilities[answer]:.0%})"


def labelled(image: Image.Image, classes: Sequence[tuple[str, float]]) -> Image.Image:
    """Returns a picture with the labels and their probabilities written below it."""
    size = max(14, min(image.size) // 24)
    letters = font(size)
    step = round(size * 1.5)
    width = max(image.width, 240)
    sheet = Image.new("RGB", (width, image.height + step * len(classes) + size), PAPER)
    sheet.paste(image, ((width - image.width) // 2, 0))
    draw = ImageDraw.Draw(sheet)
    for row, (label, p) in enumerate(classes):
        y = image.height + size // 2 + row * step
        draw.rectangle((0, y, p * width, y + step - 3), fill="#d7e3f7" if row else "#a9c7f5")
        words = fitting(label, letters, round(width - 5.5 * size))
        draw.text((size // 2, y + step // 2 - 1), words, INK, letters, anchor="lm")
        draw.text((width - size // 2, y + step // 2 - 1), f"{p:.1%}", INK, letters, anchor="rm")
    return sheet


def explained(image: Image.Image, places: np.ndarray, crop: float) -> Image.Image:
    """Returns a picture with the places that speak for its label laid over it in warm colours.

    Args:
        image: The picture.
        places: `(height, width)` float in [0, 1], over the centre square of the picture.
        crop: Part of the shorter side that this square is.
    """
    side = round(min(image.size) * crop)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    grey = Image.fromarray((255 * places).astype(np.uint8)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    heat = np.asarray(grey, np.float32)[..., None] / 255
    warm = heat * (255, 80, 0) + (1 - heat) * (20, 30, 120)
    base = np.asarray(image, np.float32).copy()
    square = base[top : top + side, left : left + side]
    base[top : top + side, left : left + side] = 0.55 * square + 0.45 * warm
    return Image.fromarray(base.astype(np.uint8))
