import contextlib
import pickle
import resource
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dlapps.states import read_state, write_state

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
