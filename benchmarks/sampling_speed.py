"""How fast does `dlapps generate` write?

In a process that has imported everything, --repeats times in turn: the time from asking for the
model to the first character (reading its file, building it and the prompt included), and the
characters a second of one stream behind it, picked at temperature 0.8 from all.

Command:
  python benchmarks/sampling_speed.py
  python benchmarks/sampling_speed.py --model runs/generate/shakespeare-1
"""

import statistics
import time

import click
from tables import table

from dlapps import terminal


@click.command()
@click.option("--model", default="shakespeare", show_default=True)
@click.option("--length", type=click.IntRange(min=2), default=5000, show_default=True)
@click.option("--repeats", type=click.IntRange(min=1), default=5, show_default=True)
def main(model: str, length: int, repeats: int) -> None:
    """Print the table."""
    with terminal.quiet():
        import numpy as np

        from dlapps.apps.generate.model import load_model
        from dlapps.apps.generate.predict import Style, predict
    first, speed = [], []
    for repeat in range(repeats):
        started = time.perf_counter()
        with terminal.quiet():
            writer = load_model(model)
        pieces = predict(writer, [0], length, Style(0.8), np.random.default_rng(repeat))
        next(pieces)
        begun = time.perf_counter()
        count = sum(map(len, pieces))
        first.append(begun - started)
        speed.append(count / (time.perf_counter() - begun))
    rows: list[list[object]] = [
        ["seconds to the first character", statistics.median(first), min(first), max(first)],
        ["characters a second", statistics.median(speed), min(speed), max(speed)],
    ]
    click.echo(table([model, "median", "least", "most"], rows))


if __name__ == "__main__":
    main()
