"""How good a detector is, in the field's own measures."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlapps.boxes.matching import Found, Truth, as_xywh, pairs

# Places in COCOeval's arrays: its first IoU is 0.5, the sixth 0.75.
AT_50, AT_75 = 0, 5
AREAS = ("all", "small", "medium", "large")  # of pixels: up to 32 x 32, up to 96 x 96, more
MOST = (1, 10, 100)  # boxes of a class in a picture that COCO counts


@dataclass(frozen=True)
class Evaluation:
    """How a model did on pictures whose boxes are known.

    Args:
        measures: One flat dictionary of numbers, None where there was nothing to measure.
        classes: Average precision, precision, recall, F1 and number of boxes, by class.
        curves: `(labels, 101)` float, the precision at IoU 0.5 for a recall of 0, 0.01, ... 1; NaN
            for a class without boxes.
        confusion: `(labels + 1, labels + 1)` int, rows the truth, columns the answer, at the best
            confidence; the last row is what was found where nothing is, the last column what was
            missed.
    """

    measures: dict[str, Any]
    classes: dict[str, dict[str, Any]]
    curves: np.ndarray
    confusion: np.ndarray


def evaluation(
    truth: Sequence[Truth], found: Sequence[Found], labels: Sequence[str], by_size: bool = True
) -> Evaluation:
    """Measures what was found against what there is, as COCO does.

    A box of a crowd is neither missed nor, where it is found, wrong. Of a class, the 100 surest
    boxes of a picture count. Precision, recall and F1 are those of all boxes together at the
    confidence where F1 is best.

    Args:
        truth: What each picture holds.
        found: What was found in it, down to the lowest scores.
        labels: Names of the classes.
        by_size: Whether to measure small, medium and large boxes by themselves, too, which takes
            three times as long again.
    """
    areas = AREAS if by_size else AREAS[:1]
    judge = _judged(truth, found, len(labels), len(areas))
    precision, recall = judge.eval["precision"], judge.eval["recall"]
    measures = {
        "map50": _mean(precision[AT_50, :, :, 0, -1]),
        "map50_95": _mean(precision[..., 0, -1]),
        "map75": _mean(precision[AT_75, :, :, 0, -1]),
        **{f"ar{most}": _mean(recall[..., 0, k]) for k, most in enumerate(MOST)},
    }
    for place, area in enumerate(areas[1:], start=1):
        measures[f"map50_95_{area}"] = _mean(precision[..., place, -1])
        measures[f"ar100_{area}"] = _mean(recall[..., place, -1])
    counts = _counts(judge, len(labels), len(truth))
    confidence = _best_confidence(counts)
    every = _rates(confidence, *(np.concatenate(part) for part in zip(*counts, strict=True)))
    measures |= {"best_confidence": confidence, **every, "num_pictures": len(truth)}
    classes = {
        label: {
            "ap50": _mean(precision[AT_50, :, k, 0, -1]),
            "ap50_95": _mean(precision[:, :, k, 0, -1]),
            **_rates(confidence, *counts[k]),
        }
        for k, label in enumerate(labels)
    }
    curves = precision[AT_50, :, :, 0, -1].T
    return Evaluation(
        measures,
        classes,
        np.where(curves < 0, np.nan, curves),
        confusion_matrix(truth, found, len(labels), confidence or 0.0),
    )


def _mean(values: np.ndarray) -> float | None:
    known = values[values > -1]  # COCOeval writes -1 where there is no box.
    return float(known.mean()) if known.size else None


def map50(truth: Sequence[Truth], kept: Mapping[str, np.ndarray], labels: Sequence[str]) -> float:
    """Returns the mean average precision at IoU 0.5, 0 where there is nothing to measure.

    Args:
        truth: What each picture holds.
        kept: What was found, a row a picture: `boxes`, `scores` and `classes`, -1 for none.
        labels: Names of the classes.
    """
    rows = zip(kept["boxes"], kept["scores"], kept["classes"], strict=True)
    found = [Found(*(each[row[2] >= 0] for each in row)) for row in rows]
    return evaluation([*truth], found, labels, by_size=False).measures["map50"] or 0.0


def _judged(truth: Sequence[Truth], found: Sequence[Found], num_labels: int, num_areas: int) -> Any:
    from pycocotools.cocoeval import COCOeval  # noqa: PLC0415  for evaluations only

    with contextlib.redirect_stdout(io.StringIO()):  # It reports its progress there.
        known = _coco([(t.boxes, t.labels, t.crowd, None) for t in truth], num_labels)
        said = [(f.boxes, f.labels, np.zeros(len(f.labels), bool), f.scores) for f in found]
        judge = COCOeval(known, _coco(said, num_labels), "bbox")
        judge.params.areaRng = judge.params.areaRng[:num_areas]
        judge.params.areaRngLbl = judge.params.areaRngLbl[:num_areas]
        judge.evaluate()
        judge.accumulate()
    return judge


def _coco(pictures: Sequence[tuple], num_labels: int) -> Any:
    """Returns boxes as pycocotools keeps them; ids begin at 1, for 0 means unmatched."""
    from pycocotools.coco import COCO  # noqa: PLC0415  for evaluations only

    annotations: list[dict[str, Any]] = []
    for number, (boxes, labels, crowd, scores) in enumerate(pictures):
        for place, box in enumerate(as_xywh(boxes).tolist()):
            one = {"id": len(annotations) + 1, "image_id": number, "bbox": box}
            one |= {"category_id": int(labels[place]), "area": box[2] * box[3]}
            one["iscrowd"] = int(crowd[place])
            if scores is not None:
                one["score"] = float(scores[place])
            annotations.append(one)
    coco = COCO()
    coco.dataset = {
        "images": [{"id": number} for number in range(len(pictures))],
        "categories": [{"id": k} for k in range(num_labels)],
        "annotations": annotations,
    }
    coco.createIndex()
    return coco


def _counts(judge: Any, num_labels: int, num_pictures: int) -> list[tuple[np.ndarray, ...]]:
    """Returns for each class the scores of what counts, whether it is right, and the boxes' number.

    At an IoU of 0.5, sizes of all kinds. The number is an array of one, so that classes add up.
    """
    counts: list[tuple[np.ndarray, ...]] = []
    num_areas = len(judge.params.areaRng)
    for k in range(num_labels):
        first = k * num_areas * num_pictures
        seen = [one for one in judge.evalImgs[first : first + num_pictures] if one is not None]
        scores = [np.asarray(one["dtScores"], np.float64) for one in seen]
        right = [one["dtMatches"][AT_50] > 0 for one in seen]
        counted = [~one["dtIgnore"][AT_50].astype(bool) for one in seen]
        number = sum(int((one["gtIgnore"] == 0).sum()) for one in seen)
        kept = np.concatenate([np.empty(0, bool), *counted])
        counts.append(
            (
                np.concatenate([np.empty(0), *scores])[kept],
                np.concatenate([np.empty(0, bool), *right])[kept],
                np.array([number]),
            )
        )
    return counts


def _best_confidence(counts: Sequence[tuple[np.ndarray, ...]]) -> float | None:
    """Returns the score from which on to believe a box for the best F1; None if nothing is right.

    It lies halfway to the next score below, where it does not hang on the last digit.
    """
    scores, right, numbers = (np.concatenate(part) for part in zip(*counts, strict=True))
    if not right.any():
        return None
    order = np.argsort(-scores, kind="stable")
    scores, hits = scores[order], np.cumsum(right[order])
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + numbers.sum())
    f1[:-1][scores[:-1] == scores[1:]] = 0  # No score separates equals.
    best = int(f1.argmax())
    below = scores[best + 1] if best + 1 < len(scores) else 0.0
    return float((scores[best] + below) / 2)


def _rates(
    confidence: float | None, scores: np.ndarray, right: np.ndarray, numbers: np.ndarray
) -> dict[str, Any]:
    number = int(numbers.sum())
    believed = scores >= (confidence or 0.0)
    hits, said = int(right[believed].sum()), int(believed.sum())
    return {
        "precision": hits / said if said else (0.0 if number else None),
        "recall": hits / number if number else None,
        "f1": 2 * hits / (said + number) if number else None,
        "num_boxes": number,
    }


def confusion_matrix(
    truth: Sequence[Truth], found: Sequence[Found], num_labels: int, confidence: float
) -> np.ndarray:
    """Counts what was taken for what.

    The boxes of a picture are paired off, those that overlap most first, whatever their classes;
    of equal ones, those of the same class. Boxes of a crowd, and what is found in one, count
    nowhere.

    Args:
        truth: What each picture holds.
        found: What was found in it.
        num_labels: Number of classes; one more row and column is for the background.
        confidence: The score from which on a box counts.
    """
    counts = np.zeros((num_labels + 1, num_labels + 1), int)
    for known, said in zip(truth, found, strict=True):
        true, answers, missed, wrong = pairs(known, said, confidence)
        np.add.at(counts, (known.labels[true], said.labels[answers]), 1)
        np.add.at(counts, (known.labels[missed], num_labels), 1)
        np.add.at(counts, (num_labels, said.labels[wrong]), 1)
    return counts
