"""What people call the parts of a dataset."""

from pathlib import Path

from dlapps.data.inputs import natural
from dlapps.errors import UserError, reason

# And what they are called here.
SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


def split_folders(root: Path) -> dict[str, Path]:
    """Returns the folders of a folder that are named as parts of a dataset, by split.

    Raises:
        UserError: If two are named as the same part, or the folder cannot be read.
    """
    parts: dict[str, Path] = {}
    for folder in visible_folders(root):
        split = SPLITS.get(folder.name.lower())
        if split in parts:
            raise UserError(f"{root} holds {parts[split].name}/ and {folder.name}/. Keep one.")
        if split is not None:
            parts[split] = folder
    return parts


def visible_folders(root: Path) -> list[Path]:
    """Returns the folders of a folder, hidden ones left out, sorted as people count.

    Raises:
        UserError: If it cannot be read.
    """
    try:
        entries = sorted(root.iterdir(), key=lambda path: natural(path.name))
    except OSError as error:
        raise UserError(f"{root} cannot be read: {reason(error)}.") from error
    return [e for e in entries if e.is_dir() and not e.name.startswith((".", "__MACOSX"))]
