import keras
import numpy as np
import pytest
import tensorflow as tf

from dlapps.layers.detection_loss import DetectionLoss, expected
from tests.contract import check_layer
from tests.layers.detection_scenes import (
    SIDE,
    boxes_and_labels,
    cells_of,
    overlap_of,
    slowly_assigned,
)

BINS = 16


def scene(seed, pictures=2, most=5, classes=3, side=SIDE, sizes=(1, 60)):
    rng = np.random.default_rng(seed)
    cells = np.broadcast_to(cells_of(side), (pictures, *cells_of(side).shape))
    boxes, labels = boxes_and_labels(rng, pictures, most, classes, side, sizes)
    sides = rng.normal(scale=2, size=(pictures, cells.shape[1], 4, BINS)).astype(np.float32)
    logits = rng.normal(-2, 2, (pictures, cells.shape[1], classes)).astype(np.float32)
    return sides, logits, cells, boxes, labels


def softmax(values):
    powers = np.exp(values - values.max())
    return powers / powers.sum()


def complete_overlap(one, other):
    """CIoU of two boxes, as equations 6 to 12 of arXiv 1911.08287 say."""
    overlap = overlap_of(one, other)
    middles = (one[:2] + one[2:]) / 2, (other[:2] + other[2:]) / 2
    frame = np.maximum(one[2:], other[2:]) - np.minimum(one[:2], other[:2])
    apart = np.sum((middles[0] - middles[1]) ** 2) / np.sum(frame**2)
    angles = [np.arctan2(b[2] - b[0], b[3] - b[1]) for b in (one, other)]
    shape = 4 / np.pi**2 * (angles[0] - angles[1]) ** 2
    return overlap - apart - shape**2 / (1 - overlap + shape)


def slow(sides, logits, cells, boxes, labels):
    """The four sums of one picture, cell by cell and side by side."""
    distances = [[softmax(side) @ np.arange(BINS) for side in cell] for cell in sides]
    reach = np.array(distances) * cells[:, 2:]
    found = np.concatenate([cells[:, :2] - reach[:, :2], cells[:, :2] + reach[:, 2:]], 1)
    scores = 1 / (1 + np.exp(-logits))
    chosen, weights = slowly_assigned(scores, found, cells, boxes, labels)
    place = spread = kind = 0.0
    for cell, (x, y, stride) in enumerate(cells):
        aims = np.zeros(logits.shape[1])
        if cell in chosen:
            box = boxes[chosen[cell]]
            aims[labels[chosen[cell]]] = weights[cell]
            place += weights[cell] * (1 - complete_overlap(found[cell], box))
            for side, edge in enumerate([x - box[0], y - box[1], box[2] - x, box[3] - y]):
                aim = min(max(edge / stride, 0), BINS - 1.01)
                low, likely = int(aim), softmax(sides[cell, side])
                both = (low + 1 - aim) * np.log(likely[low]) + (aim - low) * np.log(likely[low + 1])
                spread -= weights[cell] * both / 4
        for aim, score in zip(aims, scores[cell], strict=True):
            kind -= aim * np.log(score) + (1 - aim) * np.log(1 - score)
    return place, spread, kind, weights.sum()


def loss(*arrays):
    return keras.ops.convert_to_numpy(DetectionLoss()(*arrays))


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="plain"),
        pytest.param({"classes": 1}, id="one-class"),
        pytest.param({"classes": 80}, id="80-classes"),
        pytest.param({"sizes": (0.5, 6)}, id="between-centres"),
        pytest.param({"side": 32, "most": 40}, id="more-boxes-than-cells"),
        pytest.param({"sizes": (150, 600)}, id="farther-than-the-bins-reach"),
    ],
)
def test_is_what_a_slow_version_says(settings):
    for seed in range(10):
        arrays = scene(seed, **settings)
        said = loss(*arrays)
        precise = [each.astype(np.float64) for each in arrays[:4]]
        for picture, inputs in enumerate(zip(*precise, arrays[4], strict=True)):
            assert said[picture] == pytest.approx(slow(*inputs), rel=1e-3, abs=1e-4)


def perfect(boxes, labels, cells, classes):
    """What cells say that know the boxes; each cell of the first box that it lies in."""
    sides = np.full((1, len(cells), 4, BINS), -30, np.float32)
    logits = np.full((1, len(cells), classes), -30, np.float32)
    for cell, (x, y, stride) in enumerate(cells):
        inside = [k for k, b in enumerate(boxes) if b[0] < x < b[2] and b[1] < y < b[3]]
        if inside:
            box = boxes[inside[0]]
            logits[0, cell, labels[inside[0]]] = 30
            for side, edge in enumerate([x - box[0], y - box[1], box[2] - x, box[3] - y]):
                aim = edge / stride
                low = int(aim)
                sides[0, cell, side, low] = np.log(max(low + 1 - aim, 1e-9))
                sides[0, cell, side, low + 1] = np.log(max(aim - low, 1e-9))
    return sides, logits


# Ten cells of the finest grid each, and no centre of a coarser one.
BOXES = np.array([[1, 1, 39, 15], [49, 49, 63, 87]], np.float32)
LABELS = np.array([0, 2], np.int32)


def test_is_nothing_but_the_blur_of_a_side_for_a_perfect_answer():
    cells = cells_of(strides=(8,))
    sides, logits = perfect(BOXES, LABELS, cells, 3)
    place, spread, kind, sure = loss(sides, logits, cells[None], BOXES[None], LABELS[None])[0]
    assert sure == pytest.approx(20, rel=1e-3)
    assert place == pytest.approx(0, abs=1e-3)
    assert kind == pytest.approx(0, abs=1e-3)
    # A side between two whole distances has an entropy, which no answer can go below.
    shares = [3 / 8, 5 / 8]
    assert spread / sure == pytest.approx(-sum(p * np.log(p) for p in shares), rel=1e-3)


@pytest.mark.parametrize("part", [0, 1, 2], ids=["place", "spread", "kind"])
def test_grows_with_the_error(part):
    cells = cells_of(strides=(8,))
    sides, logits = perfect(BOXES, LABELS, cells, 3)
    worse = []
    for off in range(4):
        answer = {
            0: (np.roll(sides, off, axis=-1), logits),  # A stride more to every side.
            1: (sides * np.float32([1, 0.2, 0.1, 0][off]), logits),
            2: (sides, np.where(logits > 0, np.float32(5 - 2 * off), logits)),
        }[part]
        sums = loss(*answer, cells[None], BOXES[None], LABELS[None])[0]
        worse.append(sums[part] / sums[3])
    assert worse == sorted(worse)
    assert worse[3] > worse[0] + 0.5


def test_the_rows_of_the_padding_do_not_matter():
    sides, logits, cells, boxes, labels = scene(1)
    labels[:, 1] = -1
    said = loss(sides, logits, cells, boxes, labels)
    others = np.where(labels[..., None] < 0, np.float32(7), boxes)
    np.testing.assert_array_equal(loss(sides, logits, cells, others, labels), said)
    more = [np.concatenate([each, np.full_like(each[:, :3], -1)], 1) for each in (boxes, labels)]
    np.testing.assert_allclose(loss(sides, logits, cells, *more), said, rtol=1e-5)
    order = np.random.default_rng(0).permutation(labels.shape[1])
    mixed = loss(sides, logits, cells, boxes[:, order], labels[:, order])
    np.testing.assert_allclose(mixed, said, rtol=1e-4)


def test_without_boxes_only_the_classes_count():
    sides, logits, cells, boxes, labels = scene(2)
    said = loss(sides, logits, cells, boxes, np.full_like(labels, -1))
    np.testing.assert_array_equal(said[:, [0, 1, 3]], 0)
    np.testing.assert_allclose(said[:, 2], np.log1p(np.exp(logits)).sum((1, 2)), rtol=1e-4)


@pytest.mark.parametrize(
    "box",
    [
        pytest.param([20, 20, 20, 20], id="a-point"),
        pytest.param([20, 10, 20, 60], id="a-line"),
        pytest.param([60, 60, 20, 20], id="inside-out"),
        pytest.param([-1e4, -1e4, 1e4, 1e4], id="huge"),
        pytest.param([0, 0, 96, 96], id="the-picture"),
    ],
)
@pytest.mark.parametrize("scale", [0.0, 1.0, 60.0])
def test_gradients_are_finite(box, scale):
    sides, logits, cells, boxes, labels = scene(3)
    boxes[:], labels[:, 0] = box, 1
    answer = [tf.constant(sides * scale), tf.constant(logits * scale)]
    with tf.GradientTape() as tape:
        tape.watch(answer)
        total = tf.reduce_sum(DetectionLoss()(*answer, cells, boxes, labels))
    for gradient in tape.gradient(total, answer):
        assert np.isfinite(gradient).all()
    assert np.isfinite(total)


def test_the_distance_is_the_mean_of_the_distribution():
    sides = np.full((1, 4, BINS), -50, np.float32)
    for side, distance in enumerate((0, 3, 8, 15)):
        sides[0, side, distance] = 50
    np.testing.assert_allclose(expected(sides)[0], [0, 3, 8, 15], atol=1e-5)
    np.testing.assert_allclose(expected(np.zeros_like(sides)), 7.5, rtol=1e-6)


def test_takes_batches_and_pictures_of_any_size_in_a_graph():
    spec = [(None, None, 4, BINS), (None, None, 3), (None, None, 3), (None, None, 4)]
    signature = [*map(tf.TensorSpec, spec), tf.TensorSpec((None, None), tf.int32)]
    graph = tf.function(DetectionLoss(), input_signature=signature)
    for settings in ({}, {"pictures": 1, "side": 64, "most": 1}):
        arrays = scene(6, **settings)
        np.testing.assert_allclose(graph(*arrays), loss(*arrays), rtol=1e-4)


def test_contract():
    check_layer(DetectionLoss(dtype="float32"), *scene(7))
