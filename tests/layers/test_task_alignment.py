import numpy as np
import pytest
from keras import ops

from dlapps.layers._task_alignment import CELLS, assigned
from tests.layers.detection_scenes import (
    SIDE,
    boxes_and_labels,
    cells_of,
    overlap_of,
    slowly_assigned,
)


def scene(seed, pictures=2, most=6, classes=3, side=SIDE, sizes=(1, 60), reach=3):
    """Random boxes, and cells whose sides lie up to `reach` strides away."""
    rng = np.random.default_rng(seed)
    cells = cells_of(side)
    boxes, labels = boxes_and_labels(rng, pictures, most, classes, side, sizes)
    sides = rng.uniform(0, reach, (pictures, len(cells), 4)) * cells[:, 2:]
    found = np.concatenate([cells[:, :2] - sides[..., :2], cells[:, :2] + sides[..., 2:]], -1)
    scores = rng.beta(0.3, 1.5, (pictures, len(cells), classes))
    places = np.broadcast_to(cells, (pictures, *cells.shape))
    return scores.astype(np.float32), found.astype(np.float32), places, boxes, labels


def answer(*arrays):
    chosen, weights = assigned(*map(ops.convert_to_tensor, arrays))
    return ops.convert_to_numpy(chosen), ops.convert_to_numpy(weights)


def assert_as_slow(*arrays):
    chosen, weights = answer(*arrays)
    assert chosen.shape == weights.shape == arrays[0].shape[:2]
    precise = [each.astype(np.float64) for each in arrays[:4]]
    for picture, inputs in enumerate(zip(*precise, arrays[4], strict=True)):
        its, sure = slowly_assigned(*inputs)
        np.testing.assert_allclose(weights[picture], sure, rtol=1e-3, atol=1e-7)
        seen = {cell: number for cell, number in its.items() if sure[cell] > 1e-7}
        assert {cell: chosen[picture, cell] for cell in seen} == seen


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="plain"),
        pytest.param({"classes": 1}, id="one-class"),
        pytest.param({"classes": 80, "most": 4}, id="80-classes"),
        pytest.param({"sizes": (0.5, 6), "reach": 7}, id="between-centres"),
        pytest.param({"side": 32, "most": 40, "pictures": 1}, id="more-boxes-than-cells"),
        pytest.param({"sizes": (60, 300)}, id="larger-than-the-picture"),
    ],
)
def test_assigns_as_a_slow_version_does(settings):
    for seed in range(10):
        assert_as_slow(*scene(seed, **settings))


def test_of_equal_boxes_the_first_is_found():
    scores, found, cells, boxes, labels = scene(1)
    boxes[:, :3] = [10, 20, 60, 50]
    labels[:, :3] = 1
    assert_as_slow(scores, found, cells, boxes, labels)
    chosen, weights = answer(scores, found, cells, boxes, labels)
    assert 0 in chosen[weights > 0]
    assert not {1, 2} & {*chosen[weights > 0]}


def test_where_nothing_is_nothing_is_to_be_found():
    scores, found, cells, boxes, labels = scene(0)
    _, weights = answer(scores, found, cells, boxes, np.full_like(labels, -1))
    assert not weights.any()


@pytest.mark.parametrize("corner", [0, 1000, -50])
def test_what_stands_in_the_padding_does_not_matter(corner):
    scores, found, cells, boxes, labels = scene(3)
    labels[:, 2] = -1
    others = np.where(labels[..., None] < 0, np.float32(corner), boxes)
    first = answer(scores, found, cells, boxes, labels)
    second = answer(scores, found, cells, others, labels)
    np.testing.assert_array_equal(first, second)


def test_shifting_everything_shifts_the_assignment():
    scores, found, cells, boxes, labels = scene(4)
    before = answer(scores, found, cells, boxes, labels)
    by = np.array([64, -32, 64, -32], np.float32)
    moved = cells + np.append(by[:2], 0).astype(np.float32)
    after = answer(scores, found + by, moved, boxes + by, labels)
    np.testing.assert_allclose(after[1], before[1], rtol=1e-3, atol=1e-6)
    np.testing.assert_array_equal(after[0], before[0])


def test_the_best_cell_of_a_box_is_to_be_as_sure_as_its_box_is_good():
    scores, found, cells, boxes, labels = scene(5)
    chosen, weights = answer(scores, found, cells, boxes, labels)
    for picture, number in zip(*np.nonzero(labels >= 0), strict=True):
        mine = (chosen[picture] == number) & (weights[picture] > 0)
        overlaps = [overlap_of(boxes[picture, number], box) for box in found[picture, mine]]
        assert 1 <= mine.sum() <= CELLS
        assert weights[picture, mine].max() == pytest.approx(max(overlaps), rel=1e-4)


@pytest.mark.parametrize("middle", [31.9, 32, 36, 40, 64])
def test_a_tiny_box_is_learnt_wherever_it_lies(middle):
    """On the line between the cells of every grid, too, and while all say much too large boxes."""
    cells = cells_of()[None]
    reach = cells[..., 2:] * 7.5
    found = np.concatenate([cells[..., :2] - reach, cells[..., :2] + reach], -1)
    scores = np.full((1, cells.shape[1], 2), 1e-4, np.float32)
    box = np.array([[[middle - 2, middle - 2, middle + 2, middle + 2]]], np.float32)
    _, weights = answer(scores, found, cells, box, np.array([[1]], np.int32))
    assert weights.max() == pytest.approx(4 * 4 / 120**2, rel=1e-3)
