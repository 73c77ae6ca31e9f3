import io
import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from dlapps.data import pipeline
from dlapps.data.pictures import UnreadablePictureError
from dlapps.data.pipeline import PictureStore, batches_of_views, in_threads


def jpeg(width, height, colour="red"):
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize("ahead", [0, 1, 7, 100])
@pytest.mark.parametrize("threads", [1, 4])
def test_results_keep_the_order_of_the_items(ahead, threads):
    items = random.Random(0).sample(range(50), 50)
    assert [*in_threads(lambda x: x * x, iter(items), ahead, threads)] == [x * x for x in items]


def test_nothing_gives_nothing():
    assert [*in_threads(str, iter([]), ahead=3)] == []


@pytest.mark.parametrize("ahead", [0, 1, 5])
def test_no_more_results_wait_than_allowed(ahead):
    taken = itertools.count()
    results = in_threads(lambda x: x, taken, ahead, threads=2)
    for given in range(20):
        next(results)
        drawn = next(taken)
        # Each look at the counter takes one number from it, too.
        assert drawn - 2 * given <= ahead + 1
    results.close()


def test_endless_items_are_taken_as_they_are_needed():
    results = in_threads(lambda x: 2 * x, itertools.count(), ahead=4)
    assert [next(results) for _ in range(10)] == [*range(0, 20, 2)]
    results.close()


def test_several_are_computed_at_once():
    meeting = threading.Barrier(3, timeout=20)
    assert sorted(in_threads(lambda _: meeting.wait(), iter(range(3)), 3, threads=3)) == [0, 1, 2]


def test_an_exception_surfaces_in_the_place_of_its_result():
    def fail_at_three(x):
        if x == 3:
            raise KeyError("three")
        return x

    results = in_threads(fail_at_three, iter(range(10)), ahead=5)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError, match="three"):
        next(results)


def test_an_exception_of_the_items_surfaces():
    def items():
        yield 1
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        list(in_threads(str, items(), ahead=5))


def test_closing_ends_the_threads():
    before = threading.active_count()
    results = in_threads(str, itertools.count(), ahead=5, threads=3)
    next(results)
    results.close()
    assert threading.active_count() == before


def test_a_store_gives_the_pictures():
    sources = [np.full((40, 50, 3), k, np.uint8) for k in range(3)]
    store = PictureStore(sources, short_side=32)
    for k in (2, 0, 1, 2):
        np.testing.assert_array_equal(store.read(k), sources[k])
    assert not store.kept


@pytest.mark.parametrize("size", [(256, 192), (192, 256)])
def test_a_store_keeps_small_copies_of_large_pictures(size):
    big = np.full((size[1], size[0], 3), (200, 30, 90), np.uint8)
    store = PictureStore([big], short_side=32)
    copy = store.read(0)
    assert min(copy.size) == 32
    assert copy.width / copy.height == pytest.approx(size[0] / size[1], rel=0.02)
    assert np.abs(np.asarray(copy).astype(int) - (200, 30, 90)).max() <= 4
    assert store.bytes == len(store.kept[0]) < big.nbytes / 20


def test_a_store_reads_a_large_picture_from_its_source_once(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(640, 480))
    store = PictureStore([path], short_side=32)
    store.read(0)
    path.unlink()
    assert min(store.read(0).size) >= 32


def test_a_store_keeps_nothing_of_pictures_hardly_larger_than_needed():
    store = PictureStore([jpeg(70, 64)], short_side=32)
    assert store.read(0).size == (70, 64)
    assert not store.kept


def test_a_store_has_a_limit(monkeypatch):
    monkeypatch.setattr(pipeline, "MAX_KEPT_BYTES", 1)
    store = PictureStore([np.zeros((200, 200, 3), np.uint8)] * 3, short_side=32)
    for k in range(3):
        store.read(k)
    assert set(store.kept) == {0}
    assert store.read(1).size == (32, 32)


def test_a_store_reads_a_picture_the_same_the_first_time_later_and_without_room(monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    store = PictureStore([noise], short_side=32)
    first, later = store.read(0), store.read(0)
    monkeypatch.setattr(pipeline, "MAX_KEPT_BYTES", 0)
    without_room = PictureStore([noise], short_side=32).read(0)
    for other in (later, without_room):
        np.testing.assert_array_equal(first, other)


def test_a_store_serves_many_threads():
    sources = [np.full((200, 200, 3), 40 * k, np.uint8) for k in range(5)]
    store = PictureStore(sources, short_side=32)
    indices = [k % 5 for k in range(100)]
    with ThreadPoolExecutor(4) as pool:
        shades = [np.asarray(image).mean() for image in pool.map(store.read, indices)]
    np.testing.assert_allclose(shades, [40 * k for k in indices], atol=2)
    assert set(store.kept) == set(range(5))


def test_a_store_says_what_cannot_be_read():
    with pytest.raises(UnreadablePictureError, match="the file is empty"):
        PictureStore([b""], short_side=32).read(0)


def draw(index):
    if index % 5 == 3:
        raise UnreadablePictureError(f"picture {index} is damaged")
    return np.full((4, 4, 3), index, np.uint8)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("count", [0, 1, 4, 5, 23])
def test_every_picture_is_in_one_batch_or_unreadable(batch_size, count):
    seen, why = [], {}
    for indices, images, bad in batches_of_views(count, draw, batch_size):
        assert len(indices) == len(images) <= batch_size
        assert [int(image.max()) for image in images] == indices
        seen += indices
        why |= bad
    assert seen == [k for k in range(count) if k % 5 != 3]
    assert why == {k: f"picture {k} is damaged" for k in range(count) if k % 5 == 3}


def test_all_batches_but_the_last_are_full():
    sizes = [len(indices) for indices, _, _ in batches_of_views(23, draw, 4)]
    assert sizes == [4, 4, 4, 4, 3]


def test_unreadable_pictures_alone_are_told_too():
    def fail(index):
        raise UnreadablePictureError("no")

    told = [*batches_of_views(3, fail, 2)]
    assert [indices for indices, _, _ in told] == [[]]
    assert told[0][1].shape[0] == 0
    assert told[0][2] == {0: "no", 1: "no", 2: "no"}


def test_a_mistake_of_ours_is_not_taken_for_an_unreadable_picture():
    with pytest.raises(ZeroDivisionError):
        list(batches_of_views(3, lambda k: 1 // k, 2))
