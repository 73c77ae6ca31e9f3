"""Reads pictures with captions from the formats people keep them in."""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dlapps.data import described_scenes, tfds
from dlapps.data.caption_files import TABLES, TOKEN_FILES, Row, read_file, split_lists
from dlapps.data.inputs import pictures_in
from dlapps.data.pictures import Source
from dlapps.data.splits import SPLITS
from dlapps.errors import UserError

# Folders beside a file of captions in which its pictures may lie.
PICTURE_FOLDERS = ("", "images", "Images", "Flicker8k_Dataset", "Flickr8k_Dataset", "pictures")
SHOWN = 3


@dataclass(frozen=True)
class Described:
    """A picture, the words it goes by, and its captions."""

    name: str
    source: Source
    captions: tuple[str, ...]
    digest: str = ""


@dataclass
class Leftovers:
    """What of a dataset cannot be used, by name.

    Args:
        missing: Pictures that have captions, but do not exist.
        bare: Pictures that exist, but have no caption.
        empty: Captions without a word, by the picture.
        unknown: Names in split lists of which nothing else is known.
        unlisted: Pictures with captions that stand in none of the split lists.
    """

    missing: list[str] = field(default_factory=list)
    bare: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)

    def notes(self) -> list[str]:
        """Returns a sentence for each kind that there is, with the count and the first names."""
        told = (
            (self.missing, "picture{s} with captions do{es} not exist"),
            (self.bare, "picture{s} ha{ve} no caption"),
            (self.empty, "caption{s} {are} empty, of"),
            (self.unknown, "name{s} in the split lists belong{es} to no caption"),
            (self.unlisted, "picture{s} with captions stand{es} in no split list"),
        )
        return [_counted(names, text) for names, text in told if names]


def _counted(names: Sequence[str], text: str) -> str:
    many = len(names) > 1
    forms = {"s": "s", "es": "", "ve": "ve", "are": "are"}
    if not many:
        forms = {"s": "", "es": "es" if "do{es}" in text else "s", "ve": "s", "are": "is"}
    link = " " if text.endswith(", of") else ": "
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)} {text.format(**forms)}{link}{', '.join(names[:SHOWN])}{more}."


def read_captioned(data: str) -> tuple[str, dict[str, list[Described]], Leftovers]:
    """Reads pictures with captions from any format.

    Args:
        data: A folder with captions in it (Flickr8k with its split lists, COCO's annotations,
            Karpathy's JSON, captions.csv), such a file itself, `tfds:NAME`, or `sample`.

    Returns:
        What a run on it is called; the pictures by split ("train", "validation", "test", such as
        there are); and what had to be left out.

    Raises:
        UserError: If it is none of these, or nothing of it can be used.
    """
    if data == "sample":
        parts = {part: described_scenes.scenes(part) for part in ("train", "validation", "test")}
        return "sample", _listed(data, parts), Leftovers()
    if data.startswith("tfds:"):
        name, read = tfds.captioned_pictures(data.removeprefix("tfds:"))
        known = {SPLITS[split]: rows for split, rows in read.items() if split in SPLITS}
        return name, _listed(data, known), Leftovers()
    path = Path(data)
    if not path.exists():
        raise UserError(f"{data} does not exist. Give a folder with captions, a file or 'sample'.")
    files = _caption_files(path) if path.is_dir() else [path]
    name = path.resolve().name if path.is_dir() else path.stem
    splits, leftovers = _joined([row for file in files for row in read_file(file)], files, path)
    if not splits:
        lost = leftovers.notes()
        raise UserError(
            f"{data} holds no picture with a caption. {lost[0] if lost else ''}".strip()
        )
    return name, splits, leftovers


def _listed(
    data: str, splits: Mapping[str, Sequence[tuple[Source, list[str]]]]
) -> dict[str, list[Described]]:
    return {
        split: [
            Described(f"{data}/{split}/{number}", source, tuple(captions))
            for number, (source, captions) in enumerate(rows)
            if captions
        ]
        for split, rows in splits.items()
    }


def _caption_files(folder: Path) -> list[Path]:
    for pattern in (*TOKEN_FILES, *TABLES, "dataset*.json"):
        if found := sorted(folder.glob(pattern)):
            return found[:1]
    for place in (folder, folder / "annotations"):
        if found := sorted(place.glob("captions*.json")):
            return found
    raise UserError(
        f"{folder} holds no captions: no Flickr8k.token.txt, captions*.json, dataset*.json or "
        "captions.csv. Write one image,caption a line into the last."
    )


def _joined(
    rows: Sequence[Row], files: Sequence[Path], given: Path
) -> tuple[dict[str, list[Described]], Leftovers]:
    """Brings together pictures, captions and splits."""
    folder = files[0].parent
    roots = [folder] if folder.name != "annotations" else [folder.parent, folder]
    lists = split_lists(folder) if not any(row.split for row in rows) else {}
    leftovers = Leftovers()
    captions: dict[str, list[str]] = defaultdict(list)
    split_of: dict[str, str] = {}
    empty: dict[str, None] = {}
    for row in rows:
        own = captions[row.picture]
        if row.caption.strip():
            own.append(row.caption.strip())
        else:
            empty[row.picture] = None
        split_of.setdefault(row.picture, SPLITS.get(row.split or "train", "train"))
    if lists:
        split_of = _by_lists(lists, captions, leftovers)
    leftovers.bare += [name for name, own in captions.items() if not own]
    leftovers.empty = [name for name in empty if captions[name]]
    places = _Places(roots)
    splits: dict[str, list[Described]] = defaultdict(list)
    for name, split in split_of.items():
        if own := captions[name]:
            if (place := places.find(name)) is None:
                leftovers.missing.append(name)
            else:
                splits[split].append(Described(str(place), place, tuple(own)))
    known = {Path(name).name for name in captions}
    if given.is_dir():
        leftovers.bare += [p.name for p in pictures_in(given) if p.name not in known]
    order = ("train", "validation", "test")
    return {split: splits[split] for split in order if split in splits}, leftovers


def _by_lists(
    lists: dict[str, tuple[Path, list[str]]], captions: dict[str, list[str]], leftovers: Leftovers
) -> dict[str, str]:
    split_of: dict[str, str] = {}
    for split, (path, names) in lists.items():
        for name in names:
            if name not in captions:
                leftovers.unknown.append(f"{name} in {path.name}")
            elif split_of.setdefault(name, split) != split:
                raise UserError(
                    f"{path} names {name}, which stands in the list of another split, too."
                )
    leftovers.unlisted += [name for name in captions if name not in split_of]
    return split_of


class _Places:
    """Finds pictures by the names that files of captions give them.

    Args:
        roots: Folders to look in, and in the folders below them.
    """

    def __init__(self, roots: Iterable[Path]):
        self.folders = [
            place
            for root in roots
            for place in ([root / name for name in PICTURE_FOLDERS] + _folders_in(root))
        ]

    def find(self, name: str) -> Path | None:
        for number, folder in enumerate(self.folders):
            if os.path.isfile(folder / name):  # Unlike Path's, it takes names of any length.
                # The next one most likely lies there, too.
                self.folders.insert(0, self.folders.pop(number))
                return folder / name
        return None


def _folders_in(root: Path) -> list[Path]:
    below = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    deeper = [p for each in below if each.name == "images" for p in sorted(each.iterdir())]
    return below + [p for p in deeper if p.is_dir()]
