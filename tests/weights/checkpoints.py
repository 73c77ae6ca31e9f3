"""Writes checkpoints opcode by opcode, as PyTorch did before 1.6, so that PyTorch is not needed."""

import pickle
from dataclasses import dataclass

import numpy as np

from dlapps.weights.pytorch import LEGACY_MAGIC, LEGACY_PROTOCOL


@dataclass
class Name:
    """A thing that the pickle asks for by module and name."""

    module: str
    name: str


@dataclass
class Call:
    function: Name
    arguments: tuple


@dataclass
class Persistent:
    """Something that lies outside of the pickle: a storage."""

    words: tuple


@dataclass
class Stored:
    """A tensor: its view of the storage `key`, and all numbers of that storage."""

    key: str
    values: np.ndarray
    shape: tuple
    strides: tuple
    offset: int = 0
    kind: str = "FloatStorage"

    @property
    def call(self):
        kind = Name("torch", self.kind)
        storage = Persistent(("storage", kind, self.key, "cpu", len(self.values), None))
        hooks = Call(Name("collections", "OrderedDict"), ())
        view = (storage, self.offset, self.shape, self.strides, False, hooks)
        return Call(Name("torch._utils", "_rebuild_tensor_v2"), view)


def opcodes(thing):
    match thing:
        case Name():
            return f"c{thing.module}\n{thing.name}\n".encode()
        case Call():
            return opcodes(thing.function) + opcodes(thing.arguments) + pickle.REDUCE
        case Persistent():
            return opcodes(thing.words) + pickle.BINPERSID
        case tuple():
            return pickle.MARK + b"".join(map(opcodes, thing)) + pickle.TUPLE
        case dict():
            items = b"".join(opcodes(key) + opcodes(value) for key, value in thing.items())
            return pickle.EMPTY_DICT + pickle.MARK + items + pickle.SETITEMS
        case _:
            return pickle.dumps(thing, protocol=2)[2:-1]


def checkpoint(tensors, keys=None):
    """Returns the bytes of a file of tensors by name."""
    storages = {x.key: x.values for x in tensors.values() if isinstance(x, Stored)}
    program = {name: getattr(x, "call", x) for name, x in tensors.items()}
    parts = [pickle.dumps(x, protocol=2) for x in (LEGACY_MAGIC, LEGACY_PROTOCOL, {"little": True})]
    parts.append(b"\x80\x02" + opcodes(program) + pickle.STOP)
    parts.append(pickle.dumps([*storages] if keys is None else keys, protocol=2))
    parts += [len(x).to_bytes(8, "little") + x.tobytes() for x in storages.values()]
    return b"".join(parts)
