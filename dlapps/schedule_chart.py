"""Draws a learning-rate schedule, before a training spends hours on it."""

import io
from pathlib import Path

import click

from dlapps import files
from dlapps.errors import UserError
from dlapps.schedules import scheduled_rate
from dlapps.training_config import TrainingConfig

WIDTH, HEIGHT = 60, 12
EIGHTHS = " ▁▂▃▄▅▆▇█"
POINTS = 480


def draw(config: TrainingConfig, rate: float, epochs: int, path: Path | None) -> None:
    """Draws the learning rate over the epochs.

    Args:
        config: The schedule.
        rate: The highest learning rate.
        epochs: Length of the training.
        path: A PNG file to draw to, or None for the terminal.

    Raises:
        UserError: If the file is no PNG or cannot be written.
    """
    if path is not None and path.suffix.lower() != ".png":
        raise UserError(f"-o {path}: the schedule is drawn as PNG. Name a file that ends in .png.")
    warm_up, period = config.warm_up * epochs, config.period(epochs)

    def rate_at(time: float) -> float:
        if config.schedule_per == "epoch":
            time = float(int(time))
        tick = 1.0 if config.schedule_per == "epoch" else 0.0
        return scheduled_rate(
            time, config.schedule, rate, period, config.schedule_drop, warm_up, tick
        )

    if path is None:
        click.echo(
            _chart([rate_at(epochs * (k + 0.5) / WIDTH) for k in range(WIDTH)], rate, epochs)
        )
        return
    times = [epochs * (k + 0.5) / POINTS for k in range(POINTS)]
    files.write(path, _png(times, [rate_at(time) for time in times], config.schedule))
    click.echo(path)


def _chart(rates: list[float], top: float, epochs: int) -> str:
    lines = []
    for row in range(HEIGHT, 0, -1):
        levels = [round(8 * (HEIGHT * value / top - (row - 1))) for value in rates]
        bars = "".join(EIGHTHS[min(8, max(0, level))] for level in levels)
        label = f"{top * row / HEIGHT:9.3g}" if row % 4 == 0 else " " * 9
        lines.append(f"{label} │{bars}".rstrip())
    lines.append(f"{0:9.3g} └{'─' * WIDTH}")
    lines.append(" " * 11 + "0" + f"{epochs} epochs".rjust(WIDTH - 1))
    return "\n".join(lines)


def _png(times: list[float], rates: list[float], title: str) -> bytes:
    from matplotlib.figure import Figure  # noqa: PLC0415  half a second, for pictures only

    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(times, rates)
    axes.set(xlabel="epoch", ylabel="learning rate", title=title, ylim=(0, None), xlim=(0, None))
    axes.grid(alpha=0.3)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=150)
    return data.getvalue()
