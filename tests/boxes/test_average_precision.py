from collections import namedtuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlapps.apps.detect.metrics import evaluation
from dlapps.boxes.average_precision import OVERLAPS, AveragePrecision
from dlapps.boxes.matching import Found

Truth = namedtuple("Truth", "boxes labels crowd")
MOST = 40


def pictures(seed, count=30, classes=3, power=1.0):
    """True boxes and what a middling detector finds: some moved, some missed, some made up."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for _ in range(count):
        boxes = np.concatenate([corners := rng.uniform(0, 200, (rng.integers(0, 8), 2)),
                                corners + rng.uniform(10, 90, corners.shape)], 1)  # fmt: skip
        labels = rng.integers(classes, size=len(boxes))
        seen = rng.random(len(boxes)) < 0.8
        moved = boxes[seen] + rng.normal(scale=4, size=(seen.sum(), 4))
        names = np.where(rng.random(seen.sum()) < 0.1, 0, labels[seen])
        wrong = rng.uniform(0, 200, (rng.integers(0, 12), 2))
        wrong = np.concatenate([wrong, wrong + rng.uniform(10, 90, wrong.shape)], 1)
        scores = np.concatenate([rng.beta(4, 2, seen.sum()), rng.beta(2, 4, len(wrong))]) ** power
        names = np.concatenate([names, rng.integers(classes, size=len(wrong))])
        order = np.argsort(-scores)
        all_boxes = np.concatenate([moved, wrong])[order].astype(np.float32)
        truth.append(Truth(boxes.astype(np.float32), labels, np.zeros(len(boxes), bool)))
        found.append(Found(all_boxes, scores[order].astype(np.float32), names[order]))
    return truth, found


def padded(arrays, most, value):
    rows = np.full((len(arrays), most, *arrays[0].shape[1:]), value, arrays[0].dtype)
    for row, array in zip(rows, arrays, strict=True):
        row[: len(array)] = array
    return rows


def batch_of(truth, found):
    said = (
        padded([one.boxes for one in found], MOST, 0),
        padded([one.scores for one in found], MOST, 0),
        padded([one.labels.astype(np.int32) for one in found], MOST, -1),
    )
    true = (
        padded([one.boxes for one in truth], MOST, -1),
        padded([one.labels.astype(np.int32) for one in truth], MOST, -1),
    )
    return said, true


def measured(truth, found, classes=3, split=None):
    metric = AveragePrecision(classes)
    split = split or len(truth)
    for start in range(0, len(truth), split):
        part = slice(start, start + split)
        metric.update_state(*batch_of(truth[part], found[part]))
    return keras.ops.convert_to_numpy(metric.result())


@pytest.mark.parametrize("power", [1, 4], ids=["sure", "hardly-sure"])
@pytest.mark.parametrize("classes", [1, 3, 20])
def test_agrees_with_pycocotools(classes, power):
    for seed in range(2):
        truth, found = pictures(seed, classes=classes, power=power)
        labels = [str(k) for k in range(classes)]
        exact = evaluation(truth, found, labels, by_size=False).measures
        values = measured(truth, found, classes)
        assert 0.1 < exact["map50_95"] < 0.9
        assert values[0] == pytest.approx(exact["map50"], abs=0.01)
        assert values[5] == pytest.approx(exact["map75"], abs=0.01)
        assert values.mean() == pytest.approx(exact["map50_95"], abs=0.01)


def one_picture(true, said):
    """Measures one class at an overlap of a half."""
    boxes = np.array([box for box, _ in said], np.float32).reshape(-1, 4)
    scores = np.array([score for _, score in said], np.float32)
    found = Found(boxes, scores, np.zeros(len(said), int))
    known = np.array(true, np.float32).reshape(-1, 4)
    truth = Truth(known, np.zeros(len(known), int), np.zeros(len(known), bool))
    return measured([truth], [found], 1)


A, B, C = [0, 0, 40, 40], [100, 0, 140, 40], [0, 100, 40, 140]
NOWHERE = [200, 200, 240, 240]


# Precision is averaged over the recalls 0, 0.01, ... 1: a half is reached at 51 of these 101.
@pytest.mark.parametrize(
    ("true", "said", "expected"),
    [
        pytest.param([A, B], [(A, 0.9), (B, 0.8)], 1, id="all"),
        pytest.param([A, B], [(A, 0.9)], 51 / 101, id="one-missed"),
        pytest.param([A, B], [], 0, id="nothing-found"),
        pytest.param([A], [(NOWHERE, 0.9), (A, 0.8)], 1 / 2, id="something-before"),
        pytest.param([A], [(A, 0.9), (NOWHERE, 0.8)], 1, id="something-after"),
        pytest.param([A], [(A, 0.9), (A, 0.8)], 1, id="twice-after"),
        pytest.param([A, B], [(A, 0.9), (A, 0.8), (B, 0.7)], (51 + 50 * 2 / 3) / 101,
                     id="twice-between"),
        # Precision 1, then 2 of 3, then 3 of 4: what was lost is regained.
        pytest.param(
            [A, B, C], [(A, 0.9), (NOWHERE, 0.8), (B, 0.7), (C, 0.6)], (34 + 67 * 3 / 4) / 101,
            id="regained",
        ),
        pytest.param([], [(A, 0.9)], 0, id="nothing-there"),
        pytest.param([A], [(A, 1.0)], 1, id="as-sure-as-can-be"),
    ],
)  # fmt: skip
def test_by_hand(true, said, expected):
    assert one_picture(true, said)[0] == pytest.approx(expected, abs=1e-6)


def test_a_box_counts_up_to_the_overlap_that_it_has():
    # 40 x 29 of 40 x 40 is an overlap of 0.725.
    values = one_picture([A], [([0, 0, 40, 29], 0.9)])
    assert [float(value) for value in values] == [float(each <= 0.725) for each in OVERLAPS]


def test_the_surer_box_takes_what_it_overlaps_most():
    """The first takes A at every overlap that it reaches, the second what is left."""
    first, second = [0, 0, 40, 32], [0, 0, 40, 40]  # 0.8 of A, and all of it.
    values = one_picture([A], [(first, 0.9), (second, 0.8)])
    assert values[0] == pytest.approx(1)
    assert values[-1] == pytest.approx(1 / 2)


def test_another_class_is_no_hit_and_an_absent_one_does_not_count():
    true = Truth(np.float32([A, B]), np.array([0, 2]), np.zeros(2, bool))
    said = Found(np.float32([A, B]), np.float32([0.9, 0.8]), np.array([0, 1]))
    assert measured([true], [said], 4)[0] == pytest.approx(1 / 2)


def test_any_split_into_batches_and_any_order_gives_the_same():
    truth, found = pictures(7)
    whole = measured(truth, found)
    for split in (1, 4, 7):
        np.testing.assert_allclose(measured(truth, found, split=split), whole, rtol=1e-5)
    np.testing.assert_allclose(measured(truth[::-1], found[::-1]), whole, rtol=1e-5)


def test_its_state_is_reset_and_saved():
    truth, found = pictures(8)
    metric = AveragePrecision.from_config(AveragePrecision(3, name="mine").get_config())
    assert (metric.name, metric.num_classes) == ("mine", 3)
    metric.update_state(*batch_of(*pictures(9)))
    metric.reset_state()
    assert not np.any(metric.result())
    metric.update_state(*batch_of(truth, found))
    np.testing.assert_allclose(metric.result(), measured(truth, found), rtol=1e-6)


def test_works_in_a_graph_with_shapes_left_open():
    metric = AveragePrecision(3)
    truth, found = pictures(10)
    (boxes, scores, labels), (true, names) = batch_of(truth, found)
    signature = [
        tf.TensorSpec((None, MOST, 4)), tf.TensorSpec((None, MOST)),
        tf.TensorSpec((None, MOST), tf.int32), tf.TensorSpec((None, None, 4)),
        tf.TensorSpec((None, None), tf.int32),
    ]  # fmt: skip
    graph = tf.function(
        lambda b, s, k, t, n: metric.update_state((b, s, k), (t, n)), input_signature=signature
    )
    graph(boxes, scores, labels, true, names)
    np.testing.assert_allclose(metric.result(), measured(truth, found), rtol=1e-6)
