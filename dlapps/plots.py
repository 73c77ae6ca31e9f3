"""Plots of evaluations, as PNG files."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from dlapps.drawing import INK

# With more classes, names or numbers could not be read.
MOST_NAMED = 60
MOST_COUNTED = 25
# More lines than colours are all drawn alike; the legend names so many of them.
COLOURS = 10


def confusion_matrix(counts: np.ndarray, labels: Sequence[str], title: str) -> bytes:
    """Draws what was taken for what.

    Args:
        counts: `(labels, labels)` int, rows the truth, columns the answer.
        labels: Names of the rows and columns.
        title: Stands above.
    """
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(max(4.0, 0.55 * len(labels) + 2), 24)
    plot, axes = _figure(side, side)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    axes.set_title(title)
    if len(labels) <= MOST_NAMED:
        ticks = range(len(labels))
        axes.set_xticks(ticks, labels, rotation=90 if max(map(len, labels)) > 3 else 0)
        axes.set_yticks(ticks, labels)
    if len(labels) <= MOST_COUNTED:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if share[row, column] > 0.5 else INK
                axes.text(column, row, str(count), ha="center", va="center", color=colour)
    return _png(plot)


def precision_recall(
    curves: np.ndarray, labels: Sequence[str], figures: Sequence[float | None], title: str
) -> bytes:
    """Draws the precision of each class over the recall, and their mean.

    Args:
        curves: `(labels, points)` float, the precision at recalls from 0 to 1; NaN for a class
            without boxes.
        labels: Names of the classes.
        figures: The average precision of each, None for a class without boxes.
        title: Stands above.
    """
    recall = np.linspace(0, 1, curves.shape[1])
    there = np.flatnonzero(~np.isnan(curves).all(axis=1)).tolist()
    plot, axes = _figure(7, 5)
    few = len(there) <= COLOURS
    for place, k in enumerate(there):
        style = {"color": f"C{place}", "lw": 1.5} if few else {"color": "0.75", "lw": 0.8}
        name = f"{labels[k]}  {figures[k]:.3f}"
        axes.plot(recall, curves[k], label=name if few else None, **style)
    if len(there) > 1:
        mean = np.mean([figures[k] for k in there])
        axes.plot(recall, curves[there].mean(axis=0), color=INK, lw=2.5, label=f"mean  {mean:.3f}")
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.grid(color="0.92")
    axes.set_title(title)
    if len(there):
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return _png(plot)


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib import figure  # noqa: PLC0415  half a second, for evaluations only

    plot = figure.Figure(figsize=(width, height), layout="constrained")
    return plot, plot.add_subplot()


def _png(plot: Any) -> bytes:
    file = io.BytesIO()
    plot.savefig(file, format="png", dpi=110)
    return file.getvalue()
