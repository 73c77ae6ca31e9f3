"""The sections that set several runs beside each other."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dlapps.report import curves, numbers
from dlapps.report.charts import Series, line_chart
from dlapps.report.content import NOTHING, Cell, Section, Table
from dlapps.report.figure import Epochs
from dlapps.report.history import History
from dlapps.report.results import FINGERPRINT, mapping
from dlapps.runs import Run

COLOURS = 8  # Of the page; a further run has the colour of an earlier one, dashed.


@dataclass(frozen=True)
class Entry:
    """One run of the comparison.

    Args:
        name: What it is called on the page, unlike all others.
        style: Class of its colour.
        dashed: Whether its lines are.
        record: Its `run.json`.
        history: Its epochs.
    """

    name: str
    style: str
    dashed: bool
    record: dict[str, Any]
    history: History | None

    @property
    def cell(self) -> Cell:
        """Its name with its colour."""
        return Cell(self.name, style=self.style)


def entries(runs: Sequence[Run], histories: Sequence[History | None]) -> list[Entry]:
    """Gives every run a name and a colour of its own."""
    short = [run.folder.resolve().name for run in runs]
    unique = len({*short}) == len(short)
    names = short if unique else [str(run.folder) for run in runs]
    return [
        Entry(names[k], f"run{k % COLOURS}", k // COLOURS % 2 == 1, run.record, history)
        for k, (run, history) in enumerate(zip(runs, histories, strict=True))
    ]


def sections(runs: Sequence[Entry]) -> list[Section]:
    """Returns what differs between runs, how good they are, and their curves."""
    return [_overview(runs), _measures(runs), _options(runs), _curves(runs)]


def _overview(runs: Sequence[Entry]) -> Section:
    head = ("run", "app", "mode", "data", "state", "epochs", "time")
    rows = []
    for run in runs:
        dataset = mapping(run.record, "dataset")
        seconds = run.history.columns.get("seconds", []) if run.history else []
        rows.append(
            (
                run.cell,
                Cell(numbers.exact(run.record["app"])),
                Cell(numbers.exact(run.record.get("mode", NOTHING))),
                Cell(
                    numbers.exact(dataset.get("data", NOTHING)),
                    str(dataset.get("fingerprint", ""))[:FINGERPRINT],
                ),
                Cell(numbers.exact(run.record.get("state", NOTHING))),
                Cell(str(run.history.num_epochs if run.history else 0)),
                Cell(_unbroken(numbers.duration(numbers.total(seconds))) if seconds else NOTHING),
            )
        )
    prints = {mapping(run.record, "dataset").get("fingerprint") for run in runs}
    text = (
        "These runs learnt from different data, so their measures do not say which is better."
        if len(prints) > 1
        else ""
    )
    return Section("Runs", text, tables=[Table("Runs", head, rows, wide=True)])


def _unbroken(text: str) -> str:
    """Returns a text that stays on one line of a narrow table."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _measures(runs: Sequence[Entry]) -> Section:
    figures = [mapping(run.record, "figures") for run in runs]
    names = dict.fromkeys(
        name
        for each in figures
        for name, value in each.items()
        if numbers.is_number(value) and name != "epoch"
    )
    if not names:
        return Section("Best measures", "No run has figures yet: none has ended.")
    order = sorted(names, key=lambda name: not name.startswith("val_"))
    best = {name: _best(name, [each.get(name) for each in figures]) for name in order}
    rows = []
    for run, each in zip(runs, figures, strict=True):
        values = [(name, each.get(name)) for name in order]
        when = f"{each.get('phase', '')} {each.get('epoch', '')}".strip() or NOTHING
        cells = [
            Cell(numbers.number(value), best=value == best[name])
            if value is not None and numbers.is_number(value)
            else Cell(NOTHING)
            for name, value in values
        ]
        rows.append((run.cell, Cell(_unbroken(when)), *cells))
    head = ("run", "best epoch", *(_title(name, order) for name in order))
    text = "Of each run's best epoch. The best of a column is bold, where it is known which way "
    text += "is better."
    return Section("Best measures", text, tables=[Table("Best measures", head, rows, wide=True)])


def _best(name: str, values: Sequence[Any]) -> float | None:
    finite = [value for value in values if numbers.is_number(value) and math.isfinite(value)]
    lower = numbers.lower_is_better(name)
    if lower is None or len(finite) < 2:
        return None
    return min(finite) if lower else max(finite)


def _options(runs: Sequence[Entry]) -> Section:
    given = [mapping(run.record, "options") for run in runs]
    names = dict.fromkeys(name for each in given for name in each)
    rows = []
    for name in names:
        values = [numbers.exact(each[name]) if name in each else NOTHING for each in given]
        if len({*values}) > 1:
            rows.append((Cell("--" + name.replace("_", "-")), *map(Cell, values)))
    if not rows:
        return Section("Options", "All runs have the same options.")
    table = Table("Options", ("option", *(run.name for run in runs)), rows, wide=True)
    return Section("Options", "Those that differ between the runs.", tables=[table])


def _curves(runs: Sequence[Entry]) -> Section:
    without = [run.name for run in runs if run.history is None]
    text = "Epochs are counted on over the phases of a run. A ring marks a run's best epoch."
    if without:
        text += f" Without history.csv, so without curves: {', '.join(without)}."
    known = [run.history for run in runs if run.history]
    if not known:
        return Section("Curves", "No run holds a history.csv, so there are no curves.")
    epochs = Epochs(max(history.num_epochs for history in known))
    names = dict.fromkeys(name for history in known for name in curves.measures(history))
    columns = [f"{part}{name}" for name in names for part in ("val_", "")]
    charts = [
        line_chart(
            numbers.heading(_title(column, columns)),
            series,
            epochs,
            any(curves.needs_logarithm(each.values) for each in series),
        )
        for column in columns
        if (series := _series(column, runs, with_best=True))
    ]
    for column, title, log in (
        ("learning_rate", "Learning rate", True),
        ("gradient_norm", "Gradient norm", True),
        ("seconds", "Seconds per epoch", False),
    ):
        series = _series(column, runs, with_best=False)
        if series:
            charts.append(line_chart(title, series, epochs, log))
    return Section("Curves", text, charts)


def _series(column: str, runs: Sequence[Entry], with_best: bool) -> list[Series]:
    return [
        Series(
            run.name,
            run.history.columns[column],
            run.style,
            run.history.place(mapping(run.record, "figures")) if with_best else None,
            run.dashed,
        )
        for run in runs
        if run.history and column in run.history.columns
    ]


def _title(column: str, columns: Sequence[str]) -> str:
    """Returns the name of a measure, with "training" where there is one of validation too."""
    text = numbers.title(column)
    return f"training {text}" if f"val_{column}" in columns else text
