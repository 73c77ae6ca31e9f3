"""How good a classifier is, in the field's own measures."""

import math
from dataclasses import dataclass

import numpy as np

# Guo et al. 2017, https://arxiv.org/abs/1706.04599, use 15 bins.
CALIBRATION_BINS = 15
# How far a temperature is from 1, as the standard deviation of its logarithm, before any picture
# has been seen: with a handful of pictures, all right, the likeliest would be nearly 0.
USUAL_SPREAD = 0.5


@dataclass(frozen=True)
class Evaluation:
    """How a model did on labelled pictures.

    Args:
        measures: One flat dictionary of numbers.
        classes: Precision, recall, F1 and number of pictures, by class.
        confusion: `(labels, labels)` int, rows the truth, columns the answer.
    """

    measures: dict[str, float]
    classes: dict[str, dict[str, float]]
    confusion: np.ndarray


def evaluation(probabilities: np.ndarray, truth: np.ndarray, labels: list[str]) -> Evaluation:
    """Measures answers against the truth.

    Args:
        probabilities: `(pictures, labels)` float, each row summing to 1.
        truth: `(pictures,)` int, indices of the true labels.
        labels: Names of the classes.
    """
    from sklearn.metrics import (  # noqa: PLC0415  a second of import, for evaluations only
        classification_report,
        confusion_matrix,
    )

    answers = probabilities.argmax(axis=1)
    present = np.arange(len(labels))
    report = classification_report(
        truth, answers, labels=present, target_names=labels, output_dict=True, zero_division=0
    )
    counts = np.bincount(truth, minlength=len(labels))
    # A label without a picture has no recall; it must not pull the means down.
    seen = [labels[k] for k in np.flatnonzero(counts)]
    measures = {
        "accuracy": float(np.mean(answers == truth)),
        "top5_accuracy": top_k_accuracy(probabilities, truth, 5),
        "macro_precision": float(np.mean([report[label]["precision"] for label in seen])),
        "macro_recall": float(np.mean([report[label]["recall"] for label in seen])),
        "macro_f1": float(np.mean([report[label]["f1-score"] for label in seen])),
        "loss": cross_entropy(probabilities, truth),
        "calibration_error": calibration_error(probabilities, truth),
        "chance_accuracy": 1 / len(labels),
        "majority_accuracy": float(counts.max() / counts.sum()),
        "num_pictures": len(truth),
    }
    classes = {
        label: {
            "precision": float(report[label]["precision"]),
            "recall": float(report[label]["recall"]),
            "f1": float(report[label]["f1-score"]),
            "num_pictures": int(report[label]["support"]),
        }
        for label in labels
    }
    return Evaluation(measures, classes, confusion_matrix(truth, answers, labels=present))


def top_k_accuracy(probabilities: np.ndarray, truth: np.ndarray, k: int) -> float:
    """Returns the part of the pictures whose true label is among the `k` likeliest."""
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return float(np.mean((best == truth[:, None]).any(axis=1)))


def cross_entropy(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Returns the mean of -ln of the probability given to the true label, in nats."""
    given = probabilities[np.arange(len(truth)), truth]
    return float(-np.log(np.maximum(given, np.finfo(np.float32).tiny)).mean())


def calibration_error(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Returns the expected calibration error: how far confidence is from accuracy, in [0, 1].

    Answers are sorted into 15 bins by confidence; in each, the mean confidence is compared with
    the accuracy (Naeini et al. 2015, https://doi.org/10.1609/aaai.v29i1.9602).
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=right - confidence, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(truth))


def temperature(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Returns by what to divide logits so that their probabilities fit the truth best.

    This is temperature scaling (Guo et al. 2017, https://arxiv.org/abs/1706.04599), drawn towards
    1 by as much as pictures are few. Answers stay as they are.

    Args:
        probabilities: `(pictures, labels)` float, of pictures that training never saw.
        truth: `(pictures,)` int, indices of the true labels.

    Returns:
        Between 1/8 and 8: below 1 for a model that is surer than it says, above 1 for one less so.
    """
    from scipy import optimize  # noqa: PLC0415  for the end of training alone

    def cost(logarithm: float) -> float:
        fit = cross_entropy(tempered(probabilities, math.exp(logarithm)), truth)
        return len(truth) * fit + 0.5 * (logarithm / USUAL_SPREAD) ** 2

    span = math.log(8)
    return math.exp(optimize.minimize_scalar(cost, bounds=(-span, span), method="bounded").x)


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Returns the probabilities that logits give which are divided by a temperature."""
    logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
