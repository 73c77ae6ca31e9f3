"""Reads pictures with labelled boxes from the formats people keep them in."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlapps.data import coco_boxes, digit_scenes, tfds_boxes, voc_boxes, yolo_boxes
from dlapps.data.annotations import Annotation, Annotations, Findings
from dlapps.data.box_checks import clipped, in_pixels
from dlapps.data.orientation import turned_size
from dlapps.data.pictures import Source, UnreadablePictureError, header_of
from dlapps.errors import UserError, reason

EXPECTED = (
    "Give a YOLO data.yaml, a COCO .json, a folder with one of these, a folder in the format of "
    "Pascal VOC, 'tfds:NAME' or 'sample'."
)
# Kinds of oddities, and what becomes of them.
UNREADABLE = "Pictures that cannot be read, left out"
UNTOLD = "Pictures of a test part without any boxes, left out"
BACKGROUND = "Pictures without boxes, taken as background"
CROWD = "Boxes of crowds or difficult things, neither learnt nor counted"


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
    if data == "sample":
        return _sample()
    if data.startswith("tfds:"):
        return tfds_boxes.read_tfds(data.removeprefix("tfds:"))
    path = Path(data)
    name = path.resolve().name
    if os.path.isfile(path):
        if path.suffix.lower() in (".yaml", ".yml"):
            return yolo_boxes.read_yolo(path)
        if path.suffix.lower() == ".json":
            return coco_boxes.read_coco({"train": path}, path.stem)
        raise UserError(f"{data} holds no boxes in a known format. {EXPECTED}")
    if not os.path.isdir(path):
        raise UserError(f"{data} does not exist. {EXPECTED}")
    try:
        if described := yolo_boxes.yaml_in(path):
            return yolo_boxes.read_yolo(described)
        if files := coco_boxes.files_of(path):
            return coco_boxes.read_coco(files, name)
        if parts := voc_boxes.parts_of(path):
            return voc_boxes.read_voc(parts, name)
    except OSError as error:
        raise UserError(f"{data} cannot be read: {reason(error)}.") from error
    raise UserError(f"{data} holds no boxes in a known format. {EXPECTED}")


def _sample() -> Annotations:
    labels = [str(digit) for digit in range(10)]
    splits = {
        part: [
            Annotation(
                f"sample/{part}/{k}",
                scene.image,
                scene.boxes,
                scene.digits,
                [False] * len(scene.digits),
                f"sample/{part}/{k}",
                [f"digit {n}" for n in range(1, len(scene.digits) + 1)],
            )
            for k, scene in enumerate(digit_scenes.scenes(part))
        ]
        for part in digit_scenes.PARTS
    }
    return Annotations("sample", labels, splits)


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
    if "train" in splits and not any(len(example.boxes) for example in splits.get("test", [])):
        for example in splits.pop(
            "test", []
        ):  # As of challenges that keep the boxes to themselves.
            findings.add(UNTOLD, example.name)
    for example in [example for part in splits.values() for example in part]:
        if not len(example.boxes):
            findings.add(BACKGROUND, example.name)
        for _ in range(example.crowd.sum()):
            findings.add(CROWD, example.name)
    notes = [*annotations.notes, *findings.notes()]
    if not any(len(example.boxes) for part in splits.values() for example in part):
        raise UserError(" ".join([f"{annotations.name} holds no box.", *notes]))
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
        findings.add(UNREADABLE, f"{annotation.name} ({header})")
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
