"""Reads boxes in the format of COCO: a JSON file with pictures, boxes and categories."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from dlapps.data.annotations import Annotation, Annotations, Findings
from dlapps.data.splits import SPLITS, split_folders
from dlapps.errors import UserError, reason

PARTS = ("images", "annotations", "categories")
FAR = 1e9  # Pixels; a number that is none is not nearer.
# What is odd, and what becomes of it.
MISSING = "Pictures that do not exist, left out"


def files_of(root: Path) -> dict[str, Path]:
    """Returns the JSON files of boxes in a folder, by split; none if it holds none.

    Raises:
        UserError: If two are of the same part.
    """
    for folder in (root / "annotations", root / "Annotations", root):
        files = sorted(folder.glob("*.json")) if folder.is_dir() else []
        # COCO keeps captions and key points beside the boxes.
        files = [path for path in files if path.name.startswith("instances_")] or files
        files = [path for path in files if _holds_boxes(path)]
        if files:
            return _by_split(files)
    found = {}
    for split, folder in split_folders(root).items():
        files = [path for path in sorted(folder.glob("*.json")) if _holds_boxes(path)]
        if files:
            found[split] = _one(files)
    return found


def _holds_boxes(path: Path) -> bool:
    """Tells from its text whether a JSON file lists annotated pictures."""
    try:
        with path.open("rb") as file:
            head = file.read(1 << 16)
            file.seek(max(0, path.stat().st_size - (1 << 16)))
            text = head + file.read()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {reason(error)}.") from error
    return sum(f'"{part}"'.encode() in text for part in PARTS) >= 2


def _by_split(files: list[Path]) -> dict[str, Path]:
    parts: dict[str, list[Path]] = {}
    for path in files:
        words = re.findall(r"[a-z]+", path.stem.lower())
        named = [SPLITS[word] for word in words if word in SPLITS]
        parts.setdefault(named[0] if named else "train", []).append(path)
    return {split: _one(paths) for split, paths in parts.items()}


def _one(files: list[Path]) -> Path:
    if len(files) > 1:
        raise UserError(
            f"{files[0].parent} holds {files[0].name} and {files[1].name}. Give one of them, or "
            "name them train.json and val.json."
        )
    return files[0]


def read_coco(files: dict[str, Path], name: str) -> Annotations:
    """Reads JSON files of pictures and boxes.

    Args:
        files: By split.
        name: What a run on it is called.

    Raises:
        UserError: If a file is not as it should be, with its line or annotation.
    """
    findings = Findings()
    places: dict[str, int] = {}
    splits = {}
    for split in sorted(files, key=["train", "validation", "test"].index):
        content = _content(files[split])
        categories = _categories(files[split], content)
        # The parts of a dataset may number the same classes in other ways.
        for label in categories.values():
            places.setdefault(label, len(places))
        index = {key: places[label] for key, label in categories.items()}
        splits[split] = list(_annotations(files[split], content, index, findings))
    return Annotations(name, [*places], splits, findings.notes())


def _content(path: Path) -> dict[str, list[dict[str, Any]]]:
    try:
        content = json.loads(path.read_bytes())
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}: {error.msg}. It is no JSON.") from error
    except (ValueError, RecursionError) as error:  # Not UTF-8; a number without end.
        raise UserError(f"{path} is no JSON: {reason(error)}.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {reason(error)}.") from error
    for part in PARTS:
        rows = content.get(part) if isinstance(content, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise UserError(
                f"{path} has no list '{part}'. COCO's JSON holds lists of {', '.join(PARTS)}."
            )
    return content


def _categories(path: Path, content: dict[str, list[dict[str, Any]]]) -> dict[Any, str]:
    """Returns the names of the classes by id, in the order of their ids."""
    found: dict[Any, str] = {}
    names: set[str] = set()
    for row in content["categories"]:
        key, label = row.get("id"), row.get("name")
        if not isinstance(key, int) or not isinstance(label, str) or not label:
            raise UserError(f"{path}: a category needs an id and a name, got {row}.")
        if key in found or label in names:
            raise UserError(f"{path}: two categories have the id {key} or the name '{label}'.")
        found[key] = label
        names.add(label)
    # Roboflow puts the name of the project before the classes, as a category of no box.
    above = {str(row.get("supercategory")) for row in content["categories"]}
    used = {_key(row, "category_id") for row in content["annotations"]}
    for row in content["categories"]:
        if row.get("supercategory") == "none" and row["name"] in above and row["id"] not in used:
            del found[row["id"]]
    return dict(sorted(found.items()))


def _key(row: dict[str, Any], name: str) -> int | str | None:
    """Returns an id, None if it is none."""
    key = row.get(name)
    return key if isinstance(key, int | str) else None


def _annotations(
    path: Path, content: dict[str, list[dict[str, Any]]], index: dict[Any, int], findings: Findings
) -> Iterator[Annotation]:
    rows: dict[Any, list[tuple[list[float], int, bool, str]]] = {}
    for row in content["images"]:
        key, name = _key(row, "id"), row.get("file_name")
        if key is None or not isinstance(name, str) or not name:
            raise UserError(f"{path}: a picture needs an id and a file_name, got {row}.")
        if key in rows:
            raise UserError(f"{path}: two pictures have the id {key}.")
        rows[key] = []
    for number, row in enumerate(content["annotations"], start=1):
        what = f"annotation {row.get('id', number)}"
        _check(f"{path}, {what}", row, rows, index)
        x, y, width, height = row["bbox"]
        box = [x, y, x + width, y + height]
        rows[row["image_id"]].append((box, row["category_id"], bool(row.get("iscrowd")), what))
    folders = _folders(path)
    for row in content["images"]:
        picture = _picture(folders, row["file_name"])
        if picture is None:
            findings.add(MISSING, f"{row['file_name']} in {path}")
            continue
        boxes, keys, crowd, numbers = [*zip(*rows[row["id"]], strict=True)] or [()] * 4
        wide, high = (_side(row.get(side)) for side in ("width", "height"))
        yield Annotation(
            str(picture),
            picture,
            np.reshape(np.array(boxes, np.float64), (-1, 4)),
            [index[key] for key in keys],
            crowd,
            str(path),
            numbers,
            (wide, high) if wide and high else (0, 0),
        )


def _side(value: Any) -> int:
    """Returns the side of a picture, 0 if it is none."""
    return value if isinstance(value, int) and 0 < value < FAR else 0


def _check(place: str, row: dict[str, Any], images: dict[Any, list], index: dict[Any, int]) -> None:
    if _key(row, "image_id") not in images:
        raise UserError(f"{place}: image_id {row.get('image_id')} is not among the images.")
    if _key(row, "category_id") not in index:
        key = row.get("category_id")
        raise UserError(f"{place}: category_id {key} is not among the categories.")
    box = row.get("bbox")
    if (
        not isinstance(box, list)
        or len(box) != 4
        or not all(isinstance(value, int | float) and abs(value) < FAR for value in box)
    ):
        raise UserError(f"{place}: bbox must be four numbers (x, y, width, height), got {box}.")


def _folders(path: Path) -> list[Path]:
    """Returns where the pictures of a file may be, the likeliest first."""
    here, root = path.parent, path.parent.parent
    part = path.stem.rpartition("_")[2]  # instances_train2017
    near = [here, here / part, here / "images", here / "images" / part]
    if here.name.lower() == "annotations":
        near += [root / part, root / "images" / part, root / "images", root]
    return [folder for folder in dict.fromkeys(near) if folder.is_dir()]


def _picture(folders: list[Path], name: str) -> Path | None:
    """Returns the picture of a name, which cannot leave the folders."""
    inner = PurePosixPath(name.replace("\\", "/"))
    if inner.is_absolute() or ".." in inner.parts or ":" in name:
        inner = PurePosixPath(inner.name)
    for folder in folders:
        for place in (folder / inner, folder / inner.name):
            if os.path.isfile(place):  # Unlike Path's, it takes names of any length.
                return place
    return None
