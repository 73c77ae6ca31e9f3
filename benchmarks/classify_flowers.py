"""How good does `dlapps classify` become on a folder of pictures, and how long does it take?

Runs `dlapps classify --train DATA` and `--finetune DATA` as a user would, each in a process of its
own, in a fresh folder with an empty cache of features, once for every seed. The seed fixes the
split into training and held-out pictures, the views and the order.

Per run it prints
* held out: accuracy on the pictures held out of training, of the best epoch, as `run.json` says.
  The epoch is chosen by these pictures, so it flatters a little; --test does not.
* test: accuracy that `dlapps evaluate` finds on the pictures of --test, which training never saw.
* seconds: of the whole command, from start to exit, the imports included.
* after import: the same less the median time of `python -c "import keras"`, which is measured in a
  process of its own before every run. dlapps' other imports are left in.

Command:
  python benchmarks/classify_flowers.py DATA --test FOLDER --seeds 3
  python benchmarks/classify_flowers.py DATA --mode train -- --epochs 40
What follows the two dashes is handed to dlapps.
"""

import json
import os
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click
from processes import DLAPPS, IMPORT_KERAS, timed
from tables import table

MODES = ("train", "finetune")
PICTURES = click.Path(exists=True, resolve_path=True)


@dataclass(frozen=True)
class Result:
    """What one training came to.

    Args:
        mode: "train" or "finetune".
        seed: Of the split and the views.
        held_out: Accuracy, in [0, 1].
        test: The same on the test pictures, or None without such.
        seconds: Of the whole command.
    """

    mode: str
    seed: int
    held_out: float
    test: float | None
    seconds: float


@click.command()
@click.argument("data", type=PICTURES)
@click.argument("more", nargs=-1, type=click.UNPROCESSED, metavar="[-- DLAPPS OPTIONS]")
@click.option("--mode", type=click.Choice([*MODES, "both"]), default="both", show_default=True)
@click.option("--test", type=PICTURES, help="Labelled pictures kept apart.")
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True)
def main(data: str, more: tuple[str, ...], mode: str, test: str | None, seeds: int) -> None:
    """Measure accuracy and time of `dlapps classify --train` and `--finetune` on DATA."""
    modes = MODES if mode == "both" else (mode,)
    results: list[Result] = []
    imports: list[float] = []
    for seed in range(seeds):
        for each in modes:
            with tempfile.TemporaryDirectory() as folder:
                imports.append(timed(IMPORT_KERAS, Path(folder))[0])
                results.append(trained(data, each, seed, test, more, Path(folder)))
            last = results[-1]
            click.echo(f"{each}, seed {seed}: {last.held_out:.4f}, {last.seconds:.1f} s", err=True)
    importing = statistics.median(imports)
    header = ["mode", "seed", "held out", "test", "seconds", "after import"]
    rows = [
        row
        for each in modes
        for row in _rows([r for r in results if r.mode == each], each, importing)
    ]
    click.echo(f"{data}, {os.cpu_count()} cores; import keras: {importing:.2f} s (subtracted)\n")
    click.echo(table(header, rows))


def trained(
    data: str, mode: str, seed: int, test: str | None, more: tuple[str, ...], folder: Path
) -> Result:
    """Trains once, in a fresh folder, and measures what came out."""
    run = folder / "run"
    command = [*DLAPPS, "classify", f"--{mode}", data, "--seed", str(seed), "--run", str(run)]
    seconds, _ = timed([*command, *more], folder)
    figures = json.loads((run / "run.json").read_text(encoding="utf-8"))["figures"]
    accuracy = None
    if test:
        command = [*DLAPPS, "evaluate", str(run), test, "--format", "json"]
        accuracy = json.loads(timed(command, folder)[1])["accuracy"]
    return Result(mode, seed, figures["val_accuracy"], accuracy, seconds)


def _rows(results: list[Result], mode: str, importing: float) -> list[list[object]]:
    rows = [_row(mode, r.seed, r.held_out, r.test, r.seconds, importing) for r in results]
    tests = [r.test for r in results if r.test is not None]
    mean = _row(
        mode,
        "mean",
        statistics.mean(r.held_out for r in results),
        statistics.mean(tests) if tests else None,
        statistics.mean(r.seconds for r in results),
        importing,
    )
    return [*rows, mean]


def _row(
    mode: str, seed: object, held_out: float, test: float | None, seconds: float, importing: float
) -> list[object]:
    tested = None if test is None else f"{test:.4f}"
    return [mode, seed, f"{held_out:.4f}", tested, seconds, seconds - importing]


if __name__ == "__main__":
    main()
