"""Does prediction on files keep up with the bare model, and does its memory stay flat?

Measures in one process, in turn and in another order every round, on the same --count pictures
of FOLDER (repeated if they are fewer), with the same batch size:
* predict    `dlapps.apps.classify.predict.predict` over the files: compiling, reading, decoding,
             cropping, the model, sorting the labels;
* bare model the model as a TensorFlow graph, its weights constants, on the same pictures, decoded
             and in memory already;
* compiled   the same with what `predict` compiles (LiteRT's code, on a CPU);
* decoding   the same drawing of views in threads, without the model.
Compiling (tracing the network, converting it, the first answer) is done once a call of
`predict`, however many pictures follow, so it is timed by itself too, and one row leaves it out.
Where model and decoding share the cores they cannot both run at full speed: the row "decoding, then
compiled" is what doing one after the other with nothing lost would give.

Peak memory is the process's (`resource.getrusage`), read before the measurements: with the model
loaded, then inside one call of `predict` after --count pictures and after four times as many.

Command:
  python benchmarks/prediction_throughput.py FOLDER --count 1000
  python benchmarks/prediction_throughput.py FOLDER --model runs/classify/flowers-1
"""

import itertools
import math
import os
import resource
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable

import click
import numpy as np
from tables import table

from dlapps import terminal

PREDICT, BARE, DECODING = "predict, files", "bare model, memory", "decoding alone"
COMPILED = "compiled, memory"


class Contest:
    """The things that are timed, on the same pictures.

    Args:
        inputs: The pictures, as `picture_inputs` lists them.
        model: The classifier.
    """

    def __init__(self, inputs: list, model):
        from dlapps import inference
        from dlapps.apps.classify.predict import BATCH, predict
        from dlapps.data.pictures import centre_crop, read_picture
        from dlapps.data.pipeline import batches_of_views

        self.inputs = inputs
        self.model = model
        short_side = math.ceil(model.image_size / model.crop)

        def draw(index: int) -> np.ndarray:
            image = read_picture(inputs[index].source, short_side)
            return centre_crop(image, model.image_size, model.crop)

        self.predict = lambda: drain(predict(inputs, model, 3, self.unreadable))
        self.batches = lambda: batches_of_views(len(inputs), draw, BATCH)
        self.unreadable: dict[str, str] = {}
        self.images = [images for _, images, _ in self.batches() if len(images)]
        self.frozen: Callable = inference.frozen(self.probabilities, model.image_size)
        self.look: Callable = self.compiled()

    def probabilities(self, images):
        """Returns what the model says of images."""
        import keras

        return keras.ops.softmax(self.model(images, training=False))

    def compiled(self) -> Callable:
        """Returns the function that `predict` compiles."""
        from dlapps import inference

        return inference.frozen_network(self.probabilities, self.model.image_size)

    def bare(self) -> None:
        """Classifies the pictures in memory by TensorFlow's graph."""
        for images in self.images:
            self.frozen(images)

    def compiled_alone(self) -> None:
        """Classifies them by the function that `predict` compiles."""
        for images in self.images:
            self.look(images)

    def decode(self) -> None:
        """Draws the pictures and drops them."""
        drain(self.batches())


def drain(items) -> None:
    """Computes items and keeps none."""
    deque(items, maxlen=0)


def seconds_of(work: Callable[[], object]) -> float:
    """Returns the wall seconds that a work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def peak_megabytes() -> float:
    """Returns the most memory that the process ever held, in millions of bytes."""
    # Linux counts kibibytes, macOS bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def peaks(inputs: list, model, count: int) -> list[list[object]]:
    """Returns rows of peak memory, before and during one long call of `predict`."""
    from dlapps.apps.classify.predict import predict

    rows: list[list[object]] = [["model loaded", peak_megabytes()]]
    many = list(itertools.islice(itertools.cycle(inputs), 4 * count))
    answered = predict(many, model, 3, {})
    for number, _ in enumerate(answered, start=1):
        if number in (count, 4 * count):
            rows.append([f"{number} pictures", peak_megabytes()])
    return rows


def rates(contest: Contest, repeats: int) -> list[list[object]]:
    """Returns rows of pictures per second, and of the part of the bare model's speed."""
    works = {
        PREDICT: contest.predict,
        BARE: contest.bare,
        COMPILED: contest.compiled_alone,
        DECODING: contest.decode,
    }
    seconds: dict[str, list[float]] = {name: [] for name in works}
    compiling: list[float] = []
    for repeat in range(repeats):
        compiling.append(seconds_of(lambda: contest.compiled()(contest.images[0][:1])))
        order = [*works]
        for name in order[repeat % 4 :] + order[: repeat % 4]:
            seconds[name].append(seconds_of(works[name]))
    least = statistics.median(compiling)
    seconds["predict, compiling left out"] = [each - least for each in seconds[PREDICT]]
    one_then_other = zip(seconds[DECODING], seconds[COMPILED], strict=True)
    seconds["decoding, then compiled"] = [sum(pair) for pair in one_then_other]
    count = len(contest.inputs)
    rows: list[list[object]] = []
    for name, values in seconds.items():
        parts = [bare / each for bare, each in zip(seconds[BARE], values, strict=True)]
        median = statistics.median(values)
        rows.append([name, median, count / median, statistics.median(parts)])
    return [*rows, ["compiling, once a call", least, None, None]]


@click.command()
@click.argument("folder", type=click.Path(exists=True))
@click.option("--count", type=click.IntRange(min=64), default=1000, show_default=True)
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--model", "name", default="imagenet", show_default=True, help="Run or built-in.")
@click.option("--memory/--no-memory", default=True, show_default=True, help="Measure memory too.")
def main(folder: str, count: int, repeats: int, name: str, memory: bool) -> None:
    """Measure prediction on the pictures of FOLDER beside its parts."""
    with terminal.quiet():
        from dlapps.apps.classify.model import load_model
        from dlapps.apps.classify.predict import BATCH
        from dlapps.data.inputs import picture_inputs

        model = load_model(name)
    inputs = list(itertools.islice(itertools.cycle(picture_inputs([folder])), count))
    click.echo(f"{count} pictures of {folder}, batches of {BATCH}, {os.cpu_count()} cores\n")
    if memory:
        click.echo(table(["peak memory", "MB"], peaks(inputs, model, count)) + "\n")
    contest = Contest(inputs, model)
    header = [f"medians of {repeats}", "seconds", "pictures/s", "times bare model"]
    click.echo(table(header, rates(contest, repeats)))
    if contest.unreadable:
        click.echo(f"\n{len(contest.unreadable)} pictures could not be read.")


if __name__ == "__main__":
    main()
