import numpy as np
import pytest

from dlapps.apps.generate import data

IDS = np.arange(1000)


def windows(ids, window, batch_size, seed=0):
    return data.random_windows(ids, window, batch_size, seed, timed=False)


def test_targets_are_the_inputs_moved_by_one():
    feed = windows(IDS, 7, 4)
    batches = [*feed.epoch(0, 0)]
    assert len(batches) == feed.steps
    for inputs, targets in batches:
        assert inputs.shape == targets.shape == (4, 7)
        np.testing.assert_array_equal(targets, inputs + 1)


def test_no_place_is_read_twice_in_an_epoch_and_few_are_left_out():
    read = np.concatenate([targets.ravel() for _, targets in windows(IDS, 7, 4).epoch(3, 0)])
    assert len(np.unique(read)) == len(read)
    assert len(read) > 0.9 * len(IDS)


def test_each_epoch_cuts_the_text_at_other_places_in_another_order():
    feed = windows(IDS, 50, 4)
    firsts = [np.concatenate([x[:, 0] for x, _ in feed.epoch(k, 0)]) for k in range(20)]
    assert len({tuple(each % 50) for each in firsts}) > 10
    assert all((np.diff(each) < 0).any() for each in firsts)


def test_the_seed_fixes_the_windows():
    one, same, other = ([*windows(IDS, 7, 4, seed).epoch(1, 0)] for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, same)
    assert (np.array(one) != np.array(other)).any()


@pytest.mark.parametrize("kind", ["random", "streams"])
def test_from_any_step_of_any_epoch_the_batches_are_those_of_going_through(kind):
    def drawn(epoch, step, passes):
        feed = windows(IDS, 30, 4) if kind == "random" else data.streams(IDS, 30, 4, timed=False)
        with feed:
            feed.seek(epoch, step)
            dataset = feed.dataset
            found = [[*dataset.as_numpy_iterator()] for _ in range(passes)]
        assert [len(each) for each in found] == [feed.steps - step] + [feed.steps] * (passes - 1)
        return found

    whole, resumed = drawn(0, 0, 3), drawn(1, 2, 2)
    for expected, batches in zip([whole[1][2:], whole[2]], resumed, strict=True):
        for one, other in zip(expected, batches, strict=True):
            np.testing.assert_equal(one, other)


@pytest.mark.parametrize("window", [2, 5, 8])
def test_a_text_just_long_enough_for_one_window_is_one(window):
    feed = windows(np.arange(window + 1), window, 64)
    ((inputs, targets),) = feed.epoch(0, 0)
    np.testing.assert_array_equal(inputs, [np.arange(window)])
    np.testing.assert_array_equal(targets, [np.arange(1, window + 1)])


@pytest.mark.parametrize("length", range(6, 60, 7))
def test_windows_stay_within_the_text(length):
    for window in (2, 5):
        for epoch in range(10):
            for _, targets in windows(np.arange(length), window, 3).epoch(epoch, 0):
                assert targets.max() < length


def test_rows_of_streams_go_on_where_they_ended():
    feed = data.streams(IDS, 30, 4, timed=False)
    batches = [*feed.epoch(0, 0)]
    assert len(batches) == feed.steps == 8
    ends = None
    for number, ((inputs, anew), targets) in enumerate(batches):
        np.testing.assert_array_equal(targets, inputs + 1)
        assert anew.tolist() == [number == 0] * 4
        if ends is not None:
            np.testing.assert_array_equal(inputs[:, 0], ends)
        ends = targets[:, -1]
    read = np.concatenate([targets.ravel() for _, targets in batches])
    assert len(np.unique(read)) == len(read)


def test_there_are_no_more_streams_than_windows():
    feed = data.streams(np.arange(17), 8, 64, timed=False)
    (((inputs, _), targets),) = feed.epoch(0, 0)
    assert inputs[:, 0].tolist() == [0, 8]
    assert targets.max() == 16


@pytest.mark.parametrize("length", [2, 3, 16, 17, 1000, 16385, 16386, 40000])
def test_every_held_out_character_but_the_first_is_counted_once(length):
    inputs, targets = data.held_out_batches(np.arange(length))
    assert inputs.shape == targets.shape
    counted = targets != data.IGNORED
    assert sorted(targets[counted]) == [*range(1, length)]
    np.testing.assert_array_equal(inputs[counted], targets[counted] - 1)


@pytest.mark.parametrize("length", [2, 300, 1000, 40000])
def test_what_is_counted_stands_after_context_that_is_not(length):
    inputs, targets = data.held_out_batches(np.arange(length))
    rows = (each.reshape(-1, each.shape[-1]) for each in (inputs, targets))
    for read, told in zip(*rows, strict=True):
        (counted,) = np.nonzero(told != data.IGNORED)
        if not len(counted):
            continue  # A row behind the end of the text.
        first, before = counted[0], told[counted[0]]
        reach = min(data.CONTEXT, before - 1)
        expected = np.arange(before - 1 - reach, before)
        np.testing.assert_array_equal(read[first - reach : first + 1], expected)
        np.testing.assert_array_equal(counted, first + np.arange(len(counted)))
