import numpy as np

from dlapps.boxes.agreement import agreement


def said(boxes, labels):
    scores = np.full((1, len(labels)), 0.9)
    return {"boxes": np.array([boxes], float), "scores": scores, "classes": np.array([labels])}


def test_things_are_the_same_if_they_overlap_and_have_one_name():
    two = said([[0, 0, 10, 10], [50, 0, 60, 10]], [0, 1])
    assert agreement(two, two) == 1
    assert agreement(two, said([[0, 1, 10, 10], [50, 0, 60, 10]], [0, 0])) == 0.5
    assert agreement(two, said([[20, 0, 30, 10], [0, 0, 10, 10]], [0, 1])) == 0


def test_two_that_find_nothing_agree():
    assert agreement(said(np.empty((0, 4)), []), said(np.empty((0, 4)), [])) == 1
