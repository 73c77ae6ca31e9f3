"""How long does a caption take?

Prints, for the built-in captioner or --model, the milliseconds of a warm caption of one picture
already read (the median of so many, beam 3 and others), with and without reading it from a file,
and how many pictures of FOLDER are captioned in a second by what `dlapps caption FOLDER` runs, from
opening the first file to the last caption, the building of the graph included.

Command:
  python benchmarks/caption_latency.py flickr8k/images --count 1000
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from tables import table

WARM = 5
REPEATS = 30


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option("--model", default="flickr8k", show_default=True)
@click.option("--count", default=1000, show_default=True)
def main(folder: str, model: str, count: int) -> None:
    """Print the tables."""
    from dlapps.apps.caption.model import load_model
    from dlapps.apps.caption.predict import Style, asking, drawer, predict
    from dlapps.data.inputs import picture_inputs

    captioner = load_model(model)
    inputs = picture_inputs([str(Path(folder))])[:count]
    draw = drawer([each.source for each in inputs], captioner.image_size)
    rows: list[list[object]] = []
    for beam in (1, 3, 5):
        ask = asking(captioner, Style(beam=beam))
        images = draw(0)[None]
        for _ in range(WARM):
            ask(images)
        alone = [_milliseconds(ask, images) for _ in range(REPEATS)]
        asked = [_milliseconds(_read_and_ask, ask, draw, k) for k in range(REPEATS)]
        rows.append([f"beam {beam}", statistics.median(alone), statistics.median(asked)])
    click.echo(table(["one picture", "ms, read before", "ms, from its file"], rows))
    started = time.perf_counter()
    done = sum(1 for _ in predict(inputs, captioner, Style(), {}))
    seconds = time.perf_counter() - started
    click.echo(f"\n{done} pictures, beam 3: {seconds:.1f} s, {done / seconds:.1f} a second.")


def _read_and_ask(ask: Callable, draw: Callable, place: int) -> None:
    ask(draw(place)[None])


def _milliseconds(work: Callable, *arguments: Any) -> float:
    started = time.perf_counter()
    work(*arguments)
    return 1000 * (time.perf_counter() - started)


if __name__ == "__main__":
    main()
