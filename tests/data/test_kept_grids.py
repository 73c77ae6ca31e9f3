import numpy as np
import pytest

from dlapps.data.kept_grids import KeptGrids
from dlapps.data.pictures import UnreadablePictureError
from dlapps.errors import UserError

LABELS = np.array([4, 3, 2, 1, 0], np.int32)
SHAPE = (2, 2, 3)


def look(images):
    """Sees in a picture of one shade that shade, everywhere."""
    shade = images[:, 0, 0, :1].astype(np.float32) / 8
    return [np.broadcast_to(shade[:, None, None], (len(images), *SHAPE)), shade]


def drawing(view):
    return lambda index: np.full((4, 4, 3), 10 * view + index, np.uint8)


@pytest.fixture
def kept(tmp_path):
    with KeptGrids(tmp_path, LABELS, SHAPE) as grids:
        for view in (1, 2):
            grids.add(look, drawing(view), "Looking")
        yield grids


def batches(feed, epochs):
    with feed:
        dataset = feed.dataset
        return [[*dataset.as_numpy_iterator()] for _ in range(epochs)]


def test_every_epoch_holds_every_picture_once_with_its_label(kept):
    for epoch in batches(kept.shuffled(2, seed=0), 3):
        assert [len(y) for _, y in epoch] == [2, 2, 1]
        assert sorted(np.concatenate([y for _, y in epoch])) == [0, 1, 2, 3, 4]
        for (grid, means), y in epoch:
            index = means[:, 0] * 8 % 10
            assert np.array_equal(LABELS[index.astype(int)], y)
            assert np.array_equal(grid, np.broadcast_to(means[:, None, None], grid.shape))


def test_the_views_take_turns(kept):
    epochs = batches(kept.shuffled(5, seed=0), 4)
    views = [{int(8 * m) // 10 for m in epoch[0][0][1][:, 0]} for epoch in epochs]
    assert views == [{1}, {2}, {1}, {2}]


def test_the_order_goes_by_seed_and_epoch_and_begins_anywhere(kept):
    whole = batches(kept.shuffled(2, seed=3), 2)
    orders = [np.concatenate([y for _, y in epoch]).tolist() for epoch in whole]
    assert orders[0] != orders[1]
    again = kept.shuffled(2, seed=3)
    again.seek(1, 1)
    (rest,) = batches(again, 1)
    assert np.concatenate([y for _, y in rest]).tolist() == orders[1][2:]


def test_in_order_is_the_first_view_again_and_again(kept):
    for epoch in batches(kept.in_order(3), 2):
        assert np.concatenate([y for _, y in epoch]).tolist() == LABELS.tolist()
        assert np.concatenate([8 * m[:, 0] for (_, m), _ in epoch]).tolist() == [10, 11, 12, 13, 14]


def test_full_precision_is_kept_where_asked(tmp_path):
    def precise(images):
        return [np.full((len(images), *SHAPE), 1 / 3, np.float32), np.ones((len(images), 1), "f4")]

    for exact, dtype in ((True, np.float32), (False, np.float16)):
        with KeptGrids(tmp_path, LABELS, SHAPE, exact=exact) as grids:
            grids.add(precise, drawing(0), "Looking")
            ((grid, _), _), *_ = batches(grids.in_order(5), 1)[0]
        assert grid.dtype == dtype
        assert np.all(grid == dtype(1 / 3))


def test_nothing_is_left_on_the_disk(kept, tmp_path):
    assert [*tmp_path.iterdir()] == []


def test_a_picture_that_has_become_unreadable_is_named(tmp_path):
    def draw(index):
        raise UnreadablePictureError("it is empty")

    with (
        KeptGrids(tmp_path, LABELS, SHAPE) as grids,
        pytest.raises(UnreadablePictureError, match="it is empty"),
    ):
        grids.add(look, draw, "Looking")


def test_a_full_disk_is_one_line(kept, monkeypatch):
    class Full:
        def write(self, data):
            raise OSError(28, "No space left on device")

        def close(self):
            pass

    kept.file.close()
    monkeypatch.setattr(kept, "file", Full())
    with pytest.raises(UserError, match=r"No space left on device\. Name another .* DLAPPS_CACHE"):
        kept.add(look, drawing(3), "Looking")


def test_says_how_much_disk_it_takes():
    assert KeptGrids.bytes_needed(10, 3, (14, 14, 80)) == 2 * 10 * 3 * 14 * 14 * 80
