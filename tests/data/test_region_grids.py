import os

import numpy as np
import pytest

from dlapps.data import region_grids
from dlapps.data.pictures import UnreadablePictureError
from dlapps.data.region_grids import bytes_needed, grids_once
from dlapps.errors import UserError

SHAPE = (4, 3)


def draw(index):
    if index == 2:
        raise UnreadablePictureError("damaged")
    return np.full((8, 8, 3), index, np.uint8)


def look(images):
    return [np.tile(images[:, 0, 0, :1, None].astype(np.float32), (1, *SHAPE))]


def kept(folder, name="a", looks=None):
    asked = looks if looks is not None else (lambda: look)
    return grids_once(name, asked, draw, 5, SHAPE, "Looking", folder)


def test_looks_once_and_keeps_what_it_saw(tmp_path):
    asked = []

    def eye():
        asked.append(1)
        return look

    first, second = (kept(tmp_path, looks=eye) for _ in range(2))
    assert len(asked) == 1
    assert first.rows.dtype == np.float16
    assert first.rows.shape == (5, *SHAPE)
    np.testing.assert_array_equal(first.rows, second.rows)
    assert first.rows[:, 0, 0].tolist() == [0, 1, 0, 3, 4]
    assert first.unreadable == second.unreadable == {2: "damaged"}
    assert kept(tmp_path, "b", eye).rows.shape == (5, *SHAPE)
    assert len(asked) == 2


@pytest.mark.parametrize("damage", [b"", b"no numbers", None], ids=["empty", "other", "shorter"])
def test_what_is_damaged_is_computed_anew(tmp_path, damage):
    kept(tmp_path)
    path = tmp_path / "a.npy"
    path.write_bytes(path.read_bytes()[:-9] if damage is None else damage)
    assert kept(tmp_path).rows[:, 0, 0].tolist() == [0, 1, 0, 3, 4]


def test_the_least_recently_used_go_when_there_is_no_room(tmp_path, monkeypatch):
    for age, name in enumerate(("old", "older")):
        kept(tmp_path, name)
        os.utime(tmp_path / f"{name}.npy", (1000 - age, 1000 - age))
    size = (tmp_path / "old.npy").stat().st_size
    monkeypatch.setattr(region_grids, "MAX_BYTES", 2 * size + 10)
    kept(tmp_path, "new")
    assert {path.stem for path in tmp_path.glob("*.npy")} == {"old", "new"}
    assert {path.stem for path in tmp_path.glob("*.json")} == {"old", "new"}


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Name another place with DLAPPS_CACHE"):
        kept(tmp_path / "file" / "below")


def test_a_view_needs_two_bytes_a_feature():
    assert bytes_needed(5, SHAPE) == 120
