"""Shows predictions and evaluations as text, JSON and pictures."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from dlapps import files
from dlapps.apps.detect.data import Dataset
from dlapps.boxes.matching import Found, pairs
from dlapps.boxes.results import coco_results
from dlapps.data.boxed import BoxedExample
from dlapps.data.inputs import Input
from dlapps.data.videos import Frame, Video
from dlapps.drawing import Mark, boxed, colour_of
from dlapps.output import csv_lines, json_lines, json_list


@dataclass(frozen=True)
class Prediction:
    """What a model finds in one picture.

    Args:
        input: The picture.
        size: Its width and height, upright, pixels.
        boxes: `(boxes, 4)` float32, xyxy in its pixels, the surest first.
        scores: `(boxes,)` float32 in [0, 1].
        labels: `(boxes,)` int, indices of the model's labels.
    """

    input: Input
    size: tuple[int, int]
    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


def as_json(prediction: Prediction, labels: Sequence[str]) -> dict:
    """Returns a prediction in the shape that every app's JSON has."""
    boxes = [
        {"label": label, "score": score, "xyxy": box}
        for box, score, label in _rows(prediction, labels)
    ]
    return {"path": prediction.input.name, **_time(prediction), "boxes": boxes}


def _rows(prediction: Prediction, labels: Sequence[str]) -> Iterator[tuple[list, float, str]]:
    # Floats of 64 bits have the few digits that they are rounded to, and no more.
    boxes = prediction.boxes.astype(np.float64).round(2).tolist()
    scores = prediction.scores.astype(np.float64).round(6).tolist()
    for box, score, label in zip(boxes, scores, prediction.labels, strict=True):
        yield box, score, labels[label]


def _time(prediction: Prediction) -> dict:
    one = prediction.input
    return {"seconds": round(one.seconds, 3)} if isinstance(one, Frame) else {}


def lines(
    predictions: Iterable[Prediction], format_: str, inputs: Sequence[Input], labels: Sequence[str]
) -> Iterator[str]:
    """Writes predictions down, as they come.

    Args:
        predictions: What to write.
        format_: "table", "json", "jsonl", "csv" or "coco".
        inputs: All the inputs, for the width of the table.
        labels: Names of the model's classes.

    Returns:
        Lines without their ends.
    """
    if format_ in ("json", "coco"):
        return json_list(_records(predictions, format_, labels))
    if format_ == "jsonl":
        return json_lines(_records(predictions, format_, labels))
    if format_ == "csv":
        names = ["path", "seconds", "label", "score", "left", "top", "right", "bottom"]
        return csv_lines(names, _csv_rows(predictions, labels))
    return _table_rows(predictions, labels, min(max(map(_width, inputs), default=0), 60))


def _width(one: Input) -> int:
    return len(one.name) + (len("#12345 (1234.56 s)") if isinstance(one, Video) else 0)


def _records(
    predictions: Iterable[Prediction], format_: str, labels: Sequence[str]
) -> Iterator[dict]:
    for prediction in predictions:
        if format_ == "coco":
            one = (prediction.boxes, prediction.scores, prediction.labels)
            yield from coco_results(stem(prediction.input), *one, labels)
        else:
            yield as_json(prediction, labels)


def _csv_rows(predictions: Iterable[Prediction], labels: Sequence[str]) -> Iterator[list]:
    for prediction in predictions:
        seconds = _time(prediction).get("seconds", "")
        for box, score, label in _rows(prediction, labels):
            yield [prediction.input.name, seconds, label, f"{score:.6f}", *box]


def _table_rows(
    predictions: Iterable[Prediction], labels: Sequence[str], width: int
) -> Iterator[str]:
    for prediction in predictions:
        name, wide = prediction.input.name, width
        for seconds in _time(prediction).values():
            name += f" ({seconds:.2f} s)"
        if not len(prediction.boxes):
            yield f"{name:<{wide}}  nothing found"
        for box, score, label in _rows(prediction, labels):
            place = " ".join(f"{round(x):5d}" for x in box)
            yield f"{name:<{wide}}  {score:6.1%}  {place}  {label}"
            name, wide = "", max(wide, len(name))


def stem(one: Input) -> str:
    """Returns what files about an input are called, without suffix or folder."""
    if isinstance(one, Frame):
        return f"{files.stem(one.video.replace(':', ''))}-{one.number:06d}"
    return files.stem(one.name)


def drawn(image: Image.Image, prediction: Prediction, labels: Sequence[str]) -> Image.Image:
    """Returns a picture with what was found in it."""
    found = zip(prediction.boxes, prediction.scores, prediction.labels, strict=True)
    return boxed(
        image, [Mark(box, f"{labels[k]} {score:.0%}", colour_of(int(k))) for box, score, k in found]
    )


def compared(
    image: Image.Image, example: BoxedExample, found: Found, labels: Sequence[str],
    confidence: float,
) -> tuple[Image.Image, Image.Image]:  # fmt: skip
    """Returns a picture with what is there, and once more with what was found.

    What is missed or wrong has its label written at it; the rest has its line alone. Crowds are
    dashed.

    Args:
        image: The picture, of any size.
        example: What is there.
        found: What was found.
        labels: Names of the classes.
        confidence: The score from which on a box counts.
    """
    true, answers, _, _ = pairs(example, found, confidence)
    same = example.labels[true] == found.labels[answers]
    scale = np.divide(image.size, example.size)
    there, said = (boxes * np.tile(scale, 2) for boxes in (example.boxes, found.boxes))
    good, right = {*true[same].tolist()}, {*answers[same].tolist()}
    known = [
        Mark(there[k], "" if k in good else labels[label], colour_of(int(label)), bool(crowd))
        for k, (label, crowd) in enumerate(zip(example.labels, example.crowd, strict=True))
    ]
    shown = [
        Mark(said[k], "" if k in right else f"{labels[label]} {score:.0%}", colour_of(int(label)))
        for k, (label, score) in enumerate(zip(found.labels, found.scores, strict=True))
        if score >= confidence
    ]
    return boxed(image, known), boxed(image, shown)


def dataset_line(dataset: Dataset) -> str:
    """Says what is learnt from."""
    boxes = [sum(len(e.boxes) for e in part) for part in (dataset.train, dataset.validation)]
    return (
        f"{dataset.name}: {len(dataset.labels)} classes, {boxes[0]} boxes in "
        f"{len(dataset.train)} pictures to learn from, {boxes[1]} in {len(dataset.validation)} "
        "held out."
    )


def evaluation_table(measures: Mapping[str, Any]) -> str:
    """Returns an evaluation as text."""
    names = {
        "num_pictures": "pictures", "num_boxes": "boxes", "map50": "mAP50",
        "map50_95": "mAP50-95", "map75": "mAP75", "map50_95_small": "  small boxes",
        "map50_95_medium": "  medium boxes", "map50_95_large": "  large boxes",
        "ar100": "recall, mean over 50-95", "best_confidence": "best confidence",
        "precision": "  precision", "recall": "  recall", "f1": "  F1",
    }  # fmt: skip
    text = [f"{title:<26}{_number(measures[name]):>8}" for name, title in names.items()]
    classes = {k: v for k, v in measures["classes"].items() if v["num_boxes"]}
    width = max(12, *(len(label) for label in classes)) if classes else 12
    text += ["", f"{'class':<{width}}    AP50  AP50-95  precision  recall      F1   boxes"]
    text += [
        f"{label:<{width}}  {_number(m['ap50']):>6}  {_number(m['ap50_95']):>7}"
        f"  {_number(m['precision']):>9}  {_number(m['recall']):>6}  {_number(m['f1']):>6}"
        f"  {m['num_boxes']:6d}"
        for label, m in classes.items()
    ]
    return "\n".join([*text, *(f"\n{line}" for line in measures.get("explanation", []))])


def _number(value: float | None) -> str:
    return "-" if value is None else str(value) if isinstance(value, int) else f"{value:.4f}"
