"""Writes records down as they come, as JSON, JSON lines or CSV: nothing waits for the last one."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence


def json_list(records: Iterable[dict]) -> Iterator[str]:
    """Yields the lines of one JSON list, without their ends."""
    before = None
    yield "["
    for record in records:
        if before is not None:
            yield f"{before},"
        text = json.dumps(record, indent=2, ensure_ascii=False)
        before = "  " + text.replace("\n", "\n  ")
    if before is not None:
        yield before
    yield "]"


def json_lines(records: Iterable[dict]) -> Iterator[str]:
    """Yields one line of JSON a record, without its end."""
    for record in records:
        yield json.dumps(record, ensure_ascii=False)


def csv_lines(names: Sequence[str], rows: Iterable[Sequence]) -> Iterator[str]:
    """Yields rows of CSV, without their ends.

    Args:
        names: Those of the columns, the first row.
        rows: The cells of each further row.
    """
    yield _csv_row(names)
    for row in rows:
        yield _csv_row(row)


def _csv_row(cells: Sequence) -> str:
    file = io.StringIO(newline="")
    # Python up to 3.12 quotes of the ends of lines only those that are its own.
    csv.writer(file, lineterminator="\r\n").writerow(cells)
    return file.getvalue().removesuffix("\r\n")
