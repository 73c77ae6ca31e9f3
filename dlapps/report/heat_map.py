"""Heat maps: a row a layer, a column an epoch, a colour a value."""

import json
import math
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass

from markupsafe import Markup

from dlapps.report import numbers
from dlapps.report.figure import Epochs, Figure, Key, cut, dividers, epoch_ticks, joined
from dlapps.report.history import Layers

ROW = 17  # pixels
MAX_CHARACTERS = 24  # Of a layer's name; half of a phone's width.
CHARACTER = 6.3  # pixels, of the widest digits at the size that the page gives these names
# So many coloured boxes a browser draws at once, and a page carries.
MAX_CELLS = 8000
MIN_COLUMNS, MAX_COLUMNS = 40, 120
BROKEN = "broken"
SEPARATORS = "/_."  # in the names of layers
MOST = 0.8  # of the layers


@dataclass(frozen=True)
class Scale:
    """Colours for values.

    Args:
        style: What the classes of the colours begin with; a number follows, from 0.
        edges: Where one colour ends and the next begins, rising.
        texts: What to write at the edges.
        good: The values that are as they should be, from and to, and what that is called.
        log: Whether the mean of several epochs is that of their logarithms.
    """

    style: str
    edges: tuple[float, ...]
    texts: tuple[str, ...]
    good: tuple[float, float, str] | None = None
    log: bool = False

    def of(self, value: float) -> str:
        """Returns the class of a value's colour."""
        return f"{self.style}{bisect_right(self.edges, value)}" if math.isfinite(value) else BROKEN

    @property
    def legend(self) -> tuple[tuple[str, str, bool], ...]:
        """Every colour from low to high: class, text at its upper edge, whether it is good."""
        low, high, _ = self.good or (1.0, 0.0, "")
        good = [False, *(low <= edge < high for edge in self.edges)]
        styles = (f"{self.style}{k}" for k in range(len(good)))
        return tuple(zip(styles, (*self.texts, ""), good, strict=True))


# Centred on 1e-3; 1e-4 to 1e-2 are the pale ones in the middle.
RATIOS = Scale(
    "ratio",
    (1e-6, 1e-5, 1e-4, 10**-3.5, 1e-3, 10**-2.5, 1e-2, 1e-1, 1),
    ("1e-6", "1e-5", "1e-4", "", "1e-3", "", "1e-2", "0.1", "1"),
    (1e-4, 1e-2, "1e-4 to 1e-2: acceptable (CS231n)"),
    log=True,
)
SHARES = Scale(
    "share", (0.01, 0.05, 0.1, 0.25, 0.5, 0.75), ("1%", "5%", "10%", "25%", "50%", "75%")
)


def heat_map(title: str, layers: Layers, column: str, scale: Scale, epochs: Epochs) -> Figure:
    """Draws the values of every layer in every epoch.

    Args:
        title: What they are.
        layers: Where they stand.
        column: Under which name.
        scale: The colours.
        epochs: The horizontal axis.
    """
    cells = layers.cells[column]
    names = [name for name in layers.names if name in cells]
    most = min(MAX_COLUMNS, max(MIN_COLUMNS, MAX_CELLS // len(names)))
    size = math.ceil(epochs.count / most)
    rows = [_row(cells[name], epochs.count, size, scale.log) for name in names]
    seen = [value for row in rows for value in row]
    keys = [Key(scale.good[2], "good", "good")] if scale.good else []
    if any(value is not None and not math.isfinite(value) for value in seen):
        keys.append(Key("not a number", f"{BROKEN} solid", "box"))
    if None in seen:
        keys.append(Key("not measured, as of a frozen layer", "blank", "box"))
    label = f"{title}: {numbers.plural(len(names), 'layer')} over the epochs. {_extremes(cells)}"
    return Figure(
        title,
        label,
        _drawing(names, rows, scale, epochs, size, label),
        tuple(keys),
        note=f"Each column is the mean of {size} epochs." if size > 1 else "",
        hover=_hover(names, rows, epochs, size),
        scale=scale.legend,
        wide=True,
    )


def _row(cells: dict[int, float], count: int, size: int, log: bool) -> list[float | None]:
    starts = range(1, count + 1, size)
    return [_mean([cells.get(k) for k in range(at, at + size)], log) for at in starts]


def _mean(cells: list[float | None], log: bool) -> float | None:
    values = [value for value in cells if value is not None]
    if not values:
        return None
    if not all(math.isfinite(value) for value in values):
        return math.nan
    if log and min(values) > 0:
        return math.exp(math.fsum(math.log(value) for value in values) / len(values))
    return math.fsum(values) / len(values)


def _drawing(
    names: list[str], rows: list[list[float | None]], scale: Scale, epochs: Epochs, size: int,
    label: str,
) -> Markup:  # fmt: skip
    paths: dict[str, list[str]] = {}
    for y, row in enumerate(rows):
        for x, length, style in _stretches([None if v is None else scale.of(v) for v in row]):
            wide = min(length * size, epochs.count - x * size)  # The last column may be narrower.
            paths.setdefault(style, []).append(f"M{x * size} {y}h{wide}v1h-{wide}z")
    boxes = joined(
        Markup('<path class="{}" d="{}"/>').format(style, "".join(path))
        for style, path in sorted(paths.items())
    )
    shown = short_names(names)
    text = Markup('<text class="y" x="-8" y="{}" dy=".35em">{}<title>{}</title></text>')
    words = joined(
        text.format((k + 0.5) * ROW, short, name)
        for k, (short, name) in enumerate(zip(shown, names, strict=True))
    )
    room = math.ceil(max(map(len, shown)) * CHARACTER) + 12
    svg = Markup(
        '<div class="scroll{tall}"><div class="heat" style="--room: {room}px">'
        '<svg class="cells" role="img" aria-label="{label}" height="{height}">{words}'
        '<svg class="inner" viewBox="0 0 {columns} {rows}" preserveAspectRatio="none">'
        "{boxes}</svg>{phases}</svg>"
        '<div class="foot" aria-hidden="true"><svg>{axis}</svg></div></div></div>'
    )
    return svg.format(
        tall=" tall" if len(rows) > 40 else "",
        room=room,
        label=label,
        height=len(rows) * ROW,
        words=words,
        columns=epochs.count,
        rows=len(rows),
        boxes=boxes,
        phases=dividers(epochs),
        axis=joined(epoch_ticks(epochs)),
    )


def short_names(names: list[str]) -> list[str]:
    """Returns names that fit, without the beginning and the end that most of them share."""
    if max(map(len, names)) <= MAX_CHARACTERS:
        return names
    prefix = _shared(names)
    if prefix.endswith("_"):  # Of stage_1 and stage_2 the word is kept.
        prefix = prefix[: max(prefix.rfind(s, 0, -1) for s in SEPARATORS) + 1]
    suffix = _shared([name[::-1] for name in names])[::-1]
    short = []
    for name in names:
        left, right = name.startswith(prefix), name.endswith(suffix)
        middle = name[len(prefix) * left : len(name) - len(suffix) * right]
        if len(name) > MAX_CHARACTERS and middle:
            name = "…" * (left and prefix != "") + middle + "…" * (right and suffix != "")
        short.append(cut(name, MAX_CHARACTERS))
    return short


def _shared(names: list[str]) -> str:
    """Returns the longest beginning, up to a separator, that most names have."""
    counts = Counter(
        name[:k] for name in names for k in range(1, len(name)) if name[k - 1] in SEPARATORS
    )
    most = [beginning for beginning, count in counts.items() if count >= MOST * len(names)]
    return max(most, key=len, default="")


def _stretches(styles: list[str | None]) -> list[tuple[int, int, str]]:
    """Returns start, length and style of every run of one style."""
    found: list[tuple[int, int, str]] = []
    for x, style in enumerate(styles):
        if style is None:
            continue
        if found and found[-1][2] == style and sum(found[-1][:2]) == x:
            found[-1] = (found[-1][0], found[-1][1] + 1, style)
        else:
            found.append((x, 1, style))
    return found


def _hover(names: list[str], rows: list[list[float | None]], epochs: Epochs, size: int) -> str:
    phases = [[phase.name, phase.first] for phase in epochs.phases]
    texts = [[None if v is None else numbers.number(v) for v in row] for row in rows]
    data = [epochs.count, phases, names, texts, size]
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _extremes(cells: dict[str, dict[int, float]]) -> str:
    last = {name: row[max(row)] for name, row in cells.items() if math.isfinite(row[max(row)])}
    if not last:
        return ""
    low, high = (f(last, key=last.__getitem__) for f in (min, max))
    return (
        f"In the last epoch from {numbers.number(last[low])} ({low}) "
        f"to {numbers.number(last[high])} ({high})."
    )
