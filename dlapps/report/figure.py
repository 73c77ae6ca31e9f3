"""The frame of a chart: axes, phases, legend, as inline SVG.

Places are percentages, texts and strokes are pixels: so a chart fits any width, and its words stay
readable on a phone.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from markupsafe import Markup

from dlapps.report import axes
from dlapps.report.axes import Axis
from dlapps.report.history import Phase

CHARACTERS = 44  # Of a phase's name, over the width of a phone.


@dataclass(frozen=True)
class Key:
    """One entry of a legend.

    Args:
        text: What is meant.
        style: Classes of the colour.
        shape: "line", "dashed", "box", "ring" or "good".
    """

    text: str
    style: str
    shape: str = "line"


@dataclass(frozen=True)
class Figure:
    """A chart with all that stands around it.

    Args:
        title: What it shows.
        label: The same in a sentence with figures, for those who do not see it.
        drawing: The SVG.
        legend: What the colours mean.
        unit: What the vertical axis counts, or nothing.
        note: What has to be said of this chart alone.
        hover: JSON for the page's script, which shows values under the pointer.
        scale: Colours of a heat map from low to high: class, text at the upper edge, and whether
            such values are as they should be.
        wide: Whether it takes the whole width of the page.
    """

    title: str
    label: str
    drawing: Markup
    legend: tuple[Key, ...] = ()
    unit: str = ""
    note: str = ""
    hover: str = ""
    scale: tuple[tuple[str, str, bool], ...] = ()
    wide: bool = False


@dataclass(frozen=True)
class Epochs:
    """The horizontal axis that the charts of a page share.

    Args:
        count: Epochs of all phases together.
        phases: Phases to be told apart; none for runs that differ in them.
        best: The epoch to draw a line at.
    """

    count: int
    phases: tuple[Phase, ...] = ()
    best: int | None = None
    axis: Axis = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "axis", axes.epochs(self.count))

    @property
    def best_text(self) -> str:
        """What a ring means, with the epoch if there is one for all."""
        if self.best is None:
            return "best epoch"
        for phase in self.phases if len(self.phases) > 1 else ():
            if phase.first <= self.best <= phase.last:
                return f"best epoch: {self.best} ({phase.name} {self.best - phase.first + 1})"
        return f"best epoch: {self.best}"


def plot(epochs: Epochs, axis: Axis, label: str, shapes: Iterable[Markup]) -> Markup:
    """Draws the axes of a chart around its `shapes`.

    Args:
        epochs: The horizontal axis.
        axis: The vertical one.
        label: What the chart shows, in words.
        shapes: What is drawn between the axes.
    """
    parts = []
    for value, text in axis.ticks:
        y = percent(1 - axis.place(value))
        parts.append(Markup('<line class="grid" x2="100%" y1="{0}%" y2="{0}%"/>').format(y))
        left = '<text class="y" x="-8" y="{}%" dy=".35em">{}</text>'
        parts.append(Markup(left).format(y, text))
    parts += epoch_ticks(epochs)
    if epochs.best is not None:
        x = percent(epochs.axis.place(epochs.best))
        parts.append(Markup('<line class="best" x1="{0}%" x2="{0}%" y2="100%"/>').format(x))
    svg = '<svg class="plot" role="img" aria-label="{}">{}{}{}</svg>'
    return Markup(svg).format(label, joined(parts), joined(shapes), dividers(epochs))


def epoch_ticks(epochs: Epochs) -> Iterator[Markup]:
    """Yields the numbers of the epochs, to stand below a chart."""
    tick = Markup('<text class="x" x="{}%" y="100%" dy="17">{}</text>')
    for value, text in epochs.axis.ticks:
        yield tick.format(percent(epochs.axis.place(value)), text)
    yield Markup('<text class="x title" x="50%" y="100%" dy="34">epoch</text>')


def dividers(epochs: Epochs) -> Markup:
    """Draws a thin line where a phase begins, with the phase's name."""
    parts = []
    for phase in epochs.phases if len(epochs.phases) > 1 else ():
        x = percent(epochs.axis.place(phase.first - 0.5))
        if phase.first > 1:
            text = '<line class="divider" x1="{0}%" x2="{0}%" y1="-14" y2="100%"/>'
            parts.append(Markup(text).format(x))
        room = int((phase.last - phase.first + 1) / epochs.count * CHARACTERS)
        if room >= 3:
            text = '<text class="phase" x="{}%" dx="{}" y="-5">{}</text>'
            parts.append(Markup(text).format(x, 4 if phase.first > 1 else 0, cut(phase.name, room)))
    return joined(parts)


def cut(text: str, room: int) -> str:
    """Returns `text`, without its middle where it is longer than `room` characters."""
    if len(text) <= room:
        return text
    end = (room - 1) * 3 // 5  # Names of layers differ in their ends.
    return f"{text[: room - 1 - end]}…{text[len(text) - end :]}"


def joined(parts: Iterable[Markup]) -> Markup:
    """Returns markup in one piece."""
    return Markup("").join(parts)


def percent(part: float) -> float:
    """Returns a part of the whole as a number of percent, fine enough for any screen."""
    return round(100 * part, 2)
