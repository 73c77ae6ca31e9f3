"""Scales for charts, with ticks at round numbers."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from dlapps.report import numbers

# A logarithmic axis shows no more decades below its top: a rate that falls to 0 is not the chart.
MAX_DECADES = 8
MAX_TICKS = 6
# Up to this ratio of its ends, it has ticks at 1, 2 and 5; beyond, at powers of ten.
MAX_FINE = 200
# Below it, steps between ticks would not be numbers any more.
SMALLEST = 1e-100


@dataclass(frozen=True)
class Axis:
    """From the values of a chart to places in it.

    Args:
        low: The value at the start.
        high: The value at the end.
        ticks: Values to be marked, with their texts.
        log: Whether equal ratios, not equal differences, have equal lengths.
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    log: bool = False

    def place(self, value: float) -> float:
        """Returns where a value lies, in [0, 1]; what lies outside is put at the edge."""
        if self.log:
            if value <= self.low:
                return 0.0
            part = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        return min(max(part, 0.0), 1.0)


def linear(values: Iterable[float], with_zero: bool = False) -> Axis:
    """Returns an axis that holds all finite `values`, between round numbers.

    Args:
        values: What will be drawn.
        with_zero: Whether 0 belongs to it in any case, as for bars.
    """
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    finite = [value if abs(value) > SMALLEST else 0.0 for value in finite]
    low, high = min(finite), max(finite)
    flat = high - low <= 1e-9 * max(abs(low), abs(high))
    if with_zero or flat:
        low, high = min(low, 0.0), max(high, 0.0)
        if low == high:
            high = 1.0
    step = _round_step((high - low) / (MAX_TICKS - 1))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    ticks = [(k * step, _tick(k * step, decimals)) for k in range(first, last + 1)]
    return Axis(first * step, last * step, tuple(ticks))


def logarithmic(values: Iterable[float]) -> Axis:
    """Returns an axis of ratios for the positive ones of `values`."""
    positive = [value for value in values if SMALLEST < value < math.inf] or [1.0]
    high = max(positive)
    low = max(min(positive), high * 10**-MAX_DECADES)
    bottom, top = math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1
    marks = [float(f"{m}e{k}") for k in range(bottom, top + 1) for m in (1, 2, 5)]
    start = max(mark for mark in marks if mark <= low * (1 + 1e-9))
    end = min(mark for mark in marks if mark >= high * (1 - 1e-9))
    if start == end:
        start, end = start / 10, end * 10
    if end / start > MAX_FINE:
        powers = [float(f"1e{k}") for k in range(bottom, top + 1)]
        marks = [mark for mark in powers if start <= mark <= end]
        marks = marks[:: math.ceil(len(marks) / MAX_TICKS)]
    ticks = [(mark, numbers.number(mark)) for mark in marks if start <= mark <= end]
    return Axis(start, end, tuple(ticks), log=True)


def epochs(count: int) -> Axis:
    """Returns an axis for the epochs from 1 to `count`, with half an epoch at either end."""
    step = max(1, round(_round_step(count / (MAX_TICKS - 1))))
    marks = [*range(step, count + 1, step)]
    if step > 1:
        marks = [1, *marks]
    return Axis(0.5, count + 0.5, tuple((float(mark), str(mark)) for mark in marks))


def _round_step(least: float) -> float:
    """Returns the smallest of 1, 2 and 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= least * (1 - 1e-9))


def _tick(value: float, decimals: int) -> str:
    if abs(value) >= 1e5 or (decimals > 4 and value):
        return numbers.number(value)
    return f"{value:.{decimals}f}"
