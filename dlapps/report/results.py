"""The sections that say what was asked for and what came of it, from the record of a run."""

import dataclasses
import importlib
from collections.abc import Iterator
from typing import Any

from dlapps.report import numbers
from dlapps.report.content import NOTHING, Cell, Section, Table, cells, load_picture, load_text
from dlapps.runs import Run

FINGERPRINT = 12  # characters of it that are shown
BASELINES = {"chance": "by chance", "majority": "always the commonest class"}
MATRIX = 2  # so many entries of one shape make a table


def mapping(record: dict[str, Any], name: str) -> dict[str, Any]:
    """Returns a part of a record; an empty one where there is none."""
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def baselines(record: dict[str, Any], measure: str) -> list[tuple[str, float]]:
    """Returns what one gets without looking, by what it is called.

    It stands in the figures or their results, as `baselines` by name, or as `chance_accuracy`
    beside `accuracy`.
    """
    figures = mapping(record, "figures")
    base = measure.removeprefix("val_")
    found: dict[str, float] = {}
    for part in (record, figures, mapping(figures, "results")):
        named = mapping(part, "baselines")
        for name, value in {**named, **mapping(named, base), **mapping(named, measure)}.items():
            if numbers.is_number(value):
                found[BASELINES.get(name, name.replace("_", " "))] = value
        for name, text in BASELINES.items():
            if numbers.is_number(part.get(f"{name}_{base}")):
                found[text] = part[f"{name}_{base}"]
    return [*found.items()]


def options(record: dict[str, Any]) -> Section:
    """Lists the options that differ from the defaults."""
    app, given = record["app"], mapping(record, "options")
    defaults = _defaults(app)
    if defaults is None:
        text = f"The defaults of '{app}' are not known here, so all its options are listed."
        listed = [cells(_flag(name), numbers.exact(value)) for name, value in given.items()]
        return Section("Options", text, tables=[Table("Options", ("option", "value"), listed)])
    rows = []
    for name, value in given.items():
        names, help_text, default = defaults.get(name, ((), "", dataclasses.MISSING))
        if _plain(default) != value:
            unknown = default is dataclasses.MISSING
            shown = "no such option any more" if unknown else numbers.exact(default)
            flag = names[0] if names else _flag(name)
            rows.append((Cell(flag, help_text), Cell(numbers.exact(value)), Cell(shown)))
    if not rows:
        return Section("Options", "All options have their defaults.")
    table = Table("Different from the defaults", ("option", "value", "default"), rows, wide=True)
    return Section("Options", tables=[table])


def _defaults(app: Any) -> dict[str, tuple[tuple[str, ...], str, Any]] | None:
    """Returns names, help and default of every option of an app; None if it is not known."""
    try:
        config = importlib.import_module(f"dlapps.apps.{app}.config").Config()
    except ModuleNotFoundError:
        return None
    return {
        field.name: (
            field.metadata.get("names", ()),
            field.metadata.get("help", "").split("  [default")[0],
            getattr(config, field.name),
        )
        for field in dataclasses.fields(config)
    }


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _plain(value: Any) -> Any:
    return [*value] if isinstance(value, tuple) else value  # JSON knows lists only.


def results(record: dict[str, Any]) -> Section:
    """Lists the figures, the dataset and the versions."""
    figures = mapping(record, "figures")
    tables = [*_figures(figures)]
    for name, title in (("results", "Evaluation"), ("baselines", "Baselines")):
        tables += _nested(title, mapping(figures, name))
    tables += _phases(mapping(record, "phases"))
    dataset = dict(mapping(record, "dataset"))
    if isinstance(dataset.get("fingerprint"), str):
        dataset["fingerprint"] = dataset["fingerprint"][:FINGERPRINT]
    if isinstance(dataset.get("labels"), list):
        labels = dataset.pop("labels")
        dataset[numbers.plural(len(labels), "label")] = labels
    tables += _nested("Dataset", dataset)
    tables += _nested("Versions", mapping(record, "versions"))
    text = "" if figures else "There are no figures: they are written when the training ends."
    return Section("Results", text, tables=tables)


def _figures(figures: dict[str, Any]) -> Iterator[Table]:
    measured = {name: value for name, value in figures.items() if numbers.is_number(value)}
    names = dict.fromkeys(name.removeprefix("val_") for name in measured if name != "epoch")
    rows = [
        cells(
            numbers.title(name),
            *(
                numbers.number(measured[n]) if n in measured else NOTHING
                for n in (name, f"val_{name}")
            ),
        )
        for name in names
    ]
    if rows:
        yield Table("Measures of the best epoch", ("measure", "training", "validation"), rows)


def _phases(phases: dict[str, Any]) -> Iterator[Table]:
    """Yields the best measures of every phase, where there are several."""
    known = {name: each for name, each in phases.items() if isinstance(each, dict)}
    names = [*dict.fromkeys(n for each in known.values() for n in each if n != "phase")]
    rows = [
        cells(phase, *(_shown(each[name]) if name in each else NOTHING for name in names))
        for phase, each in known.items()
    ]
    if len(rows) > 1:
        yield Table("Best of each phase", ("phase", *map(numbers.title, names)), rows, wide=True)


def _nested(title: str, values: dict[str, Any]) -> Iterator[Table]:
    """Yields a table of all plain values, and one for everything below."""
    plain = {name: value for name, value in values.items() if not isinstance(value, dict)}
    if plain:
        rows = [cells(numbers.title(name), _shown(value)) for name, value in plain.items()]
        yield Table(title, (), rows)
    for name, below in values.items():
        if not isinstance(below, dict):
            continue
        below_title = f"{title}: {numbers.title(name)}"
        entries = [*below.values()]
        alike = all(isinstance(each, dict) and [*each] == [*entries[0]] for each in entries)
        if alike and len(entries) >= MATRIX and entries[0]:
            rows = [
                cells(str(key), *(_shown(value) for value in entry.values()))
                for key, entry in below.items()
            ]
            head = ("", *map(numbers.title, entries[0]))
            yield Table(below_title, head, rows, wide=True)
        else:
            yield from _nested(below_title, below)


def _shown(value: Any) -> str:
    return numbers.number(value) if isinstance(value, float) else numbers.exact(value)


def pictures(run: Run) -> Iterator[Section]:
    """Yields what the network sees and has learnt to see."""
    for name, title, text in (
        (
            "filters.png",
            "First-layer filters",
            "What the first layer looks for. Noise says that it has learnt little, or was not "
            "regularised; smooth edges and colours are what to hope for.",
        ),
        (
            "train_batch.png",
            "First batch",
            "What the network sees, with its targets, after cropping, resizing and augmentation. "
            "What a person cannot tell here, it cannot either.",
        ),
    ):
        picture = load_picture(run.folder / name, title)
        if picture:
            yield Section(title, text, pictures=[picture])


def examples(run: Run) -> Section | None:
    """Shows what the model gets right and wrong, or writes."""
    found = (
        load_picture(run.folder / "right.png", "Right"),
        load_picture(run.folder / "wrong.png", "Wrong"),
    )
    samples = load_text(run.folder / "samples.txt")
    shown = [picture for picture in found if picture]
    return Section("Examples", pictures=shown, samples=samples) if shown or samples else None
