import numpy as np
import pytest

from dlapps.data.caption_batches import (
    END,
    IGNORED,
    START,
    Captions,
    caption_batches,
    captions_in_order,
    pictures_in_order,
    read_and_foretold,
    rewarded_captions,
    shuffled_pictures,
)

PICTURES, LONGEST = 7, 9


@pytest.fixture
def captions():
    """Three captions of each of seven pictures, of which each tells its own number."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, LONGEST + 1, 3 * PICTURES)
    ids = np.full((3 * PICTURES, LONGEST + 1), END, np.int32)
    for row, length in enumerate(lengths):
        ids[row, :length] = 3 + row
    return Captions(np.repeat(np.arange(PICTURES), 3), ids, lengths)


@pytest.fixture
def grids():
    """Two views of seven pictures, of which each tells its picture and view."""
    one = np.tile(np.arange(PICTURES, dtype=np.float16)[:, None, None], (1, 4, 2))
    return [one, one + np.float16(0.5)]


def epochs(feed, count):
    """Returns the batches of some epochs, as nested arrays."""
    with feed:
        dataset = feed.dataset
        return [[*dataset.as_numpy_iterator()] for _ in range(count)]


def test_what_is_read_is_what_was_to_be_foretold_one_word_before():
    ids = np.array([[5, 6, END, END], [7, 8, 9, END]], np.int32)
    read, foretold = read_and_foretold(ids, np.array([2, 3]))
    assert read.tolist() == [[START, 5, 6, END], [START, 7, 8, 9]]
    assert foretold.tolist() == [[5, 6, END, IGNORED], [7, 8, 9, END]]


def test_captions_come_whole_with_their_own_picture(grids, captions):
    [batches] = epochs(caption_batches(grids, captions, 4, 0), 1)
    assert len(batches) == 5
    for (seen, read), foretold in batches:
        assert seen.shape == (4, 4, 2)
        for grid, words, truth in zip(seen, read, foretold, strict=True):
            row = int(truth[0]) - 3
            assert int(grid[0, 0]) == captions.picture[row]
            length = captions.lengths[row]
            assert truth[: length + 1].tolist() == [row + 3] * length + [END]
            assert words[: length + 1].tolist() == [START] + [row + 3] * length


def test_no_caption_comes_twice_in_an_epoch_and_all_in_several(grids, captions):
    feed = caption_batches(grids, captions, 4, 0)
    seen = [[int(row[0]) for _, truth in each for row in truth] for each in epochs(feed, 6)]
    assert all(len({*each}) == len(each) == 20 for each in seen)
    assert {k for each in seen for k in each} == {*range(3, 3 + 3 * PICTURES)}
    assert seen[0] != seen[1]


def test_captions_of_one_batch_are_of_about_one_length(grids, captions):
    [batches] = epochs(caption_batches(grids, captions, 2, 0), 1)
    filled = np.mean([np.mean(truth != IGNORED) for _, truth in batches])
    whole = np.mean((captions.lengths + 1) / (LONGEST + 1))
    assert filled > whole + 0.15


def test_views_change(grids, captions):
    feed = caption_batches(grids, captions, 4, 0)
    views = [
        {float(x[0, 0]) % 1 for (seen, _), _ in each for x in seen} for each in epochs(feed, 2)
    ]
    assert views == [{0.0, 0.5}] * 2


def test_an_epoch_can_begin_anywhere_and_is_the_same(grids, captions):
    whole = epochs(caption_batches(grids, captions, 4, 3), 2)[1]
    feed = caption_batches(grids, captions, 4, 3)
    feed.seek(1, 2)
    [rest] = epochs(feed, 1)
    assert len(rest) == len(whole) - 2
    for one, other in zip(whole[2:], rest, strict=True):
        np.testing.assert_array_equal(one[1], other[1])
        np.testing.assert_array_equal(one[0][0], other[0][0])


def test_validation_comes_in_order_with_the_first_view(grids, captions):
    first, second = epochs(captions_in_order(grids, captions, 8), 2)
    rows = np.concatenate([truth for _, truth in first])
    assert (rows[:, 0] - 3).tolist() == [*range(3 * PICTURES)]
    assert all(float(x[0, 0]) % 1 == 0 for (seen, _), _ in first for x in seen)
    np.testing.assert_array_equal(first[0][1], second[0][1])


def draw(index, turn=0):
    return np.full((8, 8, 3), 10 * index + turn, np.uint8)


def test_pictures_come_with_several_of_their_captions(captions):
    for batches in epochs(shuffled_pictures(draw, 8, captions, 3, 2, 0), 2):
        assert len(batches) == 2
        for (images, read), truth in batches:
            assert images.shape == (3, 8, 8, 3)
            assert len(read) == 6
            pictures = images[:, 0, 0, 0] // 10
            told = captions.picture[truth[:, 0] - 3]
            assert told.tolist() == np.repeat(pictures, 2).tolist()
            assert len({*truth[:, 0].tolist()}) == 6


def test_a_picture_with_few_captions_has_some_of_them_twice(captions):
    [[((_, read), truth)]] = epochs(shuffled_pictures(draw, 8, captions, PICTURES, 5, 0), 1)
    assert len(read) == 5 * PICTURES
    assert {*truth[:, 0].tolist()} == {*range(3, 3 + 3 * PICTURES)}


def test_views_of_pictures_change_from_epoch_to_epoch(captions):
    turns = [
        {int(x[0, 0, 0]) % 10 for (images, _), _ in each for x in images}
        for each in epochs(shuffled_pictures(draw, 8, captions, 3, 1, 0), 2)
    ]
    assert turns == [{1}, {2}]


def test_held_out_pictures_come_in_order_all_with_as_many_captions(captions):
    [batches] = epochs(pictures_in_order(draw, 8, captions, 4), 1)
    assert [len(images) for (images, _), _ in batches] == [4, 3]
    rows = np.concatenate([truth for _, truth in batches])
    assert (rows[:, 0] - 3).tolist() == [*range(3 * PICTURES)]


def test_captions_weigh_what_they_are_worth_more_than_the_others_of_their_picture(grids):
    def drawn(seen):
        ids = np.full((len(seen), 3, 4), END)
        ids[:, 1, :2] = 5
        ids[:, 2] = 6  # It never ends.
        return ids

    feed = rewarded_captions(grids, drawn, lambda ids, picture: len(ids) + picture, 2, 0)
    [batches] = epochs(feed, 1)
    assert len(batches) == PICTURES // 2
    for (seen, read), truth, weights in batches:
        assert seen.shape == (2, 4, 2)
        # Worth 1, 3 and 4 beyond the picture's own, ends included: beside the means of the others.
        np.testing.assert_allclose(weights, [-2.5, 0.5, 2] * 2, atol=1e-6)
        assert read[1].tolist() == [START, 5, 5, END]
        assert truth[1].tolist() == [5, 5, END, IGNORED]
        assert truth[0].tolist() == [END, IGNORED, IGNORED, IGNORED]
        assert truth[2].tolist() == [6, 6, 6, 6]
