"""Writes found boxes as the tools of COCO and YOLO take them."""

from collections.abc import Sequence

import numpy as np

from dlapps.matching import as_xywh

# COCO numbers its 80 classes from 1 to 90, for it left these out in the end.
LEFT_OUT = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
COCO_IDS = [number for number in range(1, 91) if number not in LEFT_OUT]


def coco_results(
    name: str, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, names: Sequence[str]
) -> list[dict]:
    """Returns the boxes of a picture as COCO's tools take results.

    The image is known by the number that its file is named after, as COCO's are
    (`000000000139.jpg` is 139), else by the name of the file. Classes count from 1, those of a
    model with COCO's 80 as COCO numbers them.

    Args:
        name: Of the file, without folder and suffix.
        boxes: `(boxes, 4)`, xyxy in pixels of the picture.
        scores: `(boxes,)`.
        labels: `(boxes,)` int.
        names: Names of the model's classes.
    """
    image_id = int(name) if name.isascii() and name.isdecimal() else name
    is_coco = (len(names), names[0], names[-1]) == (len(COCO_IDS), "person", "toothbrush")
    ids = COCO_IDS if is_coco else range(1, len(names) + 1)
    rows = zip(as_xywh(boxes).round(2).tolist(), scores.tolist(), labels, strict=True)
    return [
        {
            "image_id": image_id,
            "category_id": ids[label],
            "bbox": box,
            "score": round(score, 6),
        }
        for box, score, label in rows
    ]


def yolo_text(
    size: tuple[int, int], boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray
) -> str:
    """Returns the boxes of a picture as lines of class, centre, width, height and score.

    Lengths are parts of the picture's, as in YOLO's label files; the score stands last.

    Args:
        size: Width and height of the picture, pixels.
        boxes: `(boxes, 4)`, xyxy in its pixels.
        scores: `(boxes,)`.
        labels: `(boxes,)` int.
    """
    width, height = size
    text = ""
    for label, (x, y, w, h), score in zip(labels, as_xywh(boxes), scores, strict=True):
        numbers = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height, score)
        text += " ".join([str(label), *(f"{number:.6f}" for number in numbers)]) + "\n"
    return text
