"""Reads the tensors of a PyTorch checkpoint without PyTorch and without running its pickle."""

import io
import math
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from dlapps.errors import one_line

# The first of the five parts of a file from before PyTorch 1.6, see `_legacy_save` in
# https://github.com/pytorch/pytorch/blob/main/torch/serialization.py
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
MOST_GROWTH = 10
DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


class _Storage:
    """Numbers named by the pickle, whose bytes follow behind it."""

    def __init__(self, dtype: str, size: int):
        self.dtype = np.dtype(dtype)
        self.size = size
        self.values = np.empty(0, self.dtype)


class _Tensor:
    """A view of a storage, to be cut out once the storage has been read."""

    def __init__(self, storage: _Storage, offset: int, shape: tuple, strides: tuple, *_: Any):
        self.storage = storage
        self.offset = offset
        self.shape = shape
        self.strides = strides

    def array(self) -> np.ndarray:
        values = self.storage.values[self.offset :]
        # as_strided trusts its caller, and these numbers come from the file.
        last = sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        empty = 0 in self.shape
        if self.offset < 0 or min(self.strides, default=0) < 0 or min(self.shape, default=0) < 0:
            raise ValueError("a tensor has a negative offset, size or stride.")
        if not empty and last >= len(values):
            raise ValueError(f"a tensor of shape {self.shape} reaches beyond its storage.")
        steps = tuple(step * values.itemsize for step in self.strides)
        return np.array(np.lib.stride_tricks.as_strided(values, self.shape, steps))


def _tensor(*parts: Any) -> _Tensor:
    """Makes a tensor; a pickle gets this function, not the class, whose attributes it could set."""
    return _Tensor(*parts)


class _Unpickler(pickle._Unpickler):
    """Knows the handful of names that a dictionary of tensors needs, and refuses the rest.

    It is Python's own reader written in Python: that in C takes as much memory as a file of some
    bytes asks for.
    """

    # An array of bytes would be made as long as the file claims, before any is read.
    dispatch = {  # noqa: RUF012  as in the class above
        code: read
        for code, read in pickle._Unpickler.dispatch.items()
        if code != pickle.BYTEARRAY8[0]
    }

    def __init__(self, file: BinaryIO):
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no tensor needs")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _device, size, view = pid
        # A tuple of tuples may be endless for whoever writes it out, as NumPy would a wrong dtype.
        plain = isinstance(dtype, str) and isinstance(key, str) and isinstance(size, int)
        if not plain or kind != "storage" or view is not None:
            raise pickle.UnpicklingError("it holds something else than plain storages")
        return self.storages.setdefault(key, _Storage(dtype, size))


def read_pytorch(path: str | Path) -> dict[str, np.ndarray]:
    """Reads a state dictionary saved by PyTorch before 1.6 (its legacy format).

    Nothing from the file is executed: its pickle may name ordered dictionaries and tensors only.

    Args:
        path: A `.pth` or `.pt` file holding a dictionary from names to tensors.

    Returns:
        The arrays by name, in the order of the file.

    Raises:
        ValueError: If the file is none of these, is cut short, or asks for anything else.
    """
    try:
        return _read_legacy(io.BytesIO(Path(path).read_bytes()))
    except (
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        TypeError,
        AttributeError,
        IndexError,
        KeyError,
        ImportError,
        OverflowError,
        MemoryError,
        RecursionError,
        AssertionError,
        struct.error,
    ) as error:
        said = isinstance(error, ValueError | pickle.UnpicklingError)
        why = str(error) if said else type(error).__name__
        text = one_line(f"{path} is not a PyTorch state dictionary: {why}")
        raise ValueError(text) from error


def _read_legacy(file: BinaryIO) -> dict[str, np.ndarray]:
    if _Unpickler(file).load() != LEGACY_MAGIC:
        raise ValueError("its first number is not that of the legacy format.")
    if _Unpickler(file).load() != LEGACY_PROTOCOL:
        raise ValueError("its protocol is not 1001.")
    _Unpickler(file).load()  # About the machine that wrote it; storages are little-endian.
    unpickler = _Unpickler(file)
    tensors = unpickler.load()
    keys = _Unpickler(file).load()
    if not isinstance(tensors, dict) or set(keys) != set(unpickler.storages):
        raise ValueError("its storages are not those its tensors name.")
    for key in keys:
        storage = unpickler.storages[key]
        size = int.from_bytes(file.read(8), "little")
        if size != storage.size:
            raise ValueError(f"storage {key} has {size} values, {storage.size} were announced.")
        raw = file.read(size * storage.dtype.itemsize)
        if len(raw) != size * storage.dtype.itemsize:
            raise ValueError(f"it ends within storage {key}.")
        storage.values = np.frombuffer(raw, storage.dtype)
    found = {name: x for name, x in tensors.items() if isinstance(x, _Tensor)}
    # Tensors may share a storage, and show a number many times; a small file must not fill the
    # memory so.
    wanted = sum(math.prod(x.shape) for x in found.values())
    if wanted > MOST_GROWTH * sum(len(x.values) for x in unpickler.storages.values()) + 1_000_000:
        raise ValueError("its tensors are much larger than its storages.")
    return {name: x.array() for name, x in found.items()}
