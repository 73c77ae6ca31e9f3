"""Reads pictures with labelled boxes from the formats people keep them in."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlapps.data import voc_boxes
from dlapps.data.annotations import Annotation, Annotations, Findings, counted
from dlapps.data.box_checks import clipped, in_pixels
from dlapps.data.orientation import turned_size
from dlapps.data.pictures import Source, UnreadablePictureError, header_of
from dlapps.errors import UserError


@dataclass(frozen=True)
class BoxedExample:
    """A picture and what is where in it.

    Args:
        name: The words it goes by.
        source: The picture.
        boxes: `(boxes, 4)` float32, xyxy, pixels of the upright picture.
        labels: `(boxes,)` int32, index of each box's label.
        crowd: `(boxes,)` bool; such boxes (COCO's crowds, VOC's difficult ones) are neither learnt
            from nor counted in an evaluation.
        size: Width and height of the upright picture, pixels.
        digest: Of the picture's bytes.
    """

    name: str
    source: Source
    boxes: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray
    size: tuple[int, int]
    digest: str = ""


@dataclass(frozen=True)
class BoxedData:
    """Pictures with boxes, in the parts that the data themselves make.

    Args:
        name: What a run on it is called.
        labels: Names of the classes.
        splits: Examples by split: "train", "validation", "test", such as there are.
        notes: What was left out or mended, counted and named.
    """

    name: str
    labels: list[str]
    splits: dict[str, list[BoxedExample]]
    notes: list[str]


def read_boxed(data: str) -> BoxedData:
    """Reads pictures with boxes from any format.

    Args:
        data: A YOLO `data.yaml` or a folder with one; a COCO JSON file or a folder of such; a
            folder in the format of Pascal VOC; `tfds:NAME`; or `sample`.

    Raises:
        UserError: If it is none of these, or a file is not as it should be.
    """
    return _compared(_annotations(data))


def _annotations(data: str) -> Annotations:
    path = Path(data)
    if not path.exists():
        raise UserError(f"{data} does not exist. {EXPECTED}")
    if path.is_dir() and voc_boxes.is_voc(path):
        return voc_boxes.read_voc(path)
    raise UserError(f"{data} holds no boxes in a known format. {EXPECTED}")


EXPECTED = (
    "Give a YOLO data.yaml, a COCO .json, a folder of one of these or of Pascal VOC, or 'sample'."
)


def _compared(annotations: Annotations) -> BoxedData:
    """Holds what is said against the pictures."""
    findings = Findings()
    splits = {}
    for split, said in annotations.splits.items():
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            headers = pool.map(_header, said)
            held = [
                _example(one, header, findings) for one, header in zip(said, headers, strict=True)
            ]
        splits[split] = [example for example in held if example is not None]
    notes = [*annotations.notes, *findings.notes()]
    if "train" in splits and splits.get("test") and not any(len(e.boxes) for e in splits["test"]):
        notes.append(f"The {counted(len(splits.pop('test')), 'picture')} of the test part have no "
                     "boxes at all; the part is left out.")  # fmt: skip
    examples = [example for part in splits.values() for example in part]
    if not any(len(example.boxes) for example in examples):
        told = "".join(f" {note}" for note in notes)
        raise UserError(f"{annotations.name} holds no box in {len(examples)} pictures.{told}")
    empty = [example.name for example in examples if not len(example.boxes)]
    if empty:
        notes.append(
            f"{counted(len(empty), 'picture')} without boxes, such as {empty[0]}: taken as "
            "background, where nothing is to be found."
        )
    crowd = sum(int(example.crowd.sum()) for example in examples)
    if crowd:
        notes.append(f"{counted(crowd, 'box')} of crowds or difficult things: left out of account.")
    return BoxedData(annotations.name, annotations.labels, splits, notes)


def _header(annotation: Annotation) -> tuple[int, int, int] | str:
    try:
        return header_of(annotation.source)
    except UnreadablePictureError as error:
        return str(error)


def _example(
    annotation: Annotation, header: tuple[int, int, int] | str, findings: Findings
) -> BoxedExample | None:
    if isinstance(header, str):
        place = f"{annotation.name} ({header})"
        findings.add("picture", "cannot be read and are left out", place)
        return None
    boxes = in_pixels(annotation, header, findings)
    if boxes is None:
        return None
    width, height, orientation = header
    size = turned_size(orientation, (width, height))
    boxes, rows = clipped(annotation, boxes, size, findings)
    return BoxedExample(
        annotation.name,
        annotation.source,
        boxes.astype(np.float32),
        np.array(annotation.labels, np.int32)[rows],
        np.array(annotation.crowd, bool)[rows],
        size,
    )
