import contextlib
import pickle
import re
import resource
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dlapps import states
from dlapps.states import Kept, StateError, read_state, write_state

KEPT = {
    "numbers": [1, -2.5, float("inf"), None, True],
    "arrays": {"a": [np.arange(6, dtype=np.float32).reshape(2, 3)], "b": np.array(7, np.uint32)},
    "empty": [np.zeros((0, 3), np.int64), [], {}],
    "text": "größer",
}


def test_a_state_is_read_as_it_was_written(tmp_path):
    write_state(tmp_path / "a.npz", KEPT)
    again = read_state(tmp_path / "a.npz")
    np.testing.assert_equal(again, KEPT)
    assert [each.dtype for each in (again["arrays"]["a"][0], again["arrays"]["b"])] == [
        np.float32,
        np.uint32,
    ]


def test_arrays_of_any_kind_and_order_of_memory_stand_where_they_stood(tmp_path):
    mixed = [
        np.arange(6, dtype=np.float16).reshape(2, 3).T,
        np.array([[True, False]]),
        np.array(["a", "größer"]),
        np.arange(4, dtype=">f4"),
        np.arange(4, dtype="<f4")[::2],
        np.zeros((2, 0), np.float16),
        {"deep": [np.arange(5, dtype=np.float16)]},
    ]
    write_state(tmp_path / "a.npz", {"mixed": mixed})
    np.testing.assert_equal(read_state(tmp_path / "a.npz"), {"mixed": mixed})


def test_thousands_of_small_arrays_are_a_few_entries_of_the_file(tmp_path):
    many = [np.full(3, k, np.float32) for k in range(2000)]
    write_state(tmp_path / "a.npz", {"many": many})
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert len(archive.namelist()) == 2
    np.testing.assert_equal(read_state(tmp_path / "a.npz")["many"], many)


def test_states_from_before_arrays_stood_end_to_end_are_read(tmp_path):
    outline = b'{"a": [{"__array__": "a1"}, 3], "b": {"__array__": "a0"}}'
    arrays = {"a0": np.arange(6.0).reshape(2, 3), "a1": np.array(7, np.uint32)}
    np.savez(tmp_path / "a.npz", outline=np.frombuffer(outline, np.uint8), **arrays)
    expected = {"a": [arrays["a1"], 3], "b": arrays["a0"]}
    np.testing.assert_equal(read_state(tmp_path / "a.npz"), expected)


def test_an_array_of_objects_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(TypeError, match="numbers and text, got an array of object"):
        write_state(tmp_path / "a.npz", {"a": np.array([Trap()], object)})
    assert not list(tmp_path.iterdir())


def test_numbers_of_numpy_and_tuples_are_written_as_those_of_python(tmp_path):
    write_state(tmp_path / "a.npz", {"a": (np.float64(0.1), np.int32(3)), "b": np.bool_(True)})
    assert read_state(tmp_path / "a.npz") == {"a": [0.1, 3], "b": True}


def test_no_damage_of_a_checkpoint_is_more_than_one_error(tmp_path):
    path, kept = tmp_path / "a.npz", {"a": [np.arange(4, dtype=np.float32)], "b": 3}
    write_state(path, kept)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(bytes([*whole[:place], whole[place] ^ 1, *whole[place + 1 :]]))
        with contextlib.suppress(ValueError):  # Or it is in a field that nobody reads.
            np.testing.assert_equal(read_state(path), kept)
    for length in range(0, len(whole), 5):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"a\.npz is damaged, or no checkpoint\.$"):
            read_state(path)


class Trap:
    def __reduce__(self):
        return Path.touch, (Path("executed"),)


def test_nothing_in_a_checkpoint_is_executed(tmp_path):
    outline = np.frombuffer(b'{"a": {"__array__": "a0"}}', np.uint8)
    np.savez(tmp_path / "a.npz", outline=outline, a0=np.array([Trap()], object))
    (tmp_path / "b.npz").write_bytes(pickle.dumps(Trap()))
    for name in ("a.npz", "b.npz"):
        with pytest.raises(ValueError, match="is damaged, or no checkpoint"):
            read_state(tmp_path / name)
    assert not (tmp_path / "executed").exists()
    pickle.loads(pickle.dumps(Trap()))
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "outline",
    [
        pytest.param(b"[]", id="list"),
        pytest.param(b"{", id="not-json"),
        pytest.param(b'{"a": {"__array__": "a9"}}', id="array-missing"),
        pytest.param(b'{"a": {"__array__": [1]}}', id="array-unnamed"),
        pytest.param(b'{"a": {"__array__": "three", "shape": [4]}}', id="array-too-long"),
        pytest.param(b'{"a": {"__array__": "three", "shape": ["3"]}}', id="shape-of-text"),
    ],
)
def test_what_is_no_state_is_refused(tmp_path, outline):
    np.savez(tmp_path / "a.npz", outline=np.frombuffer(outline, np.uint8), three=np.zeros(3))
    with pytest.raises(ValueError, match="no checkpoint"):
        read_state(tmp_path / "a.npz")


def test_a_checkpoint_that_is_not_there_is_another_error():
    with pytest.raises(FileNotFoundError):
        read_state(Path("no.npz"))


def test_a_disk_without_space_leaves_the_checkpoint_before_and_no_litter(tmp_path):
    path = tmp_path / "state.npz"
    write_state(path, KEPT)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_state(path, {"large": [np.zeros(1000)] * 3})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    np.testing.assert_equal(read_state(path), KEPT)
    assert [each.name for each in tmp_path.iterdir()] == ["state.npz"]


def beside(path):
    return sorted(each.name for each in path.parent.iterdir() if each != path)


def test_what_is_kept_is_written_once_and_removed_when_no_state_needs_it(tmp_path):
    path, best = tmp_path / "state.npz", Kept([np.arange(3.0), np.zeros((2, 2), np.int32)])
    (tmp_path / "state.kept-of-mine.npz").touch()
    write_state(path, {"step": 1, "of": {"best": best}, "again": [best]})
    first = beside(path)
    assert len(first) == 2
    written = (tmp_path / first[0]).stat()
    write_state(path, {"step": 2, "of": {"best": best}})
    assert beside(path) == first
    assert (tmp_path / first[0]).stat() == written
    read = read_state(path)
    np.testing.assert_equal(read, {"step": 2, "of": {"best": list(best)}})
    write_state(path, read)  # What was read is kept as well.
    assert (tmp_path / first[0]).stat() == written
    write_state(path, {"step": 3, "of": {"best": Kept([np.ones(1)])}})
    assert len(beside(path)) == 2
    assert first[0] not in beside(path)
    np.testing.assert_equal(read_state(path)["of"], {"best": [np.ones(1)]})
    write_state(path, {})
    assert beside(path) == ["state.kept-of-mine.npz"]


def test_what_is_kept_is_written_for_each_folder_that_a_state_is_written_to(tmp_path):
    best = Kept([np.arange(3.0)])
    for name in "ab":
        write_state(tmp_path / name / "state.npz", {"best": best})
    np.testing.assert_equal(read_state(tmp_path / "a/state.npz"), {"best": [np.arange(3.0)]})
    np.testing.assert_equal(read_state(tmp_path / "b/state.npz"), {"best": [np.arange(3.0)]})


def test_a_state_that_cannot_replace_the_one_before_leaves_what_that_needs(tmp_path, monkeypatch):
    def refuse(file, target):
        if target == path:
            raise OSError(28, "No space left on device")
        return replace(file, target)

    path, replace = tmp_path / "state.npz", Path.replace
    write_state(path, {"best": Kept([np.arange(3.0)])})
    before = beside(path)
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        write_state(path, {"best": Kept([np.ones(1)])})
    assert set(before) < set(beside(path))
    np.testing.assert_equal(read_state(path), {"best": [np.arange(3.0)]})
    monkeypatch.undo()
    write_state(path, {"best": Kept([np.ones(2)])})
    assert len(beside(path)) == 1  # What the failure had left is gone too.


def test_what_is_kept_and_damaged_or_missing_is_named(tmp_path):
    path = tmp_path / "state.npz"
    write_state(path, {"best": Kept([np.arange(3.0)])})
    [name] = beside(path)
    (tmp_path / name).write_bytes(b"no")
    with pytest.raises(StateError, match=f"{re.escape(name)} is damaged, or no checkpoint"):
        read_state(path)
    (tmp_path / name).unlink()
    with pytest.raises(StateError, match=f"{re.escape(name)} is missing"):
        read_state(path)


def test_a_state_that_is_replaced_while_it_is_read_is_read_anew(tmp_path, monkeypatch):
    def overtaken(name, path):
        monkeypatch.undo()
        write_state(path, {"best": Kept([np.ones(1)])})
        return read_kept(name, path)

    path, read_kept = tmp_path / "state.npz", states._read_kept
    write_state(path, {"best": Kept([np.arange(3.0)])})
    monkeypatch.setattr(states, "_read_kept", overtaken)
    np.testing.assert_equal(read_state(path), {"best": [np.ones(1)]})


@pytest.mark.parametrize("name", ['"../b.npz"', '"b.npz"', '"/b.npz"', "3", '["b.npz"]', "null"])
def test_nothing_but_what_was_kept_is_read_beside_a_state(tmp_path, name):
    write_state(tmp_path / "b.npz", {"arrays": [np.zeros(3)]})
    write_state(tmp_path / "in/b.npz", {"arrays": [np.zeros(3)]})
    outline = np.frombuffer(f'{{"a": {{"__beside__": {name}}}}}'.encode(), np.uint8)
    np.savez(tmp_path / "in/state.npz", outline=outline)
    with pytest.raises(ValueError, match="no checkpoint"):
        read_state(tmp_path / "in/state.npz")
