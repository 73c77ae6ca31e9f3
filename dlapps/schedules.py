"""How a learning rate falls over time."""

import math
from collections.abc import Callable

# Each gives a factor from the time passed, the period and the drop, all but the drop in epochs.
FACTORS: dict[str, Callable[[float, float, float], float]] = {
    "constant": lambda time, period, drop: 1.0,
    "step": lambda time, period, drop: drop ** math.floor(time / period + 1e-9),
    "exponential": lambda time, period, drop: 10 ** (-time / period),
    "inverse-time": lambda time, period, drop: 1 / (1 + time / period),
    "cosine": lambda time, period, drop: (1 + math.cos(math.pi * min(1.0, time / period))) / 2,
}
KINDS = (*FACTORS, "plateau")


def scheduled_rate(
    time: float,
    kind: str,
    rate: float,
    period: float,
    drop: float = 0.1,
    warm_up: float = 0.0,
    tick: float = 0.0,
) -> float:
    """Returns the learning rate that a schedule has at a time.

    Args:
        time: Epochs since the start.
        kind: One of `KINDS`; "plateau" is constant here, for it goes by the measures.
        rate: The highest learning rate.
        period: Epochs; see `LearningRateDecay`.
        drop: See `LearningRateDecay`.
        warm_up: Epochs in which the rate rises to `rate` along a line.
        tick: Epochs from one setting of the rate to the next. The warm-up looks one ahead, so
            that the first rate is not 0.
    """
    if time + tick < warm_up:
        return rate * (time + tick) / warm_up
    if kind == "cosine":  # It ends with the training, however long the warm-up.
        period -= warm_up
    factor = FACTORS.get(kind, FACTORS["constant"])
    return rate * factor(max(0.0, time - warm_up), period, drop)


def auto_period(kind: str, epochs: int) -> float:
    """Returns a period that suits a training of so many epochs.

    Three steps, two tenths, ten halves, or three epochs of patience; a cosine ends with it.
    """
    parts = {"step": 1 / 3, "exponential": 1 / 2, "inverse-time": 1 / 10, "cosine": 1.0}
    return parts[kind] * epochs if kind in parts else 3.0
