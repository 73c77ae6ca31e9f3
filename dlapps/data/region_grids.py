"""What a frozen network sees in every cell of pictures, computed once and kept on disk."""

import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlapps import terminal
from dlapps.data.features import BATCH, DAMAGED
from dlapps.data.pipeline import batches_of_views
from dlapps.errors import UserError, reason
from dlapps.files import replacement

# Of all grids kept; more would fill small disks unnoticed.
MAX_BYTES = 4_000_000_000


@dataclass(frozen=True)
class Grids:
    """The cells of pictures, and the pictures that could not be read.

    Args:
        rows: `(pictures, regions, features)` float16, mapped from a file; those of unreadable
            pictures are 0.
        unreadable: Why, by the index of the picture.
    """

    rows: np.ndarray
    unreadable: dict[int, str]


def bytes_needed(count: int, shape: Sequence[int]) -> int:
    """Returns how many bytes on the disk one view of so many pictures takes."""
    return 2 * count * int(np.prod(shape))


def grids_once(
    name: str,
    look: Callable[[], Callable[[np.ndarray], list[np.ndarray]]],
    draw: Callable[[int], np.ndarray],
    count: int,
    shape: Sequence[int],
    title: str,
    folder: Path,
) -> Grids:
    """Returns the grids kept in `folder` under `name`, or computes and keeps them.

    Args:
        name: A fingerprint of all that they depend on.
        look: Returns the frozen network, from `(batch, height, width, 3)` uint8 to one array
            `(batch, regions, features)`; only called if it is needed.
        draw: Returns the picture of an index; may raise UnreadablePictureError.
        count: How many pictures.
        shape: Regions and features.
        title: What the progress bar says.
        folder: Where they are kept.

    Raises:
        UserError: If the disk is full.
    """
    path, beside = folder / f"{name}.npy", folder / f"{name}.json"
    try:
        told = json.loads(beside.read_text(encoding="utf-8"))
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
        if rows.shape == (count, *shape) and rows.dtype == np.float16:
            path.touch()  # The least recently used go first.
            return Grids(rows, {int(key): str(why) for key, why in told.items()})
    except DAMAGED:
        pass
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _make_room(folder, bytes_needed(count, shape))
        with replacement(path) as new:
            unreadable = _computed(new, look(), draw, (count, *shape), title)
        with replacement(beside) as new:
            new.write_text(json.dumps(unreadable), encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"No room to keep what the network sees in {folder}: {reason(error)}. "
            "Name another place with DLAPPS_CACHE."
        ) from error
    return Grids(np.load(path, mmap_mode="r", allow_pickle=False), unreadable)


def _computed(
    path: Path, look: Callable[[np.ndarray], list[np.ndarray]], draw: Callable[[int], np.ndarray],
    shape: tuple[int, ...], title: str,
) -> dict[int, str]:  # fmt: skip
    rows = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
    unreadable: dict[int, str] = {}
    with terminal.progress(title, shape[0]) as advance:
        for indices, images, bad in batches_of_views(shape[0], draw, BATCH):
            unreadable |= bad
            if indices:
                rows[indices] = look(images)[0]
            advance(len(indices) + len(bad))
    rows.flush()
    return unreadable


def _make_room(folder: Path, needed: int) -> None:
    """Forgets what has not been used for longest."""
    kept = sorted(folder.glob("*.npy"), key=lambda file: file.stat().st_mtime)
    total = needed + sum(file.stat().st_size for file in kept)
    for file in kept:
        if total <= MAX_BYTES:
            break
        total -= file.stat().st_size
        with contextlib.suppress(OSError):
            file.unlink()
            file.with_suffix(".json").unlink()
