"""Writes and reads states: arrays nested in dictionaries and lists, in one file, safely."""

import json
import math
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from dlapps.files import replacement

ARRAY = "__array__"
OUTLINE = "outline"
# What numpy, zipfile and json raise for files that are damaged in one way or another.
DAMAGED = (
    OSError, ValueError, LookupError, EOFError, RuntimeError, TypeError, AttributeError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Writes a state, whole or not at all.

    Arrays of one kind stand end to end in one: thousands of small ones would each cost as much as
    a megabyte.

    Args:
        path: The file; its folder is made.
        state: What JSON can hold, and arrays anywhere in it.

    Raises:
        OSError: If that is not possible.
    """
    kinds: dict[str, list[np.ndarray]] = {}
    outline = json.dumps(_without_arrays(state, kinds))
    kinds[OUTLINE] = [np.frombuffer(outline.encode(), np.uint8)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacement(path) as beside, zipfile.ZipFile(beside, "w") as archive:
        for name, arrays in kinds.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                _write_end_to_end(member, arrays)


def read_state(path: Path) -> dict[str, Any]:
    """Reads a state; nothing in the file is executed.

    Raises:
        ValueError: If it is damaged.
        OSError: If there is none, or it must not be read.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            outline = json.loads(kept[OUTLINE].tobytes())
            kinds = {name: kept[name] for name in kept.files if name != OUTLINE}
            state = _with_arrays(outline, kinds)
    except (FileNotFoundError, PermissionError):
        raise
    except DAMAGED as error:
        raise ValueError(f"{path} is damaged, or no checkpoint.") from error
    if not isinstance(state, dict):
        raise ValueError(f"{path} is no checkpoint.")
    return state


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
    if isinstance(tree, list | tuple):
        return [_without_arrays(value, kinds) for value in tree]
    if isinstance(tree, np.ndarray):
        if tree.dtype.hasobject:
            raise TypeError(f"A state holds numbers and text, got an array of {tree.dtype}.")
        kind = tree.dtype.str
        kinds.setdefault(kind, []).append(tree)
        return {ARRAY: kind, "shape": tree.shape}
    return tree.item() if isinstance(tree, np.generic) else tree


def _with_arrays(tree: Any, kinds: Mapping[str, np.ndarray]) -> Any:
    """Puts the arrays back, which come in the order in which they were taken out."""
    places = dict.fromkeys(kinds, 0)

    def restored(tree: Any) -> Any:
        if isinstance(tree, list):
            return [restored(value) for value in tree]
        if not isinstance(tree, dict):
            return tree
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
