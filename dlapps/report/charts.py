"""Line and bar charts over the epochs."""

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from dlapps.report import axes, numbers
from dlapps.report.axes import Axis
from dlapps.report.figure import Epochs, Figure, Key, percent, plot
from dlapps.report.history import Values

# A path's own units, from edge to edge; finer than the pixels of any screen.
UNITS = 4000
# Of more epochs each stretch keeps its ends and its extremes, so no spike is lost.
MAX_STRETCHES = 500
MANY = 500  # epochs, of which a thick line would hide how they differ
MAX_BARS = 200
BAR = 0.8  # Of the room that a bar has,
WIDEST_BAR = 0.1  # but not more than this part of the chart.

Point = tuple[int, float]


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Args:
        name: For the legend.
        values: One an epoch; None where nothing was measured, which the line passes over. Where
            one is not finite, the line has a gap and the chart a mark.
        style: Class of its colour.
        best: The epoch to put a ring on.
        dashed: Whether the line is.
    """

    name: str
    values: Values
    style: str
    best: int | None = None
    dashed: bool = False

    @property
    def points(self) -> list[Point]:
        """The epochs at which something was measured, from 1, and what."""
        return [(k, value) for k, value in enumerate(self.values, start=1) if value is not None]


def line_chart(
    title: str,
    series: Sequence[Series],
    epochs: Epochs,
    log: bool = False,
    band: tuple[float, float, str] | None = None,
) -> Figure:
    """Draws lines over the epochs.

    Args:
        title: What they are.
        series: The lines, the most important one last.
        epochs: The horizontal axis.
        log: Whether equal ratios have equal heights.
        band: Two values and a text; what lies between them is shaded.
    """
    seen = [value for each in series for _, value in each.points]
    axis = axes.logarithmic([*seen, *(band[:2] if band else ())]) if log else axes.linear(seen)
    keys = [Key(each.name, each.style, "dashed" if each.dashed else "line") for each in series]
    if [each.name for each in series] == [title.lower()]:
        keys = []  # The title says it.
    shapes = []
    if band:
        bottom, top = (percent(1 - axis.place(value)) for value in band[:2])
        text = '<rect class="band" width="100%" y="{}%" height="{}%"/>'
        shapes.append(Markup(text).format(top, round(bottom - top, 2)))
        keys.append(Key(band[2], "band", "box"))
    broken = _broken(series)
    shapes += [_stretch(first, last, epochs.axis) for first, last in broken]
    if broken:
        keys.append(Key("not a number", "broken", "box"))
    for each in series:
        shapes += _line(each, axis, epochs.axis)
    shapes += [_ring(each, axis, epochs.axis) for each in series if each.best is not None]
    if any(each.best is not None for each in series):
        keys.append(Key(epochs.best_text, "best", "ring"))
    label = f"{title} by epoch. " + " ".join(_summary(each) for each in series)
    drawing = plot(epochs, axis, label, shapes)
    unit = "log scale" if log else ""
    return Figure(title, label, drawing, tuple(keys), unit, hover=hover_data(epochs, series))


def bar_chart(
    title: str, parts: Sequence[Series], epochs: Epochs, unit: str, scale: float = 1
) -> Figure:
    """Draws a bar for each epoch, its parts on top of each other.

    Args:
        title: What they are.
        parts: From the bottom up; what is missing or not finite counts as nothing.
        epochs: The horizontal axis.
        unit: What the vertical axis counts.
        scale: What one unit is in the values' own.
    """
    size = math.ceil(epochs.count / MAX_BARS)
    bottoms = [0.0] * math.ceil(epochs.count / size)
    stacks = []
    for part in parts:
        tops = [bottom + height for bottom, height in zip(bottoms, _means(part, size), strict=True)]
        stacks.append((part, bottoms, tops))
        bottoms = tops
    axis = axes.linear([top / scale for top in bottoms], with_zero=True)
    shapes = [
        Markup('<svg class="inner" viewBox="0 0 {0} {0}" preserveAspectRatio="none">').format(UNITS)
    ]
    for part, lows, highs in stacks:
        bars = [
            (epochs.axis.place(0.5 + k * size), axis.place(low / scale), axis.place(high / scale))
            for k, (low, high) in enumerate(zip(lows, highs, strict=True))
        ]
        path = _bars(bars, size / epochs.count)
        shapes.append(Markup('<path class="bar {}" d="{}"/>').format(part.style, path))
    shapes.append(Markup("</svg>"))
    label = f"{title} by epoch, {unit}. " + " ".join(_summary(part) for part in parts)
    keys = tuple(Key(part.name, part.style, "box") for part in reversed(parts))
    note = f"Each bar is the mean of {size} epochs." if size > 1 else ""
    drawing = plot(epochs, axis, label, shapes)
    return Figure(title, label, drawing, keys, unit, note, hover_data(epochs, parts))


def hover_data(epochs: Epochs, series: Iterable[Series]) -> str:
    """Returns what the page's script shows under the pointer, as JSON."""
    lines = [
        [each.name, [None if v is None else numbers.number(v) for v in each.values]]
        for each in series
    ]
    phases = [[phase.name, phase.first] for phase in epochs.phases]
    return json.dumps([epochs.count, phases, lines], ensure_ascii=False, separators=(",", ":"))


def _summary(series: Series) -> str:
    finite = [(k, value) for k, value in series.points if math.isfinite(value)]
    if not finite:
        return f"{numbers.heading(series.name)}: no number."
    (_, first), (_, last) = finite[0], finite[-1]
    text = f"{numbers.heading(series.name)}: {numbers.number(first)}"
    text += f" to {numbers.number(last)}" if len(finite) > 1 else ""
    return f"{text}, best in epoch {series.best}." if series.best else f"{text}."


def _broken(series: Iterable[Series]) -> list[tuple[int, int]]:
    """Returns the stretches of epochs in which a value is not finite, first and last each."""
    epochs = {k for each in series for k, value in each.points if not math.isfinite(value)}
    stretches: list[tuple[int, int]] = []
    for epoch in sorted(epochs):
        if stretches and stretches[-1][1] == epoch - 1:
            stretches[-1] = (stretches[-1][0], epoch)
        else:
            stretches.append((epoch, epoch))
    return stretches


def _stretch(first: int, last: int, x_axis: Axis) -> Markup:
    left, right = x_axis.place(first - 0.5), x_axis.place(last + 0.5)
    text = '<rect class="broken" x="{}%" width="{}%" height="100%"/>'
    return Markup(text).format(percent(left), percent(right - left))


def _ring(series: Series, axis: Axis, x_axis: Axis) -> Markup:
    value = dict(series.points).get(series.best or 0)
    if value is None or not math.isfinite(value):
        return Markup("")
    x, y = percent(x_axis.place(series.best or 0)), percent(1 - axis.place(value))
    text = '<circle class="ring {}" cx="{}%" cy="{}%" r="5"/>'
    return Markup(text).format(series.style, x, y)


def _line(series: Series, axis: Axis, x_axis: Axis) -> Iterator[Markup]:
    path, alone = "", []
    groups = itertools.groupby(_thinned(series.points), key=lambda p: math.isfinite(p[1]))
    for is_finite, group in groups:
        if not is_finite:
            continue
        xy = [(x_axis.place(k), 1 - axis.place(value)) for k, value in group]
        if len(xy) == 1:
            alone.append(xy[0])
            continue
        path += _path(xy)
    if path:
        box = f'viewBox="0 0 {UNITS} {UNITS}" preserveAspectRatio="none"'
        fine = " fine" if len(series.values) > MANY else ""
        style = f"line {series.style}{' dashed' if series.dashed else ''}{fine}"
        text = f'<svg class="inner" {box}><path class="{{}}" d="{path}"/></svg>'
        yield Markup(text).format(style)
    for x, y in alone:
        text = '<circle class="dot {}" cx="{}%" cy="{}%" r="3"/>'
        yield Markup(text).format(series.style, percent(x), percent(y))


def _path(xy: list[tuple[float, float]]) -> str:
    places = [(round(x * UNITS), round(y * UNITS)) for x, y in xy]
    text = f"M{places[0][0]} {places[0][1]}l"
    steps = [f"{b[0] - a[0]} {b[1] - a[1]}" for a, b in itertools.pairwise(places)]
    return text + " ".join(steps)


def _thinned(points: list[Point]) -> list[Point]:
    """Returns few enough points for a path, with the ends, extremes and gaps of every stretch."""
    size = math.ceil(len(points) / MAX_STRETCHES)
    if size <= 4:
        return points
    kept: list[Point] = []
    for start in range(0, len(points), size):
        stretch = points[start : start + size]
        finite = [point for point in stretch if math.isfinite(point[1])] or stretch
        gap = [point for point in stretch if not math.isfinite(point[1])][:1]
        low, high = (f(finite, key=lambda point: point[1]) for f in (min, max))
        kept += sorted({stretch[0], stretch[-1], low, high, *gap}, key=lambda point: point[0])
    return kept


def _means(part: Series, size: int) -> list[float]:
    values = [value if value is not None and math.isfinite(value) else 0 for value in part.values]
    stretches = [values[start : start + size] for start in range(0, len(values), size)]
    return [math.fsum(stretch) / len(stretch) for stretch in stretches]


def _bars(bars: list[tuple[float, float, float]], width: float) -> str:
    """Returns a path of boxes, each given by its left edge, bottom and top."""
    wide = max(1, round(min(width * BAR, WIDEST_BAR) * UNITS))
    gap = (width * UNITS - wide) / 2
    parts = []
    for left, bottom, top in bars:
        x, y, height = left * UNITS + gap, (1 - top) * UNITS, (top - bottom) * UNITS
        parts.append(f"M{x:.0f} {y:.0f}h{wide}v{height:.0f}h-{wide}z")
    return "".join(parts)
