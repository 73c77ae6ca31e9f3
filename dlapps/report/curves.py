"""The sections that show how a training went, epoch by epoch."""

import math
from collections.abc import Iterator

from dlapps.report import numbers
from dlapps.report.charts import Series, bar_chart, line_chart
from dlapps.report.content import Section
from dlapps.report.figure import Epochs, Figure
from dlapps.report.heat_map import RATIOS, SHARES, heat_map
from dlapps.report.history import History, Layers, Values

RATIO = "update_ratio_mean"
# Updates relative to their weights (CS231n, Neural Networks Part 3).
GOOD_RATIOS = (1e-4, 1e-2, "acceptable (CS231n)")
NOT_MEASURES = {
    "seconds", "input_seconds", "learning_rate", "gradient_norm", "gradient_norm_max",
    "clip_threshold", "clipped", "update_ratio_min", "update_ratio_mean", "update_ratio_max",
    "dead_units", "saturated",
}  # fmt: skip
# What falls further is drawn by ratios, or its end would be a flat line.
MAX_RATIO = 20


def measures(history: History) -> list[str]:
    """Returns the names of what was measured in training or validation, losses first."""
    names = dict.fromkeys(
        name.removeprefix("val_") for name in history.columns if name not in NOT_MEASURES
    )
    return sorted(names, key=lambda name: name != "loss")


def needs_logarithm(values: Values) -> bool:
    """Tells whether a measure falls so far, as a loss may, that it has to be drawn by ratios."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if not finite or min(finite) <= 0 or max(finite) <= MAX_RATIO * min(finite):
        return False
    return finite.index(max(finite)) < finite.index(min(finite))


def curves(history: History, epochs: Epochs) -> Section:
    """Shows losses, measures and the learning rate."""
    figures = [_measure(history, name, epochs) for name in measures(history)]
    rate = history.columns.get("learning_rate")
    if rate:
        figures.append(
            line_chart("Learning rate", [Series("learning rate", rate, "other")], epochs, log=True)
        )
    return Section(
        "Curves",
        "Validation is what counts: where it turns while training still improves, the model "
        "learns by heart.",
        figures,
    )


def _measure(history: History, name: str, epochs: Epochs) -> Figure:
    pairs = (("training", name, "training"), ("validation", f"val_{name}", "validation"))
    series = [
        Series(title, history.columns[column], style, epochs.best)
        for title, column, style in pairs
        if column in history.columns
    ]
    log = any(needs_logarithm(each.values) for each in series)
    title = numbers.heading(numbers.title(name))
    only = series[0].name if len(series) == 1 else ""
    return line_chart(f"{title} ({only})" if only else title, series, epochs, log)


def gradients(history: History, epochs: Epochs) -> Section | None:
    """Shows the length of the gradient and how often it was clipped."""
    names = (
        ("gradient_norm_max", "largest of the epoch", "weak", False),
        ("gradient_norm", "mean of the epoch", "other", False),
        ("clip_threshold", "clip threshold", "limit", True),
    )
    series = [
        Series(title, history.columns[name], style, dashed=dashed)
        for name, title, style, dashed in names
        if name in history.columns
    ]
    figures = [line_chart("Gradient norm", series, epochs, log=True)] if series else []
    clipped = history.columns.get("clipped")
    if clipped:
        percent = [None if value is None else 100 * value for value in clipped]
        bars = [Series("clipped steps", percent, "share-bar")]
        figures.append(bar_chart("Share of clipped steps", bars, epochs, "%"))
    text = (
        "A norm that grows from epoch to epoch, or jumps, comes before a loss that does; one that "
        "falls to nothing says that nothing is learnt any more."
    )
    return Section("Gradients", text, figures) if figures else None


def updates(history: History | None, layers: Layers | None, epochs: Epochs) -> Section | None:
    """Shows how large the updates are beside the weights, over all and by layer."""
    names = (
        ("update_ratio_max", "largest", "weak"),
        ("update_ratio_min", "smallest", "weak"),
        ("update_ratio_mean", "mean", "other"),
    )
    columns = history.columns if history else {}
    series = [Series(text, columns[name], style, dashed=name.endswith("_min"))
              for name, text, style in names if name in columns]  # fmt: skip
    title = "Update ratio of all layers"
    figures = [line_chart(title, series, epochs, True, GOOD_RATIOS)] if series else []
    if layers and RATIO in layers.cells:
        figures.append(heat_map("Update ratio by layer", layers, RATIO, RATIOS, epochs))
    text = (
        "How far a step moves a weight, beside the weight's size. About 1e-3 is right and 1e-4 to "
        "1e-2 acceptable (CS231n, Neural Networks Part 3). Below, a layer hardly learns; above, "
        "the learning rate is too high for it."
    )
    return Section("Update ratios", text, figures) if figures else None


def activations(history: History | None, layers: Layers | None, epochs: Epochs) -> Section | None:
    """Shows which layers have units that can no longer learn."""
    columns, cells = history.columns if history else {}, layers.cells if layers else {}
    names = (("dead_units", "dead", "other"), ("saturated", "saturated", "limit"))
    series = [Series(text, columns[name], style) for name, text, style in names if name in columns]
    figures = [line_chart("Idle part of the worst layer", series, epochs)] if series else []
    maps = (("dead", "Dead units by layer"), ("saturated", "Saturated activations by layer"))
    if layers:
        figures += [heat_map(title, layers, name, SHARES, epochs)
                    for name, title in maps if name in cells]  # fmt: skip
    text = (
        "A dead unit is zero for every example, a saturated activation is at its bound: hardly "
        "any gradient passes either, so they stop learning."
    )
    largest = {name: row[max(row)] for name, row in cells.get("largest", {}).items()}
    if largest:
        name = max(largest, key=lambda each: (not math.isfinite(largest[each]), largest[each]))
        shown = numbers.number(largest[name])
        text += f" The largest activation of the last epoch, in {name}, is {shown}."
    return Section("Activations", text, figures) if figures else None


def times(history: History, epochs: Epochs) -> Section | None:
    """Shows how long every epoch took, and how much of that it waited for its input."""
    seconds = history.columns.get("seconds")
    if not seconds:
        return None
    waited = history.columns.get("input_seconds")
    parts = [Series("the whole epoch", seconds, "compute")]
    total = numbers.total(seconds)
    text = f"All epochs together took {numbers.duration(total)}."
    if waited and total:
        text += f" The input was waited for {numbers.total(waited) / total:.0%} of the time."
        pairs = zip(seconds, waited, strict=True)
        computed: Values = [None if s is None else max(s - (w or 0), 0.0) for s, w in pairs]
        parts = [
            Series("computing", computed, "compute"),
            Series("waiting for input", waited, "input"),
        ]
    longest = max((value for value in seconds if value and math.isfinite(value)), default=1.0)
    unit, size = next(
        (pair for pair in (("hours", 3600.0), ("minutes", 60.0)) if longest > 2 * pair[1]),
        ("seconds", 1.0),
    )
    return Section("Time", text, [bar_chart("Time per epoch", parts, epochs, unit, size)])


def sections(history: History | None, layers: Layers | None, best: int | None) -> Iterator[Section]:
    """Yields what there is to show of a training.

    Args:
        history: Its epochs.
        layers: Its layers.
        best: The best epoch, over all phases.
    """
    if history:
        epochs = Epochs(history.num_epochs, history.phases, best)
    else:
        epochs = Epochs(layers.num_epochs if layers else 1)
    found = (
        curves(history, epochs) if history else None,
        gradients(history, epochs) if history else None,
        updates(history, layers, epochs),
        activations(history, layers, epochs),
        times(history, epochs) if history else None,
    )
    yield from (section for section in found if section)
