import threading

import numpy as np
import pytest

from dlapps.data.feed import AHEAD, Feed, labelled_images

STEPS = 3


def counting(number, skip=0, steps=STEPS, side=4):
    """Yields batches of two pictures whose pixels and labels count on from epoch to epoch."""
    for value in range(number * steps + skip, (number + 1) * steps):
        yield np.full((2, side, side, 3), value, np.uint8), np.full(2, value, np.int32)


def labels(dataset):
    return [int(y[0]) for _, y in dataset.as_numpy_iterator()]


def test_every_pass_is_one_epoch():
    with Feed(counting, labelled_images(4), STEPS) as feed:
        passes = [labels(feed.dataset) for _ in range(3)]
    assert passes == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


@pytest.mark.parametrize("epoch", [0, 2])
@pytest.mark.parametrize("step", [0, 1, 3])
def test_begins_at_any_step_of_any_epoch_once(epoch, step):
    with Feed(counting, labelled_images(4), STEPS) as feed:
        feed.seek(epoch, step)
        dataset = feed.dataset
        passes = [labels(dataset) for _ in range(3)]
    first = 3 * epoch
    assert passes[0] == [first, first + 1, first + 2][step:]
    assert passes[1:] == [[first + k for k in (3, 4, 5)], [first + k for k in (6, 7, 8)]]


def test_pictures_and_labels_stay_together():
    with Feed(counting, labelled_images(4), STEPS) as feed:
        for images, numbers in feed.dataset.as_numpy_iterator():
            assert (images[:, 0, 0, 0] == numbers).all()


def test_shapes_are_known_before_the_first_batch():
    with Feed(counting, labelled_images(4), STEPS) as feed:
        images, numbers = feed.dataset.element_spec
        assert images.shape.as_list() == [None, 4, 4, 3]
        assert numbers.shape.as_list() == [None]
        assert feed.steps == STEPS


def test_leaving_in_the_middle_of_an_epoch_ends_the_thread():
    with Feed(counting, labelled_images(4), STEPS) as feed:
        next(feed.dataset.as_numpy_iterator())
    assert not feed.thread.is_alive()


def test_nothing_is_drawn_for_a_feed_that_is_not_used():
    with Feed(pytest.fail, labelled_images(4), STEPS) as feed:
        feed.seek(3, 1)
    assert not feed.thread.is_alive()


def test_iterators_may_go_at_any_moment():
    """With Python inside tf.data this locks up within a few rounds."""
    with Feed(lambda number, skip: counting(0, steps=50), labelled_images(4), 50) as feed:
        dataset = feed.dataset
        for _ in range(200):
            next(iter(dataset))


def test_an_error_while_drawing_reaches_the_one_who_trains():
    def failing(number, skip):
        yield from counting(0, steps=1)
        raise ValueError("the picture is gone")

    def use():
        with Feed(failing, labelled_images(4), STEPS) as feed:
            for _ in feed.dataset.as_numpy_iterator():
                pass

    with pytest.raises(ValueError, match="the picture is gone"):
        use()


def test_no_more_is_drawn_than_may_wait():
    drawn = []
    enough = threading.Event()

    def watched(number, skip):
        for batch in counting(0, steps=100):
            drawn.append(batch)
            if len(drawn) > AHEAD:
                enough.set()
            yield batch

    with Feed(watched, labelled_images(4), 100) as feed:
        assert feed.dataset is not None
        assert enough.wait(10)
        assert not threading.Event().wait(0.2)
        assert len(drawn) == AHEAD + 1


def slowly(number, skip):
    for batch in counting(number, skip):
        threading.Event().wait(0.3)
        yield batch


def test_the_time_that_the_model_waits_is_measured_and_told_once():
    with Feed(slowly, labelled_images(4), STEPS) as feed:
        labels(feed.dataset)
        assert 0.2 < feed.input_seconds() < 10
        assert feed.input_seconds() == 0


def test_a_feed_that_is_ahead_is_not_waited_for():
    full = threading.Event()

    def ahead(number, skip):
        if number == 1:
            full.set()  # All of the first epoch are waiting.
        yield from counting(number, skip)

    with Feed(ahead, labelled_images(4), STEPS) as feed:
        dataset = feed.dataset
        assert full.wait(10)
        labels(dataset)
        assert feed.input_seconds() < 0.2


def test_without_a_clock_the_waiting_is_unknown():
    with Feed(slowly, labelled_images(4), STEPS, timed=False) as feed:
        assert labels(feed.dataset) == [0, 1, 2]
        assert feed.input_seconds() is None
