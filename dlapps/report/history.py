"""What the files of a run say of every epoch and of every layer."""

import csv
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlapps.errors import UserError, reason

HISTORY = "history.csv"
LAYERS = "layers.csv"
MEASURED = ("update_ratio_mean", "dead", "saturated", "largest")
# What stands between a measured number and a mistake; beyond it, ranges overflow.
LARGEST = 1e150

Values = list[float | None]  # One an epoch; None where nothing was measured.


@dataclass(frozen=True)
class Phase:
    """One stretch of training.

    Args:
        name: What it is called.
        first: Its first epoch, counted over all phases from 1.
        last: Its last epoch, counted in the same way.
    """

    name: str
    first: int
    last: int


@dataclass(frozen=True)
class History:
    """Every epoch of a run, counted on over its phases.

    Args:
        phases: In the order of training.
        columns: Values by name, one an epoch; columns without any value are left out.
        places: Epoch over all phases, from 1, by phase and epoch within it.
    """

    phases: tuple[Phase, ...]
    columns: dict[str, Values]
    places: dict[tuple[str, int], int]

    @property
    def num_epochs(self) -> int:
        """Epochs of all phases together."""
        return self.phases[-1].last

    def place(self, figures: dict[str, Any]) -> int | None:
        """Returns the epoch over all phases that `figures` are about, if they name one."""
        phase, epoch = figures.get("phase"), figures.get("epoch")
        if not isinstance(epoch, int | float) or not math.isfinite(epoch):
            return None
        return self.places.get((str(phase), int(epoch)))


@dataclass(frozen=True)
class Layers:
    """What was measured of every layer in every epoch.

    Args:
        names: In the order of the network.
        num_epochs: Epochs of all phases together.
        cells: Values by column, then by layer, then by epoch over all phases, from 1.
    """

    names: tuple[str, ...]
    num_epochs: int
    cells: dict[str, dict[str, dict[int, float]]]


def load_history(folder: Path) -> History | None:
    """Reads `history.csv`; None where no epoch has been written down.

    Raises:
        UserError: If it is damaged.
    """
    rows = [*_rows(folder / HISTORY)]
    if not rows:
        return None
    names = [row.get("phase") or "" for row in rows]
    phases, places = [], {}
    for name, group in itertools.groupby(range(len(rows)), key=names.__getitem__):
        members = [*group]
        phases.append(Phase(name, members[0] + 1, members[-1] + 1))
        for number, k in enumerate(members, start=1):
            places[name, _epoch(rows[k], number)] = k + 1
    columns: dict[str, Values] = {}
    for name in rows[0]:
        if name not in ("phase", "epoch"):
            values = [_number(row, name, folder / HISTORY, k) for k, row in enumerate(rows)]
            if any(value is not None for value in values):
                columns[name] = values
    return History(tuple(phases), columns, places)


def load_layers(folder: Path, history: History | None) -> Layers | None:
    """Reads `layers.csv`; None where nothing was measured by layer.

    Args:
        folder: The run.
        history: Says which epoch over all phases each row is about.

    Raises:
        UserError: If it is damaged.
    """
    path = folder / LAYERS
    places = dict(history.places) if history else {}
    names: dict[int, dict[str, None]] = {}
    cells: dict[str, dict[str, dict[int, float]]] = {name: {} for name in MEASURED}
    for k, row in enumerate(_rows(path)):
        key = (row.get("phase") or "", _epoch(row, 1))
        if history and key not in places:
            continue  # The epoch has not ended; a later report shows it.
        place = places.setdefault(key, len(places) + 1)
        layer = row.get("layer") or ""
        names.setdefault(place, {})[layer] = None
        for column in MEASURED:
            value = _number(row, column, path, k)
            if value is not None:
                cells[column].setdefault(layer, {})[place] = value
    cells = {column: found for column, found in cells.items() if found}
    if not cells:
        return None
    # The epoch that names most layers has the order of the network; the head's alone come last.
    rows = sorted(names.values(), key=len, reverse=True)
    order = dict.fromkeys(layer for row in rows for layer in row)
    return Layers(tuple(order), max(places.values()), cells)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    """Yields the rows of a CSV file as dictionaries; none where there is no file."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            head = next(rows, [])
            for row in rows:
                if row:
                    # A row that is too short or too long says what its first cells say.
                    yield dict(zip(head, row, strict=False))
    except FileNotFoundError:
        return
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{path} cannot be read: {reason(error)}.") from error


def _epoch(row: dict[str, str], otherwise: int) -> int:
    try:
        return int(float(row.get("epoch") or ""))
    except (ValueError, OverflowError):
        return otherwise


def _number(row: dict[str, str], column: str, path: Path, place: int) -> float | None:
    cell = row.get(column, "").strip()
    if not cell:
        return None
    try:
        number = float(cell)
    except ValueError as error:
        raise UserError(
            f"{path}, row {place + 1}: {column} is '{cell}', which is not a number."
        ) from error
    return math.copysign(math.inf, number) if abs(number) > LARGEST else number
