from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from dlapps.data import kept_pictures
from dlapps.data.kept_pictures import KeptPictures
from dlapps.data.pictures import UnreadablePictureError
from tests.data.boxed_files import picture

SIZES = [(64, 48), (300, 200), (100, 130), (640, 480)]


@pytest.fixture
def paths(tmp_path):
    return [picture(tmp_path / f"{k}.jpg", size, seed=k) for k, size in enumerate(SIZES)]


def test_pictures_are_shrunk_to_what_is_needed_and_no_larger(paths):
    store = KeptPictures(paths, SIZES, 96)
    assert [store.read(k).size for k in range(4)] == [(64, 48), (96, 64), (74, 96), (96, 72)]


@pytest.mark.parametrize("limits", [(10**9, 10**9), (0, 10**9), (0, 0), (20_000, 3_000)], ids=str)
def test_the_pixels_do_not_depend_on_what_is_kept(paths, monkeypatch, limits):
    free = [np.asarray(KeptPictures(paths, SIZES, 96).read(k)) for k in range(4)]
    monkeypatch.setattr(kept_pictures, "MAX_DECODED_BYTES", limits[0])
    monkeypatch.setattr(kept_pictures, "MAX_SHRUNK_BYTES", limits[1])
    store = KeptPictures(paths, SIZES, 96)
    with ThreadPoolExecutor(4) as pool:
        read = [*pool.map(lambda k: np.asarray(store.read(k % 4)), range(16))]
    for number, image in enumerate(read):
        np.testing.assert_array_equal(image, free[number % 4])
    assert store.decoded_bytes <= limits[0]
    assert store.shrunk_bytes <= limits[1]
    assert store.decoded_bytes == sum(3 * i.width * i.height for i in store.decoded.values())
    assert store.shrunk_bytes == sum(map(len, store.shrunk.values()))


def test_what_is_kept_is_not_read_again(paths):
    store = KeptPictures(paths, SIZES, 96)
    for k in range(4):
        store.read(k)
    for path in paths:
        path.unlink()
    assert [store.read(k).size[0] for k in range(4)] == [64, 96, 74, 96]


def test_large_photos_are_kept_as_files_where_decoded_they_do_not_fit(paths, monkeypatch):
    monkeypatch.setattr(kept_pictures, "MAX_DECODED_BYTES", 0)
    store = KeptPictures(paths, SIZES, 96)
    for k in range(4):
        store.read(k)
    assert sorted(store.shrunk) == [1, 3]  # More than twice as large as needed.


def test_a_picture_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "x.jpg").write_text("none")
    with pytest.raises(UnreadablePictureError, match="not a picture"):
        KeptPictures([tmp_path / "x.jpg"], [(64, 48)], 96).read(0)
