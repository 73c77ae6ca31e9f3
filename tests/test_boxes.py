import numpy as np
import pytest
import tensorflow as tf

from dlapps import boxes as geometry

SQUARE = [10.0, 10.0, 30.0, 30.0]


def random_boxes(seed, count=200):
    rng = np.random.default_rng(seed)
    corners, sides = rng.uniform(-50, 250, (count, 2)), rng.uniform(0.1, 150, (count, 2))
    return np.concatenate([corners, corners + sides], 1).astype(np.float32)


def value(function, one, other):
    return float(function(tf.constant([one], tf.float32), tf.constant([other], tf.float32))[0])


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        pytest.param([1, 2, 4, 7], 15, id="plain"),
        pytest.param([1, 2, 1, 7], 0, id="a-line"),
        pytest.param([4, 2, 1, 7], 0, id="left-is-right"),
        pytest.param([4, 7, 1, 2], 0, id="both-turned"),
    ],
)
def test_area(box, expected):
    assert float(geometry.area(tf.constant(box, tf.float32))) == expected


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        pytest.param(SQUARE, 1, id="itself"),
        pytest.param([20, 10, 40, 30], 1 / 3, id="half-shared"),
        pytest.param([15, 15, 25, 25], 1 / 4, id="within"),
        pytest.param([30, 10, 50, 30], 0, id="beside"),
        pytest.param([40, 40, 50, 50], 0, id="elsewhere"),
        pytest.param([20, 20, 20, 20], 0, id="a-point-within"),
        pytest.param([30, 30, 10, 10], 0, id="turned-inside-out"),
    ],
)
def test_iou(other, expected):
    assert value(geometry.iou, SQUARE, other) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        pytest.param(SQUARE, 1, id="itself"),
        # Of centres (10 right) and of what is around both (30 by 20).
        pytest.param([20, 10, 40, 30], 1 / 3 - 100 / 1300, id="half-shared"),
        pytest.param([50, 10, 70, 30], -1600 / 4000, id="apart"),
        # An aspect ratio of 4: v = 4/pi^2 (atan 4 - atan 1)^2, a = v / (1 - 1/4 + v).
        pytest.param([10, 17.5, 30, 22.5], 1 / 4 - 0.118365**2 / 0.868365, id="flat-within"),
    ],
)
def test_complete_iou(other, expected):
    assert value(geometry.complete_iou, SQUARE, other) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("function", [geometry.iou, geometry.complete_iou])
def test_it_is_the_same_both_ways_and_everywhere(function):
    one, other = random_boxes(0), random_boxes(1)
    values = function(one, other).numpy()
    np.testing.assert_allclose(function(other, one), values, rtol=1e-4, atol=1e-5)
    by = np.array([64, -128, 64, -128], np.float32)
    np.testing.assert_allclose(function(one + by, other + by), values, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(function(one * 4, other * 4), values, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(function(one, one), 1, atol=1e-4)


def test_complete_iou_is_never_more_than_iou():
    one, other = random_boxes(2), random_boxes(3)
    overlap, complete = geometry.iou(one, other).numpy(), geometry.complete_iou(one, other).numpy()
    assert np.all((overlap >= 0) & (overlap <= 1))
    assert np.all((complete <= overlap + 1e-6) & (complete > -2))
    assert complete.min() < 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(SQUARE, SQUARE, id="identical"),
        pytest.param(SQUARE, [100, 200, 110, 230], id="disjoint"),
        pytest.param(SQUARE, [10, 10, 10, 10], id="a-point"),
        pytest.param([5, 5, 5, 5], [5, 5, 5, 5], id="the-same-point"),
        pytest.param([5, 5, 5, 5], [9, 9, 9, 9], id="two-points"),
        pytest.param([5, 0, 5, 9], SQUARE, id="a-line"),
        pytest.param([-1, -1, -1, -1], [0, 0, 1e4, 1e4], id="padding"),
        pytest.param([30, 30, 10, 10], SQUARE, id="inside-out"),
    ],
)
def test_complete_iou_and_its_gradient_are_finite(one, other):
    one, other = tf.constant([one], tf.float32), tf.constant([other], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch([one, other])
        value = geometry.complete_iou(one, other)
    gradients = tape.gradient(value, [one, other])
    assert np.isfinite(value).all()
    assert np.isfinite(gradients).all()


def test_the_gradient_pulls_boxes_that_do_not_overlap_together():
    one, other = tf.constant([SQUARE]), tf.constant([[100.0, 10.0, 120.0, 30.0]])
    with tf.GradientTape() as tape:
        tape.watch(one)
        value = geometry.complete_iou(one, other)
    left, top, right, bottom = tape.gradient(value, one)[0].numpy()
    assert left + right > 0
    assert top + bottom == pytest.approx(0, abs=1e-6)


def test_distances_and_boxes_around_points_are_each_others_inverse():
    points = np.random.default_rng(4).uniform(0, 200, (200, 2)).astype(np.float32)
    boxes = random_boxes(5)
    distances = geometry.distances_to(boxes, points)
    np.testing.assert_allclose(geometry.around(points, distances), boxes, atol=1e-3)
    said = geometry.distances_to(tf.constant(SQUARE), tf.constant([12.0, 35.0]))
    np.testing.assert_array_equal(said, [2, 25, 18, -5])


def test_every_box_is_compared_with_every_other_by_broadcasting():
    one, other = random_boxes(6, 5), random_boxes(7, 3)
    table = geometry.iou(one[:, None], other[None])
    assert table.shape == (5, 3)
    assert float(table[4, 1]) == pytest.approx(value(geometry.iou, one[4], other[1]), abs=1e-6)
