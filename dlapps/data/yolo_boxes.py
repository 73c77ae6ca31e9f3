"""Reads boxes in the format of YOLO: a data.yaml, and a text file a picture."""

import math
import os
import re
import reprlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from dlapps.data.annotations import Annotation, Annotations, Findings
from dlapps.data.inputs import pictures_in, text_lines
from dlapps.data.splits import SPLITS
from dlapps.errors import UserError

# Beyond these, numbers are not parts of a picture's sides, rounded or reaching out a little.
RELATIVE = (-1.0, 2.0)
# Kinds of oddities, and what becomes of them.
NO_FILE = "Pictures without a label file, taken as background"
ORPHAN = "Label files of no picture that was read"
POLYGON = "Polygons, read as the boxes around them"


def yaml_in(root: Path) -> Path | None:
    """Returns the file in a folder that describes a dataset, None if there is none."""
    files = sorted(path for path in root.iterdir() if path.suffix in (".yaml", ".yml"))
    named = [path for path in files if path.stem in ("data", "dataset")]
    found = named or [path for path in files if re.search(r"(?m)^names\s*:", _text(path))]
    return found[0] if found else None


def read_yolo(path: Path) -> Annotations:
    """Reads pictures and labels as a `data.yaml` says.

    Args:
        path: The file: `names`, and `train`, `val` and `test` as folders, lists of pictures, or
            several of these, relative to its `path` or its own folder. The labels of
            `images/1.jpg` are in `labels/1.txt`: a line a box, of class, centre, width and height
            in parts of the picture's sides, or of class and the corners of a polygon.

    Raises:
        UserError: If a file is not as it should be, with its line.
    """
    settings = _settings(path)
    labels = _names(path, settings)
    findings = Findings()
    splits: dict[str, list[Annotation]] = {}
    for key, value in settings.items():
        if key not in SPLITS or value in ("", "null", "~", None):
            continue
        if SPLITS[key] in splits:
            raise UserError(f"{path}: '{key}' stands there twice, under two names. Keep one.")
        pictures = list(_pictures(path, key, value, settings.get("path", "")))
        splits[SPLITS[key]] = [_annotation(picture, len(labels), findings) for picture in pictures]
    if not splits:
        raise UserError(f"{path} has no 'train'. Write the folder of its pictures there.")
    if not any(len(one.boxes) for part in splits.values() for one in part):
        first = next(one.name for part in splits.values() for one in part)
        raise UserError(
            f"{path}: no picture has a box. The labels of {first} are looked for in "
            f"{label_file(Path(first))}."
        )
    _count_orphans(splits, findings)
    name = path.stem if path.stem not in ("data", "dataset") else path.resolve().parent.name
    return Annotations(name, labels, splits, findings.notes())


def _settings(path: Path) -> dict[str, Any]:
    try:
        # This loader makes nothing but strings, lists and mappings: no class of a file's choice,
        # and `no` stays the word.
        settings = yaml.load(_text(path), Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{path}{line}: {error.problem or 'it is no YAML'}.") from error
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise UserError(f"{path} is no YAML: {str(error).splitlines()[0]}.") from error
    if not isinstance(settings, dict):
        raise UserError(f"{path} is no description of a dataset: it needs 'train' and 'names'.")
    return settings


def _text(path: Path) -> str:
    return "\n".join(text_lines(path))


def _names(path: Path, settings: dict[str, Any]) -> list[str]:
    names = settings.get("names")
    if isinstance(names, dict):
        numbers = [str(number) for number in range(len(names))]
        if set(names) != set(numbers):
            raise UserError(
                f"{path}: the classes under 'names' must be numbered from 0 to {len(names) - 1}, "
                f"got {', '.join(list(names)[:8])}."
            )
        names = [names[number] for number in numbers]
    if not names or not isinstance(names, list):
        raise UserError(f"{path} has no 'names'. Write those of the classes there, as a list.")
    if odd := [name for name in names if not isinstance(name, str) or not name.strip()]:
        raise UserError(f"{path}: 'names' holds {reprlib.repr(odd[0])}, which is no name.")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise UserError(f"{path}: 'names' holds '{twice[0]}' twice.")
    if "nc" in settings and settings["nc"] != str(len(names)):
        count = reprlib.repr(settings["nc"]).strip("'")  # Aliases make a small file endless.
        raise UserError(f"{path}: nc is {count}, but 'names' holds {len(names)}.")
    return names


def _pictures(path: Path, key: str, value: Any, root: Any) -> Iterator[Path]:
    """Yields the pictures that an entry names."""
    entries = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in [*entries, root]):
        raise UserError(f"{path}: '{key}' must name a folder or a list of pictures, or several.")
    found: list[Path] = []
    for entry in entries:
        place = _place(path, key, entry, root)
        found += pictures_in(place) if place.is_dir() else _listed(place, path.parent / root)
    if not found:
        raise UserError(f"{path}: '{key}' ({value}) holds no pictures.")
    yield from dict.fromkeys(found)


def _place(path: Path, key: str, entry: str, root: str) -> Path:
    here = path.parent
    # Tools write paths as seen from elsewhere: `path` from where they train, and `../train/images`
    # for a folder that lies beside the file (Roboflow).
    inside = re.sub(r"^(\.\./)+", "", entry)
    places = [here / root / entry, Path(root) / entry, here / entry, here / inside]
    for place in places:
        if os.path.isdir(place) or (place.suffix == ".txt" and os.path.isfile(place)):
            return place
    raise UserError(
        f"{path}: '{key}' names {entry}, which does not exist. Looked for {places[0]}"
        + (f" and {here / entry}." if root else ".")
    )


def _listed(file: Path, root: Path) -> Iterator[Path]:
    for number, line in enumerate(text_lines(file), start=1):
        name = line.strip()
        if not name:
            continue
        places = [file.parent / name, root / name, Path(name)]
        found = next((place for place in places if os.path.isfile(place)), None)
        if found is None:
            raise UserError(f"{file}, line {number}: {name} does not exist.")
        yield found


def label_file(picture: Path) -> Path:
    """Returns where the labels of a picture are: `labels/` in the place of the last `images/`."""
    parts = list(picture.parts)
    for k in reversed(range(len(parts) - 1)):
        if parts[k] == "images":
            parts[k] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _annotation(picture: Path, num_classes: int, findings: Findings) -> Annotation:
    file = label_file(picture)
    boxes: list[list[float]] = []
    labels: list[int] = []
    numbers: list[str] = []
    if file.is_file():
        for number, line in enumerate(text_lines(file), start=1):
            if line.strip():
                label, box = _box(f"{file}, line {number}", line.split(), num_classes, findings)
                boxes.append(box)
                labels.append(label)
                numbers.append(f"line {number}")
    else:
        findings.add(NO_FILE, str(picture))
    corners = np.reshape(np.array(boxes, np.float64), (-1, 4))
    crowd = [False] * len(labels)
    return Annotation(
        str(picture), picture, corners, labels, crowd, str(file), numbers, relative=True
    )


def _count_orphans(splits: dict[str, list[Annotation]], findings: Findings) -> None:
    """Counts the label files beside others that are of no picture."""
    known = {annotation.file for part in splits.values() for annotation in part}
    for folder in sorted({Path(file).parent for file in known}):
        for file in sorted(folder.glob("*.txt")) if folder.name == "labels" else []:
            if str(file) not in known and file.name != "classes.txt":
                findings.add(ORPHAN, str(file))


def _box(
    place: str, words: list[str], num_classes: int, findings: Findings
) -> tuple[int, list[float]]:
    """Returns class and corners."""
    try:
        values = [float(word) for word in words]
    except ValueError:
        raise UserError(f"{place}: '{' '.join(words)[:60]}' are not numbers.") from None
    if len(values) != 5 and (len(values) < 7 or len(values) % 2 == 0):
        raise UserError(
            f"{place}: class, centre, width and height are 5 numbers (or a class and the corners "
            f"of a polygon), got {len(values)}."
        )
    label = values[0]
    if not (math.isfinite(label) and label.is_integer() and 0 <= label < num_classes):
        raise UserError(
            f"{place}: class {words[0]} is not among the {num_classes} of 'names', numbered from "
            f"0 to {num_classes - 1}."
        )
    low, high = RELATIVE
    if not all(low <= value <= high for value in values[1:]):  # Also where one is no number.
        raise UserError(
            f"{place}: parts of the picture's width and height are needed, from 0 to 1, got "
            f"{' '.join(words[1:5])}."
        )
    if len(values) == 5:
        x, y, width, height = values[1:]
        return int(label), [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    findings.add(POLYGON, place)
    across, down = values[1::2], values[2::2]
    return int(label), [min(across), min(down), max(across), max(down)]
