"""Reads boxes in the format of Pascal VOC: one XML file a picture."""

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from dlapps.data.annotations import Annotation, Annotations, Findings
from dlapps.data.inputs import files_in, natural, text_lines
from dlapps.data.pictures import SUFFIXES
from dlapps.data.splits import SPLITS, split_folders
from dlapps.errors import UserError, reason

# Kinds of oddities, and what becomes of them.
WITHOUT_PICTURE = "Annotations without a picture, left out"
WITHOUT_ANNOTATION = "Names in ImageSets/Main without an annotation, left out"
UNLISTED = "Annotations in no list of ImageSets/Main, left out"
CORNERS = ("xmin", "ymin", "xmax", "ymax")
# The challenge counts pixels from 1 and includes the last (VOC2012 development kit, section 4.1);
# the tools that write its format for others give plain coordinates.
OFFICIAL = re.compile(r"The VOC\d{4} Database")


def parts_of(root: Path) -> list[tuple[str, Path]]:
    """Returns the folders in a folder that hold annotations; none if it is not Pascal VOC's.

    Args:
        root: Holds `Annotations/`, `JPEGImages/` and perhaps `ImageSets/Main/`; or folders of such
            (VOC2007 and VOC2012 of a VOCdevkit are read as one); or XML files beside the pictures,
            all in one folder or in train, val and test.

    Returns:
        Each folder with its split, "" where lists tell.
    """
    if _annotations(root):
        return [("", root)]
    children = sorted(path for path in root.iterdir() if path.is_dir())
    years = [path for path in children if _annotations(path) and path.name.startswith("VOC")]
    if years:
        return [("", year) for year in years]
    if (root / "VOCdevkit").is_dir():
        return parts_of(root / "VOCdevkit")
    found = [(split, folder) for split, folder in split_folders(root).items()]
    found = [(split, folder) for split, folder in found if files_in(folder, {".xml"})]
    if found:
        return found
    return [("train", root)] if files_in(root, {".xml"}) else []


def read_voc(parts: list[tuple[str, Path]], name: str) -> Annotations:
    """Reads folders of annotations and pictures.

    Args:
        parts: What `parts_of` found.
        name: What a run on it is called.

    Raises:
        UserError: If a file is not as it should be, with its line or object.
    """
    findings = Findings()
    read: dict[str, list[tuple[Path, Path, ElementTree.Element]]] = {}
    for split, folder in parts:
        pictures = _pictures(folder)
        for split_name, files in _listed(folder, split, findings).items():
            for file in files:
                tree = _parsed(file)
                picture = _picture_of(file, tree, pictures)
                if picture is None:
                    findings.add(WITHOUT_PICTURE, str(file))
                else:
                    read.setdefault(split_name, []).append((file, picture, tree))
    named = {label for rows in read.values() for row in rows for label in _names(row[0], row[2])}
    labels = sorted(named, key=natural)
    places = {label: place for place, label in enumerate(labels)}
    splits = {split: [_annotation(*row, places) for row in rows] for split, rows in read.items()}
    return Annotations(name, labels, splits, findings.notes())


def _annotations(root: Path) -> Path | None:
    """Returns the folder of XML files in a folder."""
    for name in ("Annotations", "annotations"):
        if any((root / name).glob("*.xml")):
            return root / name
    return None


def _pictures(root: Path) -> dict[str, Path]:
    """Returns the pictures of a folder by name and by name without ending."""
    folders = [root / name for name in ("JPEGImages", "images", "Images")]
    folder = next((folder for folder in folders if folder.is_dir()), root)
    found: dict[str, Path] = {}
    for path in files_in(folder, SUFFIXES):
        found.setdefault(path.stem, path)
        found[path.name] = path
    return found


def _listed(root: Path, split: str, findings: Findings) -> dict[str, list[Path]]:
    """Returns the annotation files by split."""
    files = files_in(_annotations(root) or root, {".xml"})
    lists = {path.stem: path for path in (root / "ImageSets" / "Main").glob("*.txt")}
    if split or not lists.keys() & {*SPLITS, "trainval"}:
        return {split or "train": files}
    by_stem = {file.stem: file for file in files}
    wanted: dict[str, list[str]] = {}
    for stem, path in sorted(lists.items()):
        if stem in SPLITS or stem == "trainval":
            wanted[SPLITS.get(stem, stem)] = [_stem(line) for line in text_lines(path) if line]
    rest = wanted.pop("trainval", [])
    if "train" not in wanted:
        held_out = set(wanted.get("validation", []))
        wanted["train"] = [name for name in rest if name not in held_out]
    elif "validation" not in wanted:
        wanted["validation"] = [name for name in rest if name not in set(wanted["train"])]
    for name in sorted(by_stem.keys() - {name for names in wanted.values() for name in names}):
        findings.add(UNLISTED, str(by_stem[name]))
    for names in wanted.values():
        for name in names:
            if name not in by_stem:
                findings.add(WITHOUT_ANNOTATION, name)
    return {
        split: [by_stem[name] for name in names if name in by_stem]
        for split, names in wanted.items()
        if names
    }


def _stem(line: str) -> str:
    """Returns the name in a line of a list, which may say after it whether a class is there."""
    name = re.sub(r"\s+-?[01]$", "", line.strip())
    path = Path(name)
    return path.stem if path.suffix.lower() in (*SUFFIXES, ".xml") else name


class _Tree(ElementTree.TreeBuilder):
    """Builds a tree, but refuses a document type: with it come entities that grow or fetch."""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise ValueError("a document type (<!DOCTYPE>) is not read; remove it")


def _parsed(file: Path) -> ElementTree.Element:
    parser = ElementTree.XMLParser(target=_Tree())
    try:
        parser.feed(file.read_bytes())
        return parser.close()
    except ElementTree.ParseError as error:
        line, _ = error.position
        what = str(error).partition(":")[0]
        raise UserError(f"{file}, line {line}: {what}. An XML file is expected.") from error
    except (OSError, ValueError, LookupError) as error:
        raise UserError(f"{file} cannot be read: {reason(error)}.") from error


def _picture_of(file: Path, tree: ElementTree.Element, pictures: dict[str, Path]) -> Path | None:
    named = (tree.findtext("filename") or "").replace("\\", "/").rpartition("/")[2].strip()
    return pictures.get(file.stem) or pictures.get(named)


def _names(file: Path, tree: ElementTree.Element) -> Iterator[str]:
    for number, thing in enumerate(tree.findall("object"), start=1):
        name = (thing.findtext("name") or "").strip()
        if not name:
            raise UserError(f"{file}, object {number}: it has no <name>.")
        yield name


def _annotation(
    file: Path, picture: Path, tree: ElementTree.Element, places: dict[str, int]
) -> Annotation:
    things = tree.findall("object")
    official = OFFICIAL.fullmatch((tree.findtext("source/database") or "").strip())
    shift = np.array([1.0, 1.0, 0.0, 0.0]) if official else 0.0
    corners = [_corners(file, number, thing) for number, thing in enumerate(things, start=1)]
    sides = [tree.findtext(f"size/{side}") or "" for side in ("width", "height")]
    claimed = [int(side) if re.fullmatch(r"\s*\d{1,9}\s*", side) else 0 for side in sides]
    return Annotation(
        str(picture),
        picture,
        np.reshape(np.array(corners, np.float64), (-1, 4)) - shift,
        [places[name] for name in _names(file, tree)],
        [(thing.findtext("difficult") or "").strip() in ("1", "true") for thing in things],
        str(file),
        [f"object {number}" for number in range(1, len(things) + 1)],
        (claimed[0], claimed[1]),
    )


def _corners(file: Path, number: int, thing: ElementTree.Element) -> list[float]:
    values = []
    for corner in CORNERS:
        text = thing.findtext(f"bndbox/{corner}")
        if text is None:
            raise UserError(f"{file}, object {number}: it has no <bndbox> with <{corner}>.")
        try:
            values.append(float(text))
        except ValueError:
            raise UserError(
                f"{file}, object {number}: {corner} is '{text.strip()}', not a number."
            ) from None
    return values
