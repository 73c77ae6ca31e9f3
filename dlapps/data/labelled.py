"""Reads pictures with labels from the formats people keep them in."""

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from dlapps.data import samples, tfds
from dlapps.data.inputs import natural, pictures_in, table_rows, text_lines
from dlapps.data.pictures import Source
from dlapps.data.splits import SPLITS, split_folders, visible_folders
from dlapps.errors import UserError


@dataclass(frozen=True)
class Example:
    """A picture, the words it goes by, and the index of its label."""

    name: str
    source: Source
    label: int
    digest: str = ""


def read_labelled(data: str) -> tuple[str, list[str], dict[str, list[Example]]]:
    """Reads labelled pictures from any format.

    Args:
        data: A folder with one folder a class, or with train, val and test folders of such; a CSV
            file of path, label and perhaps split; `tfds:NAME`; or `sample`.

    Returns:
        What a run on it is called, the labels, and the examples by split: "train", "validation",
        "test", such as there are.

    Raises:
        UserError: If it is none of these, or names pictures or classes that do not fit.
    """
    if data == "sample":
        images, targets = samples.digits()
        examples = [
            Example(f"sample/{i}", image, int(target))
            for i, (image, target) in enumerate(zip(images, targets, strict=True))
        ]
        return "sample", [str(digit) for digit in range(10)], {"train": examples}
    if data.startswith("tfds:"):
        name, labels, read = tfds.labelled_pictures(data.removeprefix("tfds:"))
        splits = {
            SPLITS[split]: [Example(f"{data}/{split}/{i}", *row) for i, row in enumerate(rows)]
            for split, rows in read.items()
            if split in SPLITS  # Others, such as svhn's "extra", are parts of another kind.
        }
        return name, labels, splits
    path = Path(data)
    if path.is_dir():
        return path.resolve().name, *_read_folders(path)
    if path.is_file() and path.suffix.lower() in (".csv", ".tsv"):
        return path.stem, *_read_csv(path)
    if path.is_file():
        raise UserError(f"{data} is no dataset. Give a folder of class folders, or a .csv file.")
    raise UserError(f"{data} does not exist. Give a folder of class folders, a .csv or 'sample'.")


def _read_folders(root: Path) -> tuple[list[str], dict[str, list[Example]]]:
    folders = visible_folders(root)
    parts = split_folders(root)
    if "train" not in parts and not (parts and len(parts) == len(folders)):
        parts = {"train": root}
    classes = {split: _class_folders(folder) for split, folder in parts.items()}
    first = "train" if "train" in classes else next(iter(classes))
    labels = sorted(classes[first], key=natural)
    if not labels:
        raise UserError(
            f"{parts[first]} holds no class folders with pictures. "
            f"Put the pictures of each class in one, such as {root.name}/cat/1.jpg."
        )
    splits: dict[str, list[Example]] = {}
    for split, found in classes.items():
        extra = sorted(set(found) - set(labels))
        if extra:
            raise UserError(f"{parts[split]} holds the class '{extra[0]}', {parts[first]} not.")
        splits[split] = [
            Example(str(file), file, label)
            for label, name in enumerate(labels)
            for file in found.get(name, [])
        ]
    return labels, splits


def _class_folders(root: Path) -> dict[str, list[Path]]:
    found = {folder.name: pictures_in(folder) for folder in visible_folders(root)}
    return {name: pictures for name, pictures in found.items() if pictures}


def _read_csv(path: Path) -> tuple[list[str], dict[str, list[Example]]]:
    rows = table_rows(path, text_lines(path), "\t;,")
    columns = {"path": 0, "label": 1, "split": 2}
    if rows and {"label", "class"} & {cell.lower() for cell in rows[0][1]}:
        columns = _columns(path, [cell.lower() for cell in rows[0][1]])
        rows = rows[1:]
    if not rows:
        raise UserError(f"{path} holds no rows. Write one path,label a line.")
    return _labelled(path, rows, columns)


def _columns(path: Path, header: list[str]) -> dict[str, int]:
    names = {
        "path": ("path", "file", "filename", "image", "picture"),
        "label": ("label", "class"),
        "split": ("split",),
    }
    found = {
        column: next((header.index(word) for word in words if word in header), None)
        for column, words in names.items()
    }
    if found["path"] is None:
        raise UserError(f"{path}, line 1: no column 'path' among {', '.join(header)}.")
    return {column: index for column, index in found.items() if index is not None}


def _labelled(
    path: Path, rows: list[tuple[int, list[str]]], columns: dict[str, int]
) -> tuple[list[str], dict[str, list[Example]]]:
    read: list[tuple[str, Path, str]] = []
    missing: list[str] = []
    for number, row in rows:
        cells = {name: row[index] for name, index in columns.items() if index < len(row)}
        if not cells.get("path") or not cells.get("label"):
            raise UserError(f"{path}, line {number}: a path and a label are needed, got {row}.")
        split = cells.get("split", "") or "train"
        if split.lower() not in SPLITS:
            raise UserError(f"{path}, line {number}: split '{split}' is not train, val or test.")
        file = path.parent / cells["path"]
        if not os.path.isfile(file):  # Unlike Path's, it takes names of any length.
            missing.append(f"line {number}: {cells['path']}")
        read.append((SPLITS[split.lower()], file, cells["label"]))
    if missing:
        raise UserError(
            f"{path} names {len(missing)} pictures that do not exist, the first in {missing[0]}. "
            f"Paths are relative to {path.parent}/."
        )
    labels = sorted({label for _, _, label in read}, key=natural)
    places = {label: place for place, label in enumerate(labels)}
    splits: dict[str, list[Example]] = defaultdict(list)
    for split, file, label in read:
        splits[split].append(Example(str(file), file, places[label]))
    if "train" not in splits and len(splits) > 1:
        raise UserError(f"{path} has no row of the split 'train'.")
    return labels, dict(splits)
