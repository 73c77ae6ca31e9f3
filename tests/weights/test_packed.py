import numpy as np
import pytest

from dlapps.errors import UserError
from dlapps.weights import packed


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "FOLDER", tmp_path)
    return tmp_path


def test_weights_come_back_rounded_to_half_precision_and_whole_numbers_as_they_were(folder):
    weights = [np.array([1.0, 0.1], np.float32), np.array([3, 70_000], np.uint32)]
    packed.pack(folder / "one.npz", {"units": 2}, weights, {"command": "made here"})
    config, found = packed.unpacked("one")
    assert config == {"units": 2}
    assert [each.dtype for each in found] == [np.float32, np.uint32]
    np.testing.assert_allclose(found[0], weights[0], rtol=1e-3)
    np.testing.assert_array_equal(found[1], weights[1])


def test_a_file_takes_half_of_what_the_weights_take(folder):
    packed.pack(folder / "large.npz", {}, [np.zeros((1000, 100), np.float32)], {})
    assert (folder / "large.npz").stat().st_size < 210_000


def test_a_missing_or_damaged_file_is_named(folder):
    with pytest.raises(UserError, match=r"gone\.npz is damaged\. Install dlapps anew\."):
        packed.unpacked("gone")
    (folder / "torn.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(UserError, match=r"torn\.npz is damaged\. Install dlapps anew\."):
        packed.unpacked("torn")
