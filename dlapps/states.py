"""Writes and reads states: arrays nested in dictionaries and lists, in one file, safely."""

import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dlapps.files import replacement

ARRAY = "__array__"
# What numpy, zipfile and json raise for files that are damaged in one way or another.
DAMAGED = (
    OSError, ValueError, LookupError, EOFError, RuntimeError, TypeError, AttributeError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Writes a state, whole or not at all.

    Args:
        path: The file; its folder is made.
        state: What JSON can hold, and arrays anywhere in it.

    Raises:
        OSError: If that is not possible.
    """
    arrays: dict[str, np.ndarray] = {}
    outline = json.dumps(_without_arrays(state, arrays))
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacement(path) as beside, beside.open("wb") as file:
        arrays["outline"] = np.frombuffer(outline.encode(), np.uint8)
        np.savez(file, allow_pickle=False, **arrays)


def read_state(path: Path) -> dict[str, Any]:
    """Reads a state; nothing in the file is executed.

    Raises:
        ValueError: If it is damaged.
        OSError: If there is none, or it must not be read.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            outline = json.loads(kept["outline"].tobytes())
            state = _with_arrays(outline, kept)
    except (FileNotFoundError, PermissionError):
        raise
    except DAMAGED as error:
        raise ValueError(f"{path} is damaged, or no checkpoint.") from error
    if not isinstance(state, dict):
        raise ValueError(f"{path} is no checkpoint.")
    return state


def _without_arrays(tree: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(tree, dict):
        return {str(name): _without_arrays(value, arrays) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_without_arrays(value, arrays) for value in tree]
    if isinstance(tree, np.ndarray):
        name = f"a{len(arrays)}"
        arrays[name] = tree
        return {ARRAY: name}
    return tree.item() if isinstance(tree, np.generic) else tree


def _with_arrays(tree: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if isinstance(tree, dict):
        if tree.keys() == {ARRAY}:
            return arrays[tree[ARRAY]]
        return {name: _with_arrays(value, arrays) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_with_arrays(value, arrays) for value in tree]
    return tree
