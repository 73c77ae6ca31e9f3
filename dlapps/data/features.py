"""What a frozen network sees in pictures, computed once and kept on disk."""

import contextlib
import hashlib
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlapps import terminal
from dlapps.data.pipeline import batches_of_views
from dlapps.files import replacement

# Pictures looked at together; more are no faster.
BATCH = 64

# More would fill small disks unnoticed; 5 GB are a hundred views of ten thousand pictures.
MAX_CACHE_BYTES = 5_000_000_000
# What numpy and zipfile raise for files that are damaged in one way or another.
DAMAGED = (
    OSError, ValueError, KeyError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile
)  # fmt: skip


@dataclass(frozen=True)
class Features:
    """Rows of numbers, one a picture, and the pictures that could not be read.

    Args:
        rows: `(pictures, features)` float32; those of unreadable pictures are 0.
        unreadable: Why, by the index of the picture.
        cached: Whether they came from the disk.
    """

    rows: np.ndarray
    unreadable: dict[int, str]
    cached: bool


def cache_folder() -> Path:
    """Returns where computed features are kept: `DLAPPS_CACHE`, or the user's cache folder."""
    if named := os.environ.get("DLAPPS_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dlapps"


def fingerprint(parts: Sequence[object]) -> str:
    """Returns a name for a computation that changes with any of its `parts`."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else repr(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()[:32]


def seen(
    look: Callable[[np.ndarray], list[np.ndarray]],
    draw: Callable[[int], np.ndarray],
    count: int,
    width: int,
    title: str,
) -> Features:
    """Looks at pictures with a frozen network, batch by batch.

    Args:
        look: Takes `(batch, height, width, 3)` uint8; returns one array, `(batch, features)`.
        draw: Returns the picture of an index; may raise UnreadablePictureError.
        count: How many pictures.
        width: How many features.
        title: What the progress bar says.
    """
    rows = np.zeros((count, width), np.float32)
    unreadable: dict[int, str] = {}
    with terminal.progress(title, count) as advance:
        for indices, images, bad in batches_of_views(count, draw, BATCH):
            unreadable |= bad
            if indices:
                rows[indices] = look(images)[0]
            advance(len(indices) + len(bad))
    return Features(rows, unreadable, cached=False)


def computed_once(name: str, compute: Callable[[], Features], folder: Path) -> Features:
    """Returns the features kept in `folder` under `name`, or computes and keeps them.

    A cache that cannot be read or written costs time, never the result.
    """
    path = folder / f"{name}.npz"
    try:
        # numpy leaves a damaged file open unless it is opened for it.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            why = dict(zip(kept["unreadable"].tolist(), kept["reasons"].tolist(), strict=True))
            path.touch()  # The least recently used go first.
            return Features(kept["rows"], why, cached=True)
    except DAMAGED:
        pass
    features = compute()
    with contextlib.suppress(OSError):
        _keep(features, path)
    return features


def _keep(features: Features, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacement(path) as beside:
        np.savez(
            beside,
            rows=features.rows,
            unreadable=np.array([*features.unreadable], np.int64),
            reasons=np.array([*features.unreadable.values()], np.str_),
        )
    files = sorted(path.parent.glob("*.npz"), key=lambda file: file.stat().st_mtime)
    total = sum(file.stat().st_size for file in files)
    for file in files[:-1]:
        if total <= MAX_CACHE_BYTES:
            break
        total -= file.stat().st_size
        file.unlink(missing_ok=True)
