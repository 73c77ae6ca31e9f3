"""Shows predictions and evaluations as text, JSON and pictures."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from dlapps import files
from dlapps.data.inputs import Input
from dlapps.data.videos import Frame, Video
from dlapps.drawing import Mark, boxed, colour_of
from dlapps.matching import Found, Truth, as_xywh

# COCO numbers its 80 classes from 1 to 90, for it left these out in the end.
LEFT_OUT = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
COCO_IDS = [number for number in range(1, 91) if number not in LEFT_OUT]
MISSED = (255, 255, 255)


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

    Yields:
        Lines without their ends.
    """
    if format_ in ("json", "coco"):
        yield from _json_list(_records(predictions, format_, labels))
    elif format_ == "jsonl":
        for prediction in predictions:
            yield json.dumps(as_json(prediction, labels), ensure_ascii=False)
    elif format_ == "csv":
        yield _csv_row(["path", "seconds", "label", "score", "left", "top", "right", "bottom"])
        for prediction in predictions:
            seconds = _time(prediction).get("seconds", "")
            for box, score, label in _rows(prediction, labels):
                yield _csv_row([prediction.input.name, seconds, label, f"{score:.6f}", *box])
    else:
        width = min(max(map(_width, inputs), default=0), 60)
        for prediction in predictions:
            yield from _table_rows(prediction, labels, width)


def _width(one: Input) -> int:
    return len(one.name) + (len("#12345 (1234.56 s)") if isinstance(one, Video) else 0)


def _records(
    predictions: Iterable[Prediction], format_: str, labels: Sequence[str]
) -> Iterator[dict]:
    for prediction in predictions:
        if format_ == "json":
            yield as_json(prediction, labels)
        else:
            yield from as_coco(prediction, labels)


def _json_list(records: Iterable[dict]) -> Iterator[str]:
    """Writes a list one record at a time, for a video has many."""
    before = None
    yield "["
    for record in records:
        if before is not None:
            yield f"{before},"
        text = json.dumps(record, indent=2, ensure_ascii=False)
        before = "  " + text.replace("\n", "\n  ")
    if before is not None:
        yield before
    yield "]"


def _csv_row(cells: list) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="").writerow(cells)
    return file.getvalue()


def _table_rows(prediction: Prediction, labels: Sequence[str], width: int) -> Iterator[str]:
    name = prediction.input.name
    for seconds in _time(prediction).values():
        name += f" ({seconds:.2f} s)"
    if not len(prediction.boxes):
        yield f"{name:<{width}}  nothing found"
    for box, score, label in _rows(prediction, labels):
        place = " ".join(f"{round(x):5d}" for x in box)
        yield f"{name:<{width}}  {score:6.1%}  {place}  {label}"
        name = ""


def as_coco(prediction: Prediction, labels: Sequence[str]) -> list[dict]:
    """Returns the boxes of a picture as COCO's tools take results.

    The image is known by the number that its file is named after, as COCO's are
    (`000000000139.jpg` is 139), else by the name of the file without its suffix. Classes count
    from 1, those of a model with COCO's 80 as COCO numbers them.
    """
    name = stem(prediction.input)
    image_id = int(name) if name.isascii() and name.isdecimal() else name
    is_coco = (len(labels), labels[0], labels[-1]) == (len(COCO_IDS), "person", "toothbrush")
    ids = COCO_IDS if is_coco else range(1, len(labels) + 1)
    return [
        {
            "image_id": image_id,
            "category_id": ids[label],
            "bbox": box,
            "score": round(float(score), 6),
        }
        for box, score, label in zip(
            as_xywh(prediction.boxes).round(2).tolist(),
            prediction.scores,
            prediction.labels,
            strict=True,
        )
    ]


def as_yolo(prediction: Prediction) -> str:
    """Returns the boxes of a picture as lines of class, centre, width, height and score.

    Lengths are parts of the picture's, as in YOLO's label files; the score stands last.
    """
    width, height = prediction.size
    text = ""
    for label, (x, y, w, h), score in zip(
        prediction.labels, as_xywh(prediction.boxes), prediction.scores, strict=True
    ):
        numbers = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height, score)
        text += " ".join([str(label), *(f"{number:.6f}" for number in numbers)]) + "\n"
    return text


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
    image: Image.Image, truth: Truth, found: Found, labels: Sequence[str]
) -> tuple[Image.Image, Image.Image]:
    """Returns a picture with what is there, and once more with what was found."""
    said = zip(found.boxes, found.scores, found.labels, strict=True)
    there = zip(truth.boxes, truth.labels, truth.crowd, strict=True)
    known = [Mark(box, labels[k], colour_of(int(k)), bool(crowd)) for box, k, crowd in there]
    answers = [Mark(box, f"{labels[k]} {score:.0%}", colour_of(int(k))) for box, score, k in said]
    return boxed(image, known), boxed(image, answers)


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
