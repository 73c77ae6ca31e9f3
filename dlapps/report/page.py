"""Builds the report: one HTML file that needs nothing outside itself."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2

from dlapps import files
from dlapps.errors import UserError
from dlapps.report import comparison, curves, numbers, results
from dlapps.report.content import Cell, Section
from dlapps.report.history import History, load_history, load_layers
from dlapps.runs import RECORD, Run

NAME = "report.html"
# Stands in the head of every report, and tells it from files of others.
GENERATOR = '<meta name="generator" content="dlapps report">'


def page(runs: Sequence[Run]) -> str:
    """Returns the report of one run, or the comparison of several, as HTML.

    Raises:
        UserError: If a file of a run is damaged.
    """
    histories = [load_history(run.folder) for run in runs]
    if len(runs) == 1:
        return _filled(**_head(runs[0], histories[0]), sections=[*_sections(runs[0], histories[0])])
    entries = comparison.entries(runs, histories)
    return _filled(
        title=f"{len(runs)} runs compared",
        lead=", ".join(entry.name for entry in entries),
        sections=comparison.sections(entries),
    )


def write(run: Run) -> Path:
    """Writes the report of a run into its folder, and returns where it is.

    Raises:
        UserError: If a file of the run is damaged, or its folder cannot be written to.
    """
    path = run.folder / NAME
    files.write(path, page([run]))
    return path


@contextlib.contextmanager
def reported(run: Run) -> Iterator[None]:
    """Writes the report of a run when the block ends, well or not."""
    try:
        yield
    finally:
        if (run.folder / RECORD).is_file():  # A run that began in vain leaves nothing.
            with contextlib.suppress(UserError):  # It can be built again; a training cannot.
                write(run)


def _filled(**content: Any) -> str:
    places = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=places, autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    template = environment.get_template("page.html")
    return template.render({"state": None, "facts": [], "generator": GENERATOR, **content})


def _head(run: Run, history: History | None) -> dict[str, Any]:
    """Returns the title of a run's page, its state, and the facts to be seen first."""
    record = run.record
    state = str(record.get("state", "unknown"))
    data = results.mapping(record, "dataset").get("data")
    mode = f" --{record['mode']}" if record.get("mode") else ""
    lead = f"{record['app']}{mode}{f' {numbers.exact(data)}' if data else ''}"
    return {
        "title": run.folder.resolve().name,
        "lead": lead,
        "state": (state, state.split(":")[0]),
        "facts": [*_facts(record, history)],
    }


def _facts(record: dict[str, Any], history: History | None) -> Iterator[tuple[str, Cell]]:
    figures, dataset = (results.mapping(record, name) for name in ("figures", "dataset"))
    measure = numbers.headline(figures)
    if measure:
        without = results.baselines(record, measure)
        small = ", ".join(f"{numbers.number(value)} {name}" for name, value in without)
        yield numbers.title(measure), Cell(numbers.number(figures[measure]), small, best=True)
    if "epoch" in figures:
        phase = f"of phase {figures['phase']}" if figures.get("phase") else ""
        yield "best epoch", Cell(numbers.exact(figures["epoch"]), phase)
    if history:
        seconds = numbers.total(history.columns.get("seconds", []))
        yield "epochs", Cell(str(history.num_epochs), numbers.duration(seconds) if seconds else "")
    if numbers.is_number(dataset.get("train")):
        held_out = dataset.get("validation")
        small = f"{held_out} held out" if held_out is not None else ""
        yield f"{dataset.get('unit', 'examples')} to learn from", Cell(str(dataset["train"]), small)
    if record.get("started"):
        day, _, time = str(record["started"]).partition("T")
        yield "started", Cell(day, time[:5])


def _sections(run: Run, history: History | None) -> Iterator[Section]:
    layers = load_layers(run.folder, history)
    best = history.place(results.mapping(run.record, "figures")) if history else None
    if history is None:
        text = "There are no curves: history.csv is missing. It gets a row at the end of each epoch"
        yield Section("Curves", f"{text}, so the first has not ended or the file was deleted.")
    yield from curves.sections(history, layers, best)
    yield from results.pictures(run)
    yield results.options(run.record)
    yield results.results(run.record)
    examples = results.examples(run)
    if examples:
        yield examples
