import os
from pathlib import Path

import numpy as np
import pytest

from dlapps.data import features
from dlapps.data.features import BATCH, Features, cache_folder, computed_once, fingerprint, seen
from dlapps.data.pictures import UnreadablePictureError

ROWS = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
WHY = {1: "damaged: it ends", 4: "größer als erlaubt"}


@pytest.fixture
def counted():
    """A computation that counts how often it is done."""

    def compute():
        compute.times += 1
        return Features(ROWS, WHY, cached=False)

    compute.times = 0
    return compute


def assert_right(result):
    np.testing.assert_array_equal(result.rows, ROWS)
    assert result.rows.dtype == np.float32
    assert result.unreadable == WHY


def means(images):
    """Stands for a frozen network; one row a picture."""
    return [images.mean(axis=(1, 2))]


def grey(index):
    if index % 50 == 7:
        raise UnreadablePictureError(f"number {index} is torn")
    return np.full((4, 4, 3), index % 256, np.uint8)


def test_every_picture_is_seen_once_and_the_unreadable_are_named():
    sizes = []

    def look(images):
        sizes.append(len(images))
        return means(images)

    count = BATCH + 50
    result = seen(look, grey, count, 3, "Looking")
    unreadable = {7: "number 7 is torn", 57: "number 57 is torn", 107: "number 107 is torn"}
    assert result.unreadable == unreadable
    assert not result.cached
    expected = np.array([[0 if k in unreadable else k] * 3 for k in range(count)])
    np.testing.assert_array_equal(result.rows, expected)
    assert result.rows.dtype == np.float32
    assert sizes == [BATCH, count - BATCH - 3]


def test_nothing_is_looked_at_where_nothing_can_be_read():
    result = seen(pytest.fail, lambda index: grey(7), 2, 3, "Looking")
    assert result.unreadable.keys() == {0, 1}
    np.testing.assert_array_equal(result.rows, np.zeros((2, 3)))


def test_features_are_computed_once(tmp_path, counted):
    results = [computed_once("a", counted, tmp_path / "made/on/the/way") for _ in range(3)]
    assert counted.times == 1
    assert [result.cached for result in results] == [False, True, True]
    for result in results:
        assert_right(result)


def test_another_name_is_another_computation(tmp_path, counted):
    for name in ("a", "b"):
        computed_once(name, counted, tmp_path)
    assert counted.times == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]


def test_features_without_unreadable_pictures_are_kept_too(tmp_path):
    computed_once("a", lambda: Features(ROWS, {}, cached=False), tmp_path)
    result = computed_once("a", pytest.fail, tmp_path)
    assert result.cached
    assert result.unreadable == {}


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: b"", id="empty"),
        pytest.param(lambda data: b"text", id="text"),
        pytest.param(lambda data: data[: len(data) // 2], id="truncated"),
        pytest.param(lambda data: data[:-30], id="end"),
        pytest.param(lambda data: b"\x80\x04K\x01.", id="pickle"),
    ],
)
def test_damaged_features_are_computed_anew_and_mended(tmp_path, counted, damage):
    computed_once("a", counted, tmp_path)
    path = tmp_path / "a.npz"
    path.write_bytes(damage(path.read_bytes()))
    again = computed_once("a", counted, tmp_path)
    assert counted.times == 2
    assert not again.cached
    assert_right(again)
    assert computed_once("a", counted, tmp_path).cached


def test_features_of_another_layout_are_computed_anew(tmp_path, counted):
    np.savez(tmp_path / "a.npz", other=ROWS)
    assert_right(computed_once("a", counted, tmp_path))
    assert counted.times == 1


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_no_damage_of_the_file_changes_the_result(tmp_path, counted):
    computed_once("a", counted, tmp_path)
    path = tmp_path / "a.npz"
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        data = bytearray(whole)
        data[rng.integers(len(data))] ^= int(rng.integers(1, 256))
        path.write_bytes(data)
        assert_right(computed_once("a", counted, tmp_path))


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path, counted):
    (tmp_path / "file").write_text("in the way")
    for _ in range(2):
        assert_right(computed_once("a", counted, tmp_path / "file"))
    assert counted.times == 2
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_full_disk_costs_nothing_but_time(tmp_path, counted, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    assert_right(computed_once("a", counted, tmp_path))
    assert not [*tmp_path.iterdir()]


def test_the_cache_forgets_what_was_not_used_for_longest(tmp_path, counted, monkeypatch):
    for age, name in enumerate(("a", "b", "c")):
        computed_once(name, counted, tmp_path)
        os.utime(tmp_path / f"{name}.npz", (1000 + age, 1000 + age))
    computed_once("a", counted, tmp_path)  # Used: now the youngest.
    size = (tmp_path / "a.npz").stat().st_size
    monkeypatch.setattr(features, "MAX_CACHE_BYTES", 2 * size)
    computed_once("d", counted, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "d.npz"]


def test_the_newest_features_are_kept_however_large(tmp_path, counted, monkeypatch):
    monkeypatch.setattr(features, "MAX_CACHE_BYTES", 1)
    computed_once("a", counted, tmp_path)
    assert computed_once("a", counted, tmp_path).cached


def test_a_fingerprint_changes_with_every_part():
    parts = ["model", 224, 0.875, b"bytes", None]
    names = {fingerprint(parts)}
    for k in range(len(parts)):
        names.add(fingerprint([*parts[:k], "changed", *parts[k + 1 :]]))
        names.add(fingerprint(parts[:k]))
    names.add(fingerprint(parts[::-1]))
    assert len(names) == 2 * len(parts) + 2
    assert fingerprint(parts) == fingerprint(tuple(parts))


def test_a_fingerprint_tells_where_a_part_ends():
    assert fingerprint([b"ab", b"c"]) != fingerprint([b"a", b"bc"])
    assert fingerprint([1, 23]) != fingerprint([12, 3])


def test_the_cache_lies_where_the_user_wants_it(monkeypatch):
    monkeypatch.setenv("DLAPPS_CACHE", "named")
    monkeypatch.setenv("XDG_CACHE_HOME", "xdg")
    assert cache_folder() == Path("named")
    monkeypatch.delenv("DLAPPS_CACHE")
    assert cache_folder() == Path("xdg/dlapps")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "dlapps"
