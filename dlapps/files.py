"""Writes a file whole or not at all."""

import contextlib
import itertools
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from dlapps.errors import UserError, reason

# Names that `replacement` gives to what is being written; only a kill leaves one behind.
BESIDE = ".*.????????.*"


@contextlib.contextmanager
def replacement(path: Path) -> Iterator[Path]:
    """Yields a path beside `path`; what is written there takes its place when all went well.

    A kill at any moment leaves the old file or the new one.

    Raises:
        OSError: If the folder cannot be written to.
    """
    if path.exists() and not path.is_file():
        yield path  # A pipe or a device is written to, never replaced.
        return
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
    os.close(handle)
    beside = Path(name)
    try:
        yield beside
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        mask = os.umask(0)  # mkstemp makes files that only their owner may read.
        os.umask(mask)
        beside.chmod(0o666 & ~mask)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def text_file(path: Path) -> Iterator[TextIO]:
    """Yields a file to write text to, which takes the place of `path` when all went well.

    Raises:
        UserError: If that is not possible.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacement(path) as beside, beside.open("w", encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise UserError(f"{path} cannot be written: {reason(error)}.") from error


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Writes lines to `path` as they come; the file appears when all are there.

    Raises:
        UserError: If that is not possible.
    """
    with text_file(path) as file:
        for line in lines:
            file.write(line + "\n")


def write(path: Path, content: str | bytes) -> None:
    """Writes `content` to `path`, making its folder where there is none.

    Raises:
        UserError: If that is not possible.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacement(path) as beside:
            beside.write_bytes(data)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {reason(error)}.") from error


def writable_folder(path: Path) -> None:
    """Makes a folder where there is none, and checks that files can be made in it.

    Raises:
        UserError: If that is not possible.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UserError(f"{path} cannot be written to: {reason(error)}.") from error


def stem(name: str) -> str:
    """Returns what a file made from an input of that name is called, without a suffix.

    It is the last part alone: no name, however it reads, leads out of a folder.
    """
    return Path(name).stem.lstrip(".-") or "picture"


def new_name(stem: str, suffix: str, taken: set[str]) -> str:
    """Returns the name of a new file, and takes it; a number tells equal names apart.

    Args:
        stem: Its beginning.
        suffix: Its end, with the dot.
        taken: Names of the other files.
    """
    numbers = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    name = next(n for k in numbers if (n := f"{stem}{k}{suffix}") not in taken)
    taken.add(name)
    return name


def keep_apart(option: str, folder: Path, sources: Iterable[object]) -> None:
    """Checks that what is read does not lie where something is to be written.

    Args:
        option: What names the folder.
        folder: Where to write.
        sources: What is read; only paths count.

    Raises:
        UserError: If one lies in the folder, where it might be overwritten.
    """
    read_from = {source.parent for source in sources if isinstance(source, Path)}
    if folder.resolve() in {parent.resolve() for parent in read_from}:
        raise UserError(
            f"{option} {folder} is where INPUTS are read from, and they might be overwritten. "
            "Name another folder."
        )
