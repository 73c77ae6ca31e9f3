import itertools
import threading

import numpy as np
import pytest

from dlapps.data.feed import AHEAD, Feed


def counting(start=0, steps=3, side=4):
    """Yields `steps` batches of two pictures whose pixels and labels count up."""
    for number in range(start, start + steps):
        yield np.full((2, side, side, 3), number, np.uint8), np.full(2, number, np.int32)


def test_every_pass_is_one_epoch():
    epochs = itertools.count()
    with Feed(lambda: counting(next(epochs) * 3), 4, 3) as feed:
        passes = [[int(y[0]) for _, y in feed.dataset.as_numpy_iterator()] for _ in range(3)]
    assert passes == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


def test_pictures_and_labels_stay_together():
    with Feed(counting, 4, 3) as feed:
        for images, labels in feed.dataset.as_numpy_iterator():
            assert (images[:, 0, 0, 0] == labels).all()


def test_shapes_are_known_before_the_first_batch():
    with Feed(counting, 4, 3) as feed:
        images, labels = feed.dataset.element_spec
        assert images.shape.as_list() == [None, 4, 4, 3]
        assert labels.shape.as_list() == [None]
        assert int(feed.dataset.cardinality()) == 3


def test_leaving_in_the_middle_of_an_epoch_ends_the_thread():
    with Feed(counting, 4, 3) as feed:
        next(feed.dataset.as_numpy_iterator())
    assert not feed.thread.is_alive()


def test_iterators_may_go_at_any_moment():
    """With Python inside tf.data this locks up within a few rounds."""
    with Feed(lambda: counting(steps=50), 4, 50) as feed:
        for _ in range(200):
            next(iter(feed.dataset))


def test_an_error_while_drawing_reaches_the_one_who_trains():
    def failing():
        yield from counting(steps=1)
        raise ValueError("the picture is gone")

    def use():
        with Feed(failing, 4, 3) as feed:
            for _ in feed.dataset.as_numpy_iterator():
                pass

    with pytest.raises(ValueError, match="the picture is gone"):
        use()


def test_no_more_is_drawn_than_may_wait():
    drawn = []
    enough = threading.Event()

    def watched():
        for batch in counting(steps=100):
            drawn.append(batch)
            if len(drawn) > AHEAD:
                enough.set()
            yield batch

    with Feed(watched, 4, 100):
        assert enough.wait(10)
        assert not threading.Event().wait(0.2)
        assert len(drawn) == AHEAD + 1
