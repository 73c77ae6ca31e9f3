"""Reads files that say which caption belongs to which picture."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlapps.data.inputs import table_rows, text_lines
from dlapps.data.splits import SPLITS
from dlapps.errors import UserError, reason

# Flickr8k.token.txt and results_20130124.token have lines of `picture#number<tab>caption`.
TOKEN_FILES = ("*.token.txt", "*.token", "*.lemma.token.txt")
TABLES = ("captions.csv", "captions.tsv", "captions.txt")
# Flickr_8k.trainImages.txt, Flickr_8k.devImages.txt, Flickr_8k.testImages.txt
_SPLIT_LIST = re.compile(r"(?:.*[._-])?(train|dev|val|test)_?images?\.txt$", re.IGNORECASE)
COLUMNS = {
    "picture": ("image", "image_name", "picture", "path", "file", "filename"),
    "caption": ("caption", "comment", "text", "sentence", "caption_text"),
    "split": ("split",),
}


@dataclass(frozen=True)
class Row:
    """A caption: the name of its picture, its text, and its split where the file says so."""

    picture: str
    caption: str
    split: str | None = None


def read_file(path: Path) -> list[Row]:
    """Reads the captions of a file.

    Args:
        path: A token file of Flickr8k or Flickr30k, captions of COCO or Karpathy's JSON, or a
            CSV of image and caption.

    Raises:
        UserError: If it is none of these.
    """
    if path.suffix.lower() == ".json":
        return _read_json(path)
    lines = text_lines(path)
    first = next((line for line in lines if line.strip()), "")
    if re.match(r"[^\t]+#\d+\t", first):
        return [*_token_rows(path, lines)]
    return _read_table(path, lines)


def _token_rows(path: Path, lines: list[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, tab, caption = line.partition("\t")
        if not tab or "#" not in name:
            raise UserError(
                f"{path}, line {number}: a picture, #, a number, a tab and a caption are needed, "
                f"got '{line[:60]}'."
            )
        yield Row(name.rpartition("#")[0], caption.strip())


def split_lists(folder: Path) -> dict[str, tuple[Path, list[str]]]:
    """Returns the split lists of Flickr8k in a folder: by split, the file and the names in it."""
    found = {}
    for path in sorted(folder.glob("*.txt")):
        if match := _SPLIT_LIST.match(path.name):
            names = [line.strip() for line in text_lines(path) if line.strip()]
            found[SPLITS[match.group(1).lower()]] = (path, names)
    return found


def _read_json(path: Path) -> list[Row]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read: {reason(error)}.") from error
    try:
        if "annotations" in content:
            return _coco_rows(content, path)
        return [*_karpathy_rows(content)]
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} holds no captions: neither COCO's 'images' and 'annotations' nor Karpathy's "
            f"'images' with 'sentences' ({type(error).__name__}: {error})."
        ) from error


def _coco_rows(content: dict[str, Any], path: Path) -> list[Row]:
    names = {image["id"]: str(image["file_name"]) for image in content["images"]}
    split = next(
        (SPLITS[word] for word in re.split(r"[\W_\d]+", path.stem) if word in SPLITS), None
    )
    described = {each["image_id"] for each in content["annotations"]}
    rows = [
        Row(names.get(each["image_id"], f"image {each['image_id']}"), str(each["caption"]), split)
        for each in content["annotations"]
    ]
    # A row without a caption tells of a picture that has none.
    bare = [Row(name, "", split) for key, name in names.items() if key not in described]
    return rows + bare


def _karpathy_rows(content: dict[str, Any]) -> Iterator[Row]:
    for image in content["images"]:
        name = str(Path(image.get("filepath", ""), image["filename"]))
        # COCO's "restval" is what is left of its validation part, and learnt from, too.
        word = str(image.get("split", "train")).replace("restval", "train")
        sentences = image["sentences"] or [{"raw": ""}]
        for each in sentences:
            yield Row(name, str(each.get("raw") or " ".join(each.get("tokens", ()))), word)


def _read_table(path: Path, lines: list[str]) -> list[Row]:
    rows = table_rows(path, lines, "\t;,|")
    if not rows:
        raise UserError(f"{path} holds no rows. Write one image,caption a line.")
    header = [cell.lower() for cell in rows[0][1]]
    columns = {"picture": 0, "caption": 1, "split": 2}
    if set(header) & {*COLUMNS["caption"]}:
        columns = {
            column: next((header.index(word) for word in known if word in header), -1)
            for column, known in COLUMNS.items()
        }
        rows = rows[1:]
        if columns["picture"] < 0:
            raise UserError(f"{path}, line 1: no column 'image' among {', '.join(header)}.")
    return [_table_row(path, number, row, columns) for number, row in rows]


def _table_row(path: Path, number: int, row: list[str], columns: dict[str, int]) -> Row:
    def cell(column: str) -> str:
        return row[columns[column]] if 0 <= columns[column] < len(row) else ""

    if not cell("picture") or len(row) < 2:
        raise UserError(f"{path}, line {number}: an image and a caption are needed, got {row}.")
    split = cell("split").lower() or None
    if split is not None and split not in SPLITS:
        raise UserError(f"{path}, line {number}: split '{split}' is not train, val or test.")
    return Row(cell("picture"), cell("caption"), split)
