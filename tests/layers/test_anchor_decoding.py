import numpy as np
import pytest

from dlapps.layers.anchor_decoding import AnchorDecoding
from tests.contract import check_layer

ANCHORS = [(10.0, 13.0), (33.0, 23.0)]
CLASSES = 3
SETTINGS = [
    pytest.param({}, id="yolo"),
    pytest.param({"scale": 1.2}, id="scaled"),
    pytest.param({"in_cells": True, "softmax": True}, id="region"),
    pytest.param({"scale": 2.0, "squared": True}, id="squared"),
]


@pytest.fixture
def inputs():
    rng = np.random.default_rng(0)
    grid = rng.normal(size=(2, 3, 4, len(ANCHORS) * (5 + CLASSES))).astype(np.float32)
    return grid, np.zeros((2, 96, 64, 3), np.uint8)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def slow(grid, height, width, in_cells=False, softmax=False, scale=1.0, squared=False):
    """Decodes cell by cell."""
    batch, rows, columns, _ = grid.shape
    boxes, scores = [], []
    for b, row, column, k in np.ndindex(batch, rows, columns, len(ANCHORS)):
        x, y, w, h, sure, *classes = np.split(grid[b, row, column], len(ANCHORS))[k]
        classes = np.array(classes)
        anchor_w, anchor_h = ANCHORS[k]
        if in_cells:
            anchor_w, anchor_h = anchor_w * width / columns, anchor_h * height / rows
        if squared:
            w, h = 4 * w * w * anchor_w, 4 * h * h * anchor_h
        else:
            x, y, sure = sigmoid(x), sigmoid(y), sigmoid(sure)
            w, h = np.exp(w) * anchor_w, np.exp(h) * anchor_h
            exps = np.exp(classes)
            classes = exps / exps.sum() if softmax else sigmoid(classes)
        x = (column + (x - 0.5) * scale + 0.5) * width / columns
        y = (row + (y - 0.5) * scale + 0.5) * height / rows
        boxes.append([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
        scores.append(sure * classes)
    return np.reshape(boxes, (batch, -1, 4)), np.reshape(scores, (batch, -1, CLASSES))


@pytest.mark.parametrize("settings", SETTINGS)
def test_keeps_the_contract_of_layers(inputs, settings):
    check_layer(AnchorDecoding(ANCHORS, **settings), *inputs)


@pytest.mark.parametrize("settings", SETTINGS)
def test_gives_what_cell_by_cell_gives(inputs, settings):
    ours = AnchorDecoding(ANCHORS, **settings)(*inputs)
    for one, other in zip(ours, slow(inputs[0], 96, 64, **settings), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_a_grid_of_zeros_means_the_anchors_in_the_middle_of_the_cells(inputs):
    boxes, scores = AnchorDecoding(ANCHORS)(np.zeros_like(inputs[0]), inputs[1])
    np.testing.assert_allclose(boxes[0, 0], [8 - 5, 16 - 6.5, 8 + 5, 16 + 6.5])
    np.testing.assert_allclose(scores, 0.25)


def test_boxes_grow_with_the_images_only_where_anchors_are_cells(inputs):
    grid, images = inputs
    large = np.zeros((2, 192, 128, 3), np.uint8)
    for in_cells in (True, False):
        layer = AnchorDecoding(ANCHORS, in_cells=in_cells)
        small, big = (np.asarray(layer(grid, x)[0]) for x in (images, large))
        factor = (big[..., 2:] - big[..., :2]) / (small[..., 2:] - small[..., :2])
        np.testing.assert_allclose(factor, 2 if in_cells else 1, rtol=1e-4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param({"anchors": []}, "anchors must be pairs", id="none"),
        pytest.param({"anchors": [(1, 2, 3)]}, "anchors must be pairs", id="three"),
        pytest.param({"anchors": ANCHORS, "scale": 0.5}, "scale must be at least 1", id="scale"),
    ],
)
def test_refuses_what_makes_no_sense(settings, words):
    with pytest.raises(ValueError, match=words):
        AnchorDecoding(**settings)


def test_refuses_a_grid_of_another_width(inputs):
    with pytest.raises(ValueError, match=r"grid must have 3 times 5 \+ classes channels, got 16"):
        AnchorDecoding([*ANCHORS, (1, 1)])(*inputs)
