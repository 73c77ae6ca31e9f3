"""Turns the INPUTS of a command line into the pictures they name, in order."""

import csv
import glob
import os
import re
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from dlapps.data.pictures import SUFFIXES, Source
from dlapps.errors import UserError, nearest, reason


@dataclass(frozen=True)
class Input:
    """A picture to read and the words it goes by in the results."""

    name: str
    source: Source


def picture_inputs(
    words: Iterable[str], suffixes: Collection[str] = SUFFIXES, kind: str = "pictures"
) -> list[Input]:
    """Lists the pictures that INPUTS names.

    Args:
        words: Files, folders (searched to the bottom for picture files), globs, `.txt` lists of
            such, and `-` for standard input: one picture, or a list of paths.
        suffixes: Of the files to take from a folder, in small letters.
        kind: What these are.

    Returns:
        The inputs in the order named; within a folder or glob, sorted as people count.

    Raises:
        UserError: If a word names nothing.
    """
    return [found for word in words for found in _found(word, suffixes, kind)]


def _found(word: str, suffixes: Collection[str], kind: str) -> list[Input]:
    if word == "-":
        return _standard_input()
    found = named_files(word, suffixes, kind)
    if len(found) == 1 and found[0][0] == word and found[0][1].suffix.lower() == ".txt":
        path = found[0][1]
        return _listed(text_lines(path), path.parent, word)
    return [Input(name, path) for name, path in found]


def named_files(word: str, suffixes: Collection[str], kind: str) -> list[tuple[str, Path]]:
    """Lists the files that a word names, with what they go by.

    Args:
        word: A file, a folder (searched to the bottom) or a glob.
        suffixes: Of the files to take from a folder, in small letters.
        kind: What they are, such as "pictures".

    Raises:
        UserError: If there is none.
    """
    path = Path(word)
    try:
        if path.is_dir():
            files = files_in(path, suffixes)
            if not files:
                raise UserError(f"{word} holds no {kind} ({' '.join(sorted(suffixes))}).")
            return [(str(file), file) for file in files]
        if path.exists():
            return [(word, path)]
        if glob.has_magic(word):
            matches = sorted(glob.glob(word, recursive=True), key=natural)
            files = [Path(match) for match in matches if Path(match).is_file()]
            if not files:
                raise UserError(f"{word} matches no file.")
            return [(str(file), file) for file in files]
        beside = path.parent
        names = [p.name for p in beside.iterdir()] if beside.is_dir() else []
    except OSError as error:  # Such as a name longer than any file's.
        raise UserError(f"{word} cannot be read: {reason(error)}.") from error
    raise UserError(f"{word} does not exist.{nearest(path.name, names)}")


def _standard_input() -> list[Input]:
    data = sys.stdin.buffer.read()
    if not data.strip():
        raise UserError("Standard input is empty. Pipe in one picture, or one path a line.")
    try:
        lines = data.decode().splitlines()
    except UnicodeDecodeError:
        return [Input("-", data)]
    if b"\0" in data:  # No path holds a zero byte; a small dark picture may be valid UTF-8.
        return [Input("-", data)]
    return _listed(lines, Path(), "standard input")


def text_lines(path: Path) -> list[str]:
    """Returns the lines of a text file in UTF-8.

    Raises:
        UserError: If it cannot be read, with the place of the first byte that is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a text file in UTF-8 (byte {error.start}).") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {reason(error)}.") from error


def table_rows(path: Path, lines: list[str], delimiters: str) -> list[tuple[int, list[str]]]:
    """Returns the rows of a table that hold something, with their numbers, from 1 on.

    Args:
        path: Where the lines come from.
        lines: Of the file.
        delimiters: What may stand between cells; that which is most often in the first line does.

    Raises:
        UserError: If a cell never ends.
    """
    first = next((line for line in lines if line.strip()), "")
    delimiter = max(delimiters, key=first.count) if first else ","
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        rows = [(number, [cell.strip() for cell in row]) for number, row in enumerate(reader, 1)]
    except csv.Error as error:
        raise UserError(
            f"{path}, line {reader.line_num}: {reason(error)}. Is a quotation mark missing?"
        ) from error
    return [(number, row) for number, row in rows if any(row)]


def _listed(lines: list[str], folder: Path, origin: str) -> list[Input]:
    """Lists the pictures of a list; a path in it may be relative to the list or to here."""
    listed = []
    for number, line in enumerate(lines, start=1):
        name = line.strip()
        if not name or name.startswith("#"):
            continue
        # Unlike Path's, it takes names of any length.
        places = [place for place in (folder / name, Path(name)) if os.path.isfile(place)]
        if not places:
            raise UserError(f"{origin}, line {number}: {name} does not exist.")
        listed.append(Input(name, places[0]))
    if not listed:
        raise UserError(f"{origin} names no picture. Write one path a line.")
    return listed


def pictures_in(folder: Path) -> list[Path]:
    """Returns the picture files below a folder; see `files_in`."""
    return files_in(folder, SUFFIXES)


def files_in(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Returns the files below a folder, hidden ones left out, sorted as people count.

    Args:
        folder: Where to look.
        suffixes: Of the files to take, in small letters.
    """
    files = [
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in suffixes
        and not any(part.startswith((".", "__MACOSX")) for part in path.relative_to(folder).parts)
        and path.is_file()
    ]
    return sorted(files, key=lambda path: natural(str(path)))


def natural(text: str) -> list[tuple[int, int | str]]:
    """Returns a sort key that puts `10.jpg` behind `9.jpg`."""
    # Longer numbers than these Python does not read.
    parts = re.split(r"(\d{1,4000})", text)
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts if part]
