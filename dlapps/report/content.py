"""What a report consists of: sections of sentences, charts, tables and pictures."""

import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dlapps.errors import UserError, reason
from dlapps.report.figure import Figure

PNG = b"\x89PNG\r\n\x1a\n"
# Longer tables are folded.
MAX_ROWS = 20
# Smaller pictures, such as filters of 3 x 3 weights, are enlarged with their pixels kept sharp.
SMALL = 240  # pixels
NOTHING = "—"  # in a cell for which there is no value


@dataclass(frozen=True)
class Cell:
    """One field of a table.

    Args:
        text: What stands in it.
        small: What stands below, smaller.
        best: Whether it is the best of its column.
        style: Class of the colour of a mark before it, or nothing.
    """

    text: str
    small: str = ""
    best: bool = False
    style: str = ""


@dataclass(frozen=True)
class Table:
    """A table whose first column names the rows.

    Args:
        title: What it lists.
        head: The names of the columns; none for a list of names and values.
        rows: A tuple of cells each.
        wide: Whether it takes the whole width of the page.
    """

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    wide: bool = False

    @property
    def folded(self) -> bool:
        """Whether it is shown on demand."""
        return len(self.rows) > MAX_ROWS


@dataclass(frozen=True)
class Picture:
    """A picture inside the page.

    Args:
        title: What it shows.
        uri: The whole file, as a `data:` address.
        width: Pixels.
        height: Pixels.
    """

    title: str
    uri: str
    width: int
    height: int

    @property
    def small(self) -> bool:
        """Whether it has to be enlarged to be seen."""
        return max(self.width, self.height) < SMALL


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading.

    Args:
        title: The heading.
        text: How to read it, or what is missing and why.
        figures: Charts.
        tables: Tables.
        pictures: Pictures.
        samples: Text as the model wrote it.
    """

    title: str
    text: str = ""
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    samples: str = ""

    @property
    def anchor(self) -> str:
        """Its name in addresses."""
        return self.title.lower().replace(" ", "-")


def cells(*texts: str) -> tuple[Cell, ...]:
    """Returns a row of plain cells."""
    return tuple(Cell(text) for text in texts)


def load_picture(path: Path, title: str) -> Picture | None:
    """Reads a PNG; None where there is none.

    Raises:
        UserError: If it is damaged.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {reason(error)}.") from error
    if len(data) < 24 or not data.startswith(PNG):
        raise UserError(f"{path} is not a PNG picture. Delete it to have a report without it.")
    width, height = struct.unpack(">II", data[16:24])
    return Picture(title, f"data:image/png;base64,{base64.b64encode(data).decode()}", width, height)


def load_text(path: Path) -> str:
    """Reads a text; nothing where there is none.

    Raises:
        UserError: If it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8").strip("\n")
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {reason(error)}.") from error
