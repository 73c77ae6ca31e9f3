"""How many pictures a second does a detector look through, beside OpenCV's dnn and Ultralytics?

Contestants, in turn and in another order every round, on the same --count pictures of FOLDER
(repeated if they are fewer), each from the file to the boxes, suppression of overlaps included:
* dlapps, coco      `dlapps.apps.detect.predict.predict` with the built-in YOLOv4-tiny, longer side
                    416: reading and decoding in threads, letterbox, the network in batches;
* dlapps, RUN       the same with a trained model at its own size (--model);
* opencv, the same  `cv2.dnn.DetectionModel` with the same two files at 416 x 416, picture by
                    picture, each read with `cv2.imread`, as its users write it;
* ultralytics       YOLOv8n in PyTorch at 320 (`peer_ultralytics_speed.py`, random weights, in a
                    process of its own; needs an interpreter that has it: --torch-python).
What is done once is not counted: loading, importing, and for dlapps compiling, which is timed by
itself. Two more rows show the built-in network alone, on square pictures in memory.

Command:
  python benchmarks/detection_throughput.py FOLDER --count 400
  python benchmarks/detection_throughput.py FOLDER --model runs/detect/bccd-1 \
      --torch-python .bench/bin/python
"""

import itertools
import json
import os
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from processes import timed
from tables import table

from dlapps import terminal

HERE = Path(__file__).resolve().parent
CONFIDENCE, IOU = 0.25, 0.45


def seconds_of(work: Callable[[], object]) -> float:
    """Returns the wall seconds that a work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def of_dlapps(name: str, inputs: list) -> tuple[Callable[[], float], Callable[[], float]]:
    """Returns what gives the seconds of one round of ours, and those of compiling.

    Args:
        name: As `--model` takes it.
        inputs: The pictures, as `picture_inputs` lists them.
    """
    from dlapps.apps.detect.model import load_model
    from dlapps.apps.detect.predict import Search, asking, predict
    from dlapps.data.views import looked

    model = load_model(name)
    search = Search(CONFIDENCE, IOU)
    view = looked(inputs[0], model.image_size, None).views[0].image[None]

    def compiling() -> float:
        # TensorFlow optimises the graph at its first call, so that belongs to compiling.
        return seconds_of(lambda: asking(model, search, True)(view))

    def round_of() -> float:
        unreadable: dict[str, str] = {}
        seconds = seconds_of(lambda: deque(predict(inputs, model, search, unreadable), maxlen=0))
        if unreadable:
            raise click.ClickException(f"{len(unreadable)} pictures cannot be read.")
        return seconds

    return round_of, compiling


def bare(batch: int, count: int) -> Callable[[], float]:
    """Returns what gives the seconds of the built-in network on pictures in memory.

    Args:
        batch: Pictures at once.
        count: Pictures in all.
    """
    from dlapps.apps.detect.model import load_model
    from dlapps.apps.detect.predict import Search, asking

    ask = asking(load_model("coco"), Search(CONFIDENCE, IOU), True)
    images = np.random.default_rng(0).integers(0, 256, (batch, 416, 416, 3), np.uint8)
    ask(images)
    return lambda: seconds_of(lambda: [ask(images) for _ in range(count // batch)])


def of_opencv(paths: list[str]) -> Callable[[], float]:
    """Returns what gives the seconds of one round of OpenCV's dnn.

    Args:
        paths: The pictures.
    """
    import cv2

    from dlapps.weights.yolov4_tiny import file

    files = [str(file(name)) for name in ("yolov4-tiny.cfg", "yolov4-tiny.weights")]
    model = cv2.dnn.DetectionModel(cv2.dnn.readNetFromDarknet(*files))
    model.setInputParams(scale=1 / 255, size=(416, 416), swapRB=True)
    model.detect(cv2.imread(paths[0]), CONFIDENCE, IOU)

    def look() -> None:
        for path in paths:
            model.detect(cv2.imread(path), CONFIDENCE, IOU)

    return lambda: seconds_of(look)


def of_ultralytics(python: str, paths: list[str]) -> Callable[[], float]:
    """Returns what gives the seconds of one round of Ultralytics.

    Args:
        python: The interpreter that has it.
        paths: The pictures.
    """

    def round_of() -> float:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "pictures.txt").write_text("\n".join(paths))
            # Absolute, but not resolved: a link is what makes an interpreter one of an environment.
            command = [
                os.path.abspath(python),
                str(HERE / "peer_ultralytics_speed.py"),
                "pictures.txt",
            ]
            _, out = timed([*command, str(CONFIDENCE), str(IOU)], Path(folder))
        return float(json.loads(out.strip().splitlines()[-1]))

    return round_of


@click.command()
@click.argument("folder", type=click.Path(exists=True))
@click.option("--count", type=click.IntRange(min=64), default=400, show_default=True)
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--model", "run", help="A trained model to measure too, such as a run folder.")
@click.option("--torch-python", type=click.Path(exists=True))
def main(folder: str, count: int, repeats: int, run: str | None, torch_python: str | None) -> None:
    """Measure detection on the pictures of FOLDER."""
    with terminal.quiet():
        from dlapps.data.inputs import picture_inputs

    count -= count % 8  # Whole batches.
    inputs = list(itertools.islice(itertools.cycle(picture_inputs([folder])), count))
    paths = [os.path.abspath(each.name) for each in inputs]
    works: dict[str, Callable[[], float]] = {}
    compiling: dict[str, Callable[[], float]] = {}
    for name in ("coco", run):
        if name:
            row = f"dlapps, {name}"
            works[row], compiling[row] = of_dlapps(name, inputs)
    works["opencv dnn, the same files"] = of_opencv(paths)
    if torch_python:
        works["ultralytics, YOLOv8n at 320"] = of_ultralytics(torch_python, paths)
    works["coco alone, one by one"] = bare(1, count)
    works["coco alone, 8 at once"] = bare(8, count)
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for repeat in range(repeats):
        order = [*works]
        turn = repeat % len(order)
        for name in order[turn:] + order[:turn]:
            once = compiling[name]() if name in compiling else 0.0
            seconds[name].append(works[name]() - once)
    rows: list[list[object]] = []
    for name, values in seconds.items():
        ratios = [other / own for own, other in zip(values, seconds["dlapps, coco"], strict=True)]
        rows.append([name, count / statistics.median(values), statistics.median(ratios)])
    click.echo(f"{count} pictures of {folder}, {os.cpu_count()} cores\n")
    header = [f"medians of {repeats}", "pictures/s", "times dlapps, coco"]
    click.echo(table(header, rows))


if __name__ == "__main__":
    main()
