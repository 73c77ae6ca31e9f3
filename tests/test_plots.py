import io

import numpy as np
import pytest
from PIL import Image

from dlapps import plots


def opened(data):
    return Image.open(io.BytesIO(data)).convert("RGB")


@pytest.mark.parametrize("count", [2, 30, 80])
def test_a_confusion_matrix_of_any_size_is_drawn(count):
    labels = [f"class {k}" for k in range(count)]
    image = opened(plots.confusion_matrix(np.eye(count, dtype=int), labels, "accuracy 1"))
    assert min(image.size) > 300


def test_the_diagonal_of_a_perfect_answer_is_dark_and_the_rest_is_not():
    image = opened(plots.confusion_matrix(50 * np.eye(2, dtype=int), ["cat", "dog"], "")).load()
    dark = [(x, y) for x in range(100, 400) for y in range(60, 360) if sum(image[x, y]) < 200]
    middle = np.mean(dark, axis=0)
    left = np.mean([place for place in dark if place[0] < middle[0]], axis=0)
    right = np.mean([place for place in dark if place[0] > middle[0]], axis=0)
    assert left[1] < right[1]


@pytest.mark.parametrize("count", [1, 2, 10, 80])
def test_curves_of_any_number_of_classes_are_drawn(count):
    curves = np.linspace(1, 0, 101) * np.linspace(0.5, 1, count)[:, None]
    data = plots.precision_recall(curves, [f"class {k}" for k in range(count)], [0.5] * count, "t")
    assert min(opened(data).size) > 300


def test_a_class_without_boxes_has_no_curve():
    curves = np.stack([np.full(101, 0.5), np.full(101, np.nan)])
    one = plots.precision_recall(curves[:1], ["cat"], [0.5], "title")
    both = plots.precision_recall(curves, ["cat", "dog"], [0.5, None], "title")
    assert opened(one).tobytes() == opened(both).tobytes()


def test_no_curve_at_all_is_an_empty_plot():
    curves = np.full((2, 101), np.nan)
    assert opened(plots.precision_recall(curves, ["cat", "dog"], [None, None], "none")).size
