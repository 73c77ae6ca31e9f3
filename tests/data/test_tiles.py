import numpy as np
import pytest

from dlapps.data.tiles import cut_off, merged, tiles


@pytest.mark.parametrize("size", [(640, 640), (200, 100), (640, 1)])
def test_what_is_no_larger_than_a_tile_is_looked_at_whole(size):
    assert tiles(*size, 640) == [(0, 0, *size)]


@pytest.mark.parametrize("size", [(641, 640), (1500, 400), (4000, 3000), (100, 2000), (1281, 1279)])
def test_tiles_cover_the_picture_and_stay_inside(size):
    whole, *parts = tiles(*size, 640)
    assert whole == (0, 0, *size)
    seen = np.zeros(size[::-1], bool)
    for left, top, right, bottom in parts:
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]
        assert (right - left, bottom - top) == (min(640, size[0]), min(640, size[1]))
        seen[top:bottom, left:right] = True
    assert seen.all()


def test_neighbours_overlap_by_a_fifth_or_more():
    for width in range(641, 4000, 37):
        lefts = sorted({part[0] for part in tiles(width, 640, 640)[1:]})
        assert np.diff(lefts).max() <= 0.8 * 640 + 1


def test_what_is_smaller_than_the_overlap_is_whole_in_some_tile():
    parts = tiles(2000, 1500, 640)[1:]
    rng = np.random.default_rng(0)
    for x, y in rng.uniform(0, 1, (200, 2)) * (2000 - 120, 1500 - 120):
        assert any(p[0] <= x and p[1] <= y and x + 120 <= p[2] and y + 120 <= p[3] for p in parts)


def test_a_box_at_the_edge_of_the_picture_is_not_cut_off():
    boxes = np.array([[0, 0, 50, 50], [600, 100, 640, 200], [100, 100, 200, 200]], float)
    assert cut_off(boxes, (0, 0, 640, 480), 1200, 480).tolist() == [False, True, False]
    assert not cut_off(boxes, (0, 0, 640, 480), 640, 480).any()


def test_of_a_thing_seen_twice_the_surest_is_kept():
    boxes = np.array([[0, 0, 100, 100], [2, 0, 102, 100], [300, 0, 400, 100]], float)
    kept = merged(boxes, np.array([0.5, 0.9, 0.7]), np.zeros(3, int), np.zeros(3, bool), 0.45)
    assert kept.tolist() == [1, 2]


def test_things_of_other_classes_do_not_compete():
    boxes = np.array([[0, 0, 100, 100]] * 2, float)
    assert len(merged(boxes, np.array([0.5, 0.9]), np.array([0, 1]), np.zeros(2, bool), 0.45)) == 2


def test_a_part_gives_way_to_the_whole_however_sure_it_is():
    boxes = np.array([[0, 0, 400, 100], [0, 0, 100, 100]], float)
    sure, labels = np.array([0.4, 0.95]), np.zeros(2, int)
    assert merged(boxes, sure, labels, np.array([False, True]), 0.45).tolist() == [0]
    assert merged(boxes, sure, np.array([0, 1]), np.array([False, True]), 0.45).tolist() == [0]
    # A small thing in front of a large one is not a part of it.
    assert merged(boxes, sure, labels, np.zeros(2, bool), 0.45).tolist() == [1, 0]
