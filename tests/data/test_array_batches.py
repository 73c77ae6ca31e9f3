from itertools import chain

import numpy as np
import pytest
import tensorflow as tf

from dlapps.data.array_batches import ArrayBatches, in_order, untuned

X = np.arange(22, dtype=np.float32).reshape(11, 2)
Y = np.arange(11, dtype=np.int32)


def batches(batch_size=4, seed=0):
    return ArrayBatches(X, Y, batch_size, seed)


def passes(data, times):
    """Returns the labels of each batch, pass by pass."""
    dataset = data.dataset
    return [[y.tolist() for _, y in dataset.as_numpy_iterator()] for _ in range(times)]


def test_every_epoch_has_every_example_once_in_another_order():
    data = batches()
    epochs = passes(data, 3)
    assert data.steps == 3
    assert {tuple(map(len, epoch)) for epoch in epochs} == {(4, 4, 3)}
    assert all(sorted(chain(*epoch)) == [*range(11)] for epoch in epochs)
    assert len({str(epoch) for epoch in epochs}) == 3


def test_rows_and_labels_stay_together():
    for x, y in batches().dataset.as_numpy_iterator():
        np.testing.assert_array_equal(x, X[y])


def test_the_seed_alone_fixes_the_order():
    assert passes(batches(), 2) == passes(batches(), 2)
    assert passes(batches(), 2) != passes(batches(seed=1), 2)
    assert [*chain(*passes(batches(3), 1)[0])] == [*chain(*passes(batches(11), 1)[0])]


@pytest.mark.parametrize("epoch", [0, 2])
@pytest.mark.parametrize("step", [0, 1, 2, 3])
def test_begins_at_any_step_of_any_epoch_once(epoch, step):
    whole = passes(batches(), 5)
    data = batches()
    data.seek(epoch, step)
    assert passes(data, 2) == [whole[epoch][step:], whole[epoch + 1]]


def test_can_be_moved_when_it_has_been_used():
    data = batches()
    first = passes(data, 3)
    data.seek(1)
    assert passes(data, 2) == first[1:]


def test_fewer_examples_than_a_batch_are_one_batch():
    data = batches(64)
    assert data.steps == 1
    assert [len(batch) for batch in passes(data, 1)[0]] == [11]


def test_shapes_are_known_before_the_first_batch():
    x, y = batches().dataset.element_spec
    assert (x.shape.as_list(), y.shape.as_list()) == ([None, 2], [None])


def test_arrays_in_memory_are_never_waited_for():
    data = batches()
    passes(data, 1)
    assert data.input_seconds() == 0


def test_in_order_gives_every_row_as_it_lies_in_each_pass():
    dataset = in_order(X, Y, 4)
    for _ in range(2):
        given = [*dataset.as_numpy_iterator()]
        assert [len(y) for _, y in given] == [4, 4, 3]
        np.testing.assert_array_equal(np.concatenate([x for x, _ in given]), X)
        np.testing.assert_array_equal(np.concatenate([y for _, y in given]), Y)


def test_in_order_takes_a_batch_larger_than_all_rows():
    assert [len(y) for _, y in in_order(X, Y, 64).as_numpy_iterator()] == [11]


def test_untuned_changes_nothing_but_the_autotuning():
    dataset = tf.data.Dataset.range(5).map(lambda number: number * number)
    assert dataset.options().autotune.enabled is None
    after = untuned(dataset)
    assert after.options().autotune.enabled is False
    assert after.element_spec == dataset.element_spec
    assert [*after.as_numpy_iterator()] == [0, 1, 4, 9, 16]


def test_untuned_keeps_the_other_options():
    options = tf.data.Options()
    options.threading.private_threadpool_size = 2
    after = untuned(tf.data.Dataset.range(5).with_options(options))
    assert after.options().threading.private_threadpool_size == 2


@pytest.mark.parametrize(
    "dataset", [pytest.param(batches().dataset, id="shuffled"), in_order(X, Y, 4)]
)
def test_arrays_in_memory_are_not_tuned(dataset):
    assert dataset.options().autotune.enabled is False
