"""Writes and reads states: arrays nested in dictionaries and lists, in files, safely."""

import json
import math
import os
import re
import secrets
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from dlapps.files import replacement

ARRAY = "__array__"
OUTLINE = "outline"
BESIDE = "__beside__"
# What numpy, zipfile and json raise for files that are damaged in one way or another.
DAMAGED = (
    OSError, ValueError, LookupError, EOFError, RuntimeError, TypeError, AttributeError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class Kept(list):
    """Arrays that stay as they are through many states, such as the best weights so far.

    `write_state` writes them once, to a file beside the state, and names it in all states that
    hold them; a state that is written often has less to write then.
    """

    file: Path | None = None


class StateError(ValueError):
    """Says in a sentence what is wrong with the file of a state."""


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Writes a state, whole or not at all.

    Arrays of one kind stand end to end in one: thousands of small ones would each cost as much as
    a megabyte. Of what is `Kept`, the files that this state no longer needs are removed, but not
    before it is there.

    Args:
        path: The file; its folder is made.
        state: What JSON can hold, and arrays anywhere in it.

    Raises:
        OSError: If that is not possible.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    needed = list(_kept(state))
    for each in needed:
        if each.file is None or each.file.parent != path.parent or not each.file.is_file():
            # A name of its own for each, so that none is ever taken for another.
            file = path.with_name(f"{path.stem}.kept-{secrets.token_hex(8)}.npz")
            _write(file, {"arrays": list(each)})
            each.file = file
    _write(path, state)
    files = {each.file for each in needed}
    for file in path.parent.iterdir():
        if _stands_beside(file.name, path) and file not in files:
            file.unlink(missing_ok=True)


def _write(path: Path, state: dict[str, Any]) -> None:
    kinds: dict[str, list[np.ndarray]] = {}
    outline = json.dumps(_without_arrays(state, kinds))
    kinds[OUTLINE] = [np.frombuffer(outline.encode(), np.uint8)]
    with replacement(path) as beside, zipfile.ZipFile(beside, "w") as archive:
        for name, arrays in kinds.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                _write_end_to_end(member, arrays)


def read_state(path: Path) -> dict[str, Any]:
    """Reads a state; nothing in the file is executed.

    Raises:
        StateError: If it is damaged, or what is kept beside it is damaged or missing.
        OSError: If there is none, or it must not be read.
    """
    try:
        with path.open("rb") as file:
            try:
                state = _read(file, path)
            except FileNotFoundError as error:
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    raise StateError(f"{error.filename} is missing.") from error
                # A training has written a newer one meanwhile, and removed what that needs not.
                return read_state(path)
    except (StateError, FileNotFoundError, PermissionError):
        raise
    except DAMAGED as error:
        raise StateError(f"{path} is damaged, or no checkpoint.") from error
    if not isinstance(state, dict):
        raise StateError(f"{path} is no checkpoint.")
    return state


def _read(file: IO[bytes], path: Path) -> Any:
    """Reads what the file at `path` holds; if a part that is kept beside it is gone, says so."""
    with np.load(file, allow_pickle=False) as kept:
        outline = json.loads(kept[OUTLINE].tobytes())
        kinds = {name: kept[name] for name in kept.files if name != OUTLINE}
    return _with_arrays(outline, kinds, path)


def _stands_beside(name: str, path: Path) -> bool:
    """Returns whether a file of that name holds what is kept of the state at `path`."""
    return bool(re.fullmatch(rf"{re.escape(path.stem)}\.kept-[0-9a-f]{{16}}\.npz", name))


def _kept(tree: Any) -> Iterator[Kept]:
    if isinstance(tree, Kept):
        yield tree
    elif isinstance(tree, dict | list | tuple):
        for value in tree.values() if isinstance(tree, dict) else tree:
            yield from _kept(value)


def _read_kept(name: Any, path: Path) -> Kept:
    """Reads what is kept of the state at `path`."""
    if not _stands_beside(name, path):
        raise ValueError(f"{name} is no file of {path}.")
    file = path.with_name(name)
    kept = Kept(read_state(file)["arrays"])
    kept.file = file
    return kept


def _write_end_to_end(file: IO[bytes], arrays: Sequence[np.ndarray]) -> None:
    """Writes arrays of one dtype as one, in NumPy's format, straight from their memory."""
    count = sum(array.size for array in arrays)
    header = {"descr": arrays[0].dtype.str, "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(file, header)
    for array in arrays:
        file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def _without_arrays(tree: Any, kinds: dict[str, list[np.ndarray]]) -> Any:
    if isinstance(tree, dict):
        return {str(name): _without_arrays(value, kinds) for name, value in tree.items()}
    if isinstance(tree, Kept) and tree.file:
        return {BESIDE: tree.file.name}
    if isinstance(tree, list | tuple):
        return [_without_arrays(value, kinds) for value in tree]
    if isinstance(tree, np.ndarray):
        if tree.dtype.hasobject:
            raise TypeError(f"A state holds numbers and text, got an array of {tree.dtype}.")
        kind = tree.dtype.str
        kinds.setdefault(kind, []).append(tree)
        return {ARRAY: kind, "shape": tree.shape}
    return tree.item() if isinstance(tree, np.generic) else tree


def _with_arrays(tree: Any, kinds: Mapping[str, np.ndarray], path: Path) -> Any:
    """Puts the arrays back, which come in the order in which they were taken out."""
    places = dict.fromkeys(kinds, 0)

    def restored(tree: Any) -> Any:
        if isinstance(tree, list):
            return [restored(value) for value in tree]
        if not isinstance(tree, dict):
            return tree
        if BESIDE in tree:
            return _read_kept(tree[BESIDE], path)
        if ARRAY not in tree:
            return {name: restored(value) for name, value in tree.items()}
        if "shape" not in tree:  # From before arrays stood end to end: each had its own name.
            return kinds[tree[ARRAY]]
        kind, shape = tree[ARRAY], tree["shape"]
        first = places[kind]
        places[kind] += math.prod(shape)
        # A copy, for a view would keep all others in memory.
        return kinds[kind][first : places[kind]].reshape(shape).copy()

    return restored(tree)
