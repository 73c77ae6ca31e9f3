"""Prints what a benchmark found."""

from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Returns rows as aligned text: the first column to the left, numbers to the right.

    Args:
        header: A title for each column.
        rows: As many cells each; a float is shown with two decimals, None as a dash.
    """
    cells = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(header))]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join(_line(row, widths) for row in cells)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = [
        text.rjust(width) if k else text.ljust(width)
        for k, (text, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join([first, *rest]).rstrip()
