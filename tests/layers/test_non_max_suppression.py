import keras
import numpy as np
import pytest

from dlapps.layers import non_max_suppression
from dlapps.layers.non_max_suppression import NonMaxSuppression
from tests.contract import check_layer


def overlap(a, b):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / both if both > 0 else 0.0


def slow(boxes, scores, confidence, iou, max_detections):
    """Does the same for one image, pair by pair."""
    pairs = [(n, k) for n, k in np.ndindex(scores.shape) if scores[n, k] > confidence]
    pairs.sort(key=lambda pair: -scores[pair])  # A stable sort: of equals, the first.
    kept = []
    for n, k in pairs:
        same = [other for other, label in kept if label == k]
        if all(overlap(boxes[n], boxes[other]) <= iou for other in same):
            kept.append((n, k))
    kept = kept[:max_detections]
    rest = max_detections - len(kept)
    return (
        np.array([*(boxes[n] for n, _ in kept), *[np.zeros(4)] * rest], np.float32),
        np.array([*(scores[pair] for pair in kept), *[0] * rest], np.float32),
        np.array([*(k for _, k in kept), *[-1] * rest], np.int32),
    )


def scene(seed, batch=2, boxes=60, classes=5, grain=None):
    """Returns boxes in clusters, so that many overlap, and scores, of which most are small."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(20, 400, (batch, boxes // 6, 2))
    centres = np.repeat(centres, 6, axis=1) + rng.normal(0, 8, (batch, boxes, 2))
    sides = rng.uniform(20, 60, (batch, boxes, 2))
    corners = np.concatenate([centres - sides / 2, centres + sides / 2], axis=-1)
    scores = rng.uniform(0, 1, (batch, boxes, classes)) ** 3
    if grain:  # Few distinct values, so that scores tie and overlaps lie on the limit.
        corners, scores = np.round(corners / 8) * 8, np.round(scores * grain) / grain
    return corners.astype(np.float32), scores.astype(np.float32)


def both_ways(layer, boxes, scores):
    return [layer(boxes, scores), layer._dense(*map(keras.ops.convert_to_tensor, (boxes, scores)))]


@pytest.mark.parametrize("grain", [None, 4], ids=["all-different", "ties"])
@pytest.mark.parametrize(
    "settings",
    [
        pytest.param((0.25, 0.45, 40), id="default"),
        pytest.param((0.001, 0.6, 100), id="evaluation"),
        pytest.param((0.05, 0.45, 7), id="few"),
        pytest.param((0.3, 0.0, 40), id="apart"),
        pytest.param((0.3, 1.0, 40), id="together"),
    ],
)
def test_gives_what_the_slow_and_plain_way_gives(settings, grain):
    for seed in range(3):
        boxes, scores = scene(seed, grain=grain)
        for outputs in both_ways(NonMaxSuppression(*settings), boxes, scores):
            for k in range(len(boxes)):
                expected = slow(boxes[k], scores[k], *settings)
                for ours, theirs in zip(outputs, expected, strict=True):
                    np.testing.assert_array_equal(ours[k], theirs)


def test_keeps_the_contract_of_layers():
    check_layer(NonMaxSuppression(0.2, 0.5, 12), *scene(1, boxes=12, classes=3))


def test_boxes_of_other_classes_stay():
    boxes = np.array([[[10, 10, 50, 50], [12, 10, 52, 50]]], np.float32)
    scores = np.array([[[0.9, 0.0], [0.0, 0.8]]], np.float32)
    for kept, _, labels in both_ways(NonMaxSuppression(max_detections=3), boxes, scores):
        np.testing.assert_array_equal(labels[0], [0, 1, -1])
        np.testing.assert_array_equal(kept[0, :2], boxes[0])


def test_a_box_may_be_two_things():
    boxes = np.array([[[10, 10, 50, 50]]], np.float32)
    scores = np.array([[[0.6, 0.7]]], np.float32)
    for _, sure, labels in both_ways(NonMaxSuppression(max_detections=2), boxes, scores):
        np.testing.assert_array_equal(labels[0], [1, 0])
        np.testing.assert_array_equal(sure[0], np.float32([0.7, 0.6]))


def test_where_nothing_is_sure_nothing_is_found():
    boxes, scores = scene(0)
    for kept, sure, labels in both_ways(NonMaxSuppression(max_detections=5), boxes, scores * 0.2):
        assert not np.any(kept)
        assert not np.any(sure)
        assert np.all(np.asarray(labels) == -1)


def test_an_image_without_detections_does_not_disturb_the_next():
    boxes, scores = scene(0)
    scores[0] = 0
    expected = slow(boxes[1], scores[1], 0.25, 0.45, 20)
    outputs = NonMaxSuppression(max_detections=20)(boxes, scores)
    assert np.all(np.asarray(outputs[2])[0] == -1)
    for ours, theirs in zip(outputs, expected, strict=True):
        np.testing.assert_array_equal(ours[1], theirs)


def test_boxes_beyond_the_edges_of_the_image_are_compared_as_they_are():
    boxes, scores = scene(2)
    moved = boxes - np.float32(256)
    layer = NonMaxSuppression(max_detections=30)
    ours, theirs = layer(moved, scores), layer(boxes, scores)
    np.testing.assert_array_equal(ours[2], theirs[2])
    np.testing.assert_array_equal(ours[1], theirs[1])


def test_takes_batches_and_boxes_of_any_number_in_a_graph():
    import tensorflow as tf

    layer = NonMaxSuppression(max_detections=10)
    spec = [tf.TensorSpec((None, None, 4)), tf.TensorSpec((None, None, 5))]
    graph = tf.function(layer, input_signature=spec)
    for batch in (1, 3):
        boxes, scores = scene(3, batch=batch, boxes=12 * batch)
        for ours, theirs in zip(graph(boxes, scores), layer(boxes, scores), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_other_backends_choose_among_the_surest(monkeypatch):
    monkeypatch.setattr(non_max_suppression, "MOST_CANDIDATES", 3)
    boxes, scores = scene(4)
    layer = NonMaxSuppression(0.25, 1.0, 5)
    _, sure, _ = layer._dense(*map(keras.ops.convert_to_tensor, (boxes, scores)))
    best = -np.sort(-scores.reshape(2, -1), axis=1)[:, :3]
    np.testing.assert_array_equal(sure, np.pad(best, [(0, 0), (0, 2)]))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param({"confidence": -0.1}, r"confidence must be in \[0, 1\], got -0.1", id="low"),
        pytest.param({"iou": 45}, r"iou must be in \[0, 1\], got 45", id="percent"),
        pytest.param({"max_detections": 0}, "max_detections must be at least 1", id="none"),
    ],
)
def test_refuses_what_makes_no_sense(settings, words):
    with pytest.raises(ValueError, match=words):
        NonMaxSuppression(**settings)
