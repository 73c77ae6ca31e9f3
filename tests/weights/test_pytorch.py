import io
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from dlapps.weights.pytorch import DTYPES, LEGACY_MAGIC, LEGACY_PROTOCOL, read_pytorch
from tests.weights.checkpoints import Call, Name, Persistent, Stored, checkpoint, opcodes


def read(tmp_path, data):
    path = tmp_path / "a.pth"
    path.write_bytes(data)
    return read_pytorch(path)


@pytest.fixture
def refusal(tmp_path):
    """Returns why a file is refused; whatever it is, a ValueError that names the file."""

    def refuse(data):
        with pytest.raises(
            ValueError, match=r"a\.pth is not a PyTorch state dictionary: "
        ) as caught:
            read(tmp_path, data)
        return str(caught.value)

    return refuse


FOUR = np.arange(4, dtype=np.float32)
SQUARE = Stored("1", FOUR, (2, 2), (2, 1))


@pytest.mark.parametrize("kind", DTYPES)
def test_every_dtype_is_read_back(tmp_path, kind):
    values = np.array([0, 1, 100, 0, 1, 127]).astype(DTYPES[kind])
    found = read(tmp_path, checkpoint({"x": Stored("1", values, (2, 3), (3, 1), kind=kind)}))["x"]
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values.reshape(2, 3))


def test_names_keep_the_order_of_the_file(tmp_path):
    tensors = {name: Stored(name, FOUR, (4,), (1,)) for name in ("b", "a", "c.weight")}
    assert [*read(tmp_path, checkpoint(tensors))] == ["b", "a", "c.weight"]


@pytest.mark.parametrize(
    ("shape", "strides", "offset", "expected"),
    [
        pytest.param((3, 4), (4, 1), 0, lambda x: x.reshape(3, 4), id="rows"),
        pytest.param((4, 3), (1, 4), 0, lambda x: x.reshape(3, 4).T, id="transposed"),
        pytest.param((3, 2), (4, 2), 1, lambda x: x.reshape(3, 4)[:, 1::2], id="every-second"),
        pytest.param((2, 3), (0, 1), 9, lambda x: np.stack([x[9:], x[9:]]), id="expanded"),
        pytest.param((), (), 5, lambda x: x[5], id="scalar"),
        pytest.param((0, 4), (4, 1), 0, lambda x: x[:0].reshape(0, 4), id="empty"),
        pytest.param((1, 1), (99, 99), 11, lambda x: x[11:].reshape(1, 1), id="idle-strides"),
    ],
)
def test_a_view_of_a_storage_is_cut_out(tmp_path, shape, strides, offset, expected):
    values = np.arange(12, dtype=np.float32)
    found = read(tmp_path, checkpoint({"x": Stored("1", values, shape, strides, offset)}))["x"]
    np.testing.assert_array_equal(found, expected(values))


def test_tensors_may_share_a_storage_but_not_the_arrays(tmp_path):
    tensors = {"x": SQUARE, "y": Stored("1", FOUR, (2,), (1,), 2)}
    found = read(tmp_path, checkpoint(tensors))
    np.testing.assert_array_equal(found["y"], found["x"][1])
    found["x"][:] = -1  # A copy, and one that may be written to.
    np.testing.assert_array_equal(found["y"], [2, 3])


def test_what_is_no_tensor_is_left_out(tmp_path):
    assert [*read(tmp_path, checkpoint({"epoch": 3, "x": SQUARE, "name": "net"}))] == ["x"]


@pytest.mark.parametrize(
    ("module", "name", "arguments"),
    [
        pytest.param("os", "system", ("touch ran",), id="os.system"),
        pytest.param("posix", "system", ("touch ran",), id="posix.system"),
        pytest.param("subprocess", "call", (("touch", "ran"),), id="subprocess"),
        pytest.param("builtins", "eval", ("open('ran', 'w')",), id="eval"),
        pytest.param("builtins", "exec", ("open('ran', 'w')",), id="exec"),
        pytest.param("builtins", "open", ("ran", "w"), id="open"),
        pytest.param("builtins", "getattr", ("", "join"), id="getattr"),
        pytest.param("torch", "load", ("ran",), id="torch"),
        pytest.param("torch.FloatStorage", "x", (), id="near-torch"),
        pytest.param("collections", "Counter", (), id="near-collections"),
        pytest.param("dlapps.weights.pytorch", "read_pytorch", ("a.pth",), id="ours"),
    ],
)
@pytest.mark.parametrize("place", ["value", "name"])
def test_what_no_tensor_needs_is_refused_and_not_run(
    tmp_path, refusal, module, name, arguments, place
):
    call = Call(Name(module, name), arguments)
    tensors = {"x": SQUARE, "y": call} if place == "value" else {"x": SQUARE, "y": (1, call)}
    message = refusal(checkpoint(tensors))
    assert message.endswith(f"it asks for {module}.{name}, which no tensor needs")
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]


@pytest.mark.parametrize("part", range(5))
def test_no_part_of_the_file_is_unpickled_freely(tmp_path, refusal, part):
    evil = b"\x80\x02" + opcodes(Call(Name("os", "system"), ("touch ran",))) + pickle.STOP
    parts = [pickle.dumps(x, protocol=2) for x in (LEGACY_MAGIC, LEGACY_PROTOCOL, {}, {}, [])]
    parts[part] = evil
    assert "it asks for os.system" in refusal(b"".join(parts))
    assert not (tmp_path / "ran").exists()


def test_a_plain_pickle_of_a_bomb_is_refused_and_not_run(tmp_path, refusal):
    class Bomb:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert "which no tensor needs" in refusal(pickle.dumps(Bomb(), protocol))
    assert not (tmp_path / "ran").exists()


def test_a_file_does_not_change_how_the_next_is_read(tmp_path):
    state = opcodes((None, {"array": Name("collections", "OrderedDict")}))
    program = opcodes(Name("torch._utils", "_rebuild_tensor_v2")) + state + pickle.BUILD
    parts = [pickle.dumps(x, protocol=2) for x in (LEGACY_MAGIC, LEGACY_PROTOCOL, {})]
    parts += [b"\x80\x02" + program + pickle.STOP, pickle.dumps([], protocol=2)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "dlapps.weights.pytorch._Tensor.array", read_pytorch.__globals__["_Tensor"].array
        )
        with pytest.raises(ValueError, match="is not a PyTorch"):
            read(tmp_path, b"".join(parts))
        assert read(tmp_path, checkpoint({"x": SQUARE}))["x"].shape == (2, 2)


@pytest.mark.parametrize("size", [0, 1, 20, 60, 200, -17, -16, -9, -8, -1])
def test_a_truncated_file_is_refused(refusal, size):
    refusal(checkpoint({"x": SQUARE})[:size])


def test_says_where_a_file_ends_too_early(refusal):
    assert "it ends within storage 1" in refusal(checkpoint({"x": SQUARE})[:-1])


def test_files_of_other_kinds_are_refused(refusal):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("archive/data.pkl", b"")
    for data in (archive.getvalue(), b"", b"text", b"\x89PNG\r\n\x1a\n", bytes(1000)):
        refusal(data)


def test_another_magic_or_protocol_number_is_refused(refusal):
    assert "its first number is not that" in refusal(pickle.dumps(1, protocol=2))
    parts = [pickle.dumps(x, protocol=2) for x in (LEGACY_MAGIC, 1002)]
    assert "its protocol is not 1001" in refusal(b"".join(parts))


@pytest.mark.parametrize(
    ("shape", "strides", "offset", "words"),
    [
        pytest.param((2, 2), (-2, 1), 2, "negative offset, size or stride", id="stride"),
        pytest.param((2,), (1,), -1, "negative offset, size or stride", id="offset"),
        pytest.param((-2, 2), (2, 1), 0, "negative offset, size or stride", id="size"),
        pytest.param((5,), (1,), 0, "beyond its storage", id="too-long"),
        pytest.param((2, 2), (3, 1), 0, "beyond its storage", id="too-far"),
        pytest.param((2,), (1,), 3, "beyond its storage", id="too-late"),
        pytest.param((1,), (1,), 4, "beyond its storage", id="behind"),
        pytest.param((2,), (2**62,), 0, "beyond its storage", id="overflow"),
        pytest.param((2, 2), (1,), 0, "", id="one-stride"),
        pytest.param(("a",), (1,), 0, "", id="words"),
        pytest.param(3, 1, 0, "", id="numbers"),
    ],
)
def test_a_view_that_leaves_its_storage_is_refused(refusal, shape, strides, offset, words):
    assert words in refusal(checkpoint({"x": Stored("1", FOUR, shape, strides, offset)}))


def test_storages_must_be_those_that_the_tensors_name(refusal):
    for keys in ([], ["2"], ["1", "2"]):
        assert "its storages are not those" in refusal(checkpoint({"x": SQUARE}, keys))


def test_a_storage_has_the_size_that_was_announced(refusal):
    data = bytearray(checkpoint({"x": SQUARE}))
    data[-24] = 5
    assert "storage 1 has 5 values, 4 were announced" in refusal(bytes(data))


def test_a_storage_is_a_plain_one(refusal):
    for words in (
        ("module", Name("torch", "FloatStorage"), "1", "cpu", 4, None),
        ("storage", Name("torch", "FloatStorage"), "1", "cpu", 4, ("1", 0, 4)),
    ):
        view = (Persistent(words), 0, (4,), (1,), False, None)
        tensors = {"x": Call(Name("torch._utils", "_rebuild_tensor_v2"), view)}
        assert "something else than plain storages" in refusal(checkpoint(tensors))


def test_what_is_no_dictionary_is_refused(refusal):
    parts = [pickle.dumps(x, protocol=2) for x in (LEGACY_MAGIC, LEGACY_PROTOCOL, {}, [1], [])]
    refusal(b"".join(parts))


def test_an_ordered_dictionary_is_one_too(tmp_path):
    parts = [pickle.dumps(x, protocol=2) for x in (LEGACY_MAGIC, LEGACY_PROTOCOL, {})]
    parts += [pickle.dumps(x, protocol=2) for x in (OrderedDict(epoch=1), [])]
    assert read(tmp_path, b"".join(parts)) == {}


def test_no_damage_does_more_than_raise_a_value_error(tmp_path):
    whole = checkpoint({"x": SQUARE, "y": Stored("2", FOUR, (4,), (1,))})
    rng = np.random.default_rng(0)
    for _ in range(400):
        data = bytearray(whole)
        data[rng.integers(len(data))] = int(rng.integers(256))
        try:
            found = read(tmp_path, bytes(data))
        except ValueError:
            continue
        assert all(isinstance(x, np.ndarray) for x in found.values())


def test_a_file_that_does_not_exist_is_not_called_damaged(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_pytorch(tmp_path / "none.pth")
