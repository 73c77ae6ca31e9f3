import numpy as np
import pytest

from dlapps.matching import as_xywh, ious, pairs
from tests.apps.detect.scenes import found, truth


def test_width_and_height_stand_for_the_far_corner():
    assert as_xywh(np.array([[10, 20, 40, 60]])).tolist() == [[10, 20, 30, 40]]


def test_ious_are_those_of_plain_arithmetic():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 20, 10]])
    others = np.array([[5, 0, 15, 10], [100, 100, 110, 110], [0, 0, 10, 10]])
    expected = [[50 / 150, 0, 1], [100 / 200, 0, 100 / 200]]
    np.testing.assert_allclose(ious(boxes, others), expected)


def test_the_order_in_memory_does_not_matter():
    boxes = np.array([[0, 0, 10, 20], [5, 5, 20, 30]], np.float64)
    np.testing.assert_array_equal(ious(np.asfortranarray(boxes), boxes), ious(boxes, boxes))


def test_in_a_crowd_the_part_of_the_box_inside_counts():
    box, crowd = np.array([[0, 0, 10, 10]]), np.array([[5, 0, 500, 500]])
    assert ious(box, crowd, np.array([True])) == pytest.approx(0.5)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 3), (3, 0)])
def test_no_boxes_have_no_ious(first, second):
    assert ious(np.zeros((first, 4)), np.zeros((second, 4))).shape == (first, second)


def test_what_overlaps_most_is_paired_first_whatever_comes_first():
    known = truth([[0, 0, 100, 100]])
    said = found([[0, 0, 100, 60], [0, 0, 100, 90]], [0.9, 0.5])
    true, answers, missed, wrong = pairs(known, said, 0.1)
    assert (true.tolist(), answers.tolist()) == ([0], [1])
    assert (missed.tolist(), wrong.tolist()) == ([], [0])


def test_of_equal_overlaps_the_same_class_is_paired():
    known = truth([[0, 0, 100, 100]], [1])
    said = found([[0, 0, 100, 100]] * 2, [0.9, 0.5], [0, 1])
    assert pairs(known, said, 0.1)[1].tolist() == [1]


def test_half_is_the_least_overlap():
    known = truth([[0, 0, 100, 100]])
    assert len(pairs(known, found([[0, 0, 100, 49]]), 0)[0]) == 0
    assert len(pairs(known, found([[0, 0, 100, 51]]), 0)[0]) == 1


def test_unsure_boxes_do_not_count():
    known = truth([[0, 0, 100, 100]])
    true, _, missed, wrong = pairs(known, found([[0, 0, 100, 100]], [0.3]), 0.4)
    assert (len(true), len(missed), len(wrong)) == (0, 1, 0)


def test_a_crowd_is_neither_missed_nor_is_what_lies_in_it_wrong():
    known = truth([[0, 0, 300, 300]], crowd=[True])
    said = found([[10, 10, 50, 50], [400, 400, 450, 450]])
    true, _, missed, wrong = pairs(known, said, 0)
    assert (len(true), len(missed), wrong.tolist()) == (0, 0, [1])
