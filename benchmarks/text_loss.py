"""How well does a char-RNN foretell Shakespeare after a given time of training?

Runs `dlapps generate --train TEXT` in a process of its own with the options after the two dashes,
and prints for every epoch the seconds of training so far (validation, saving and samples included)
and the held-out loss in nats a character, as `history.csv` has them.

TEXT is tinyshakespeare (1 115 394 characters; the last 10 % are held out), on which nanoGPT reaches
1.4697 on an A100 in 3 minutes and 1.88 in its configuration for a CPU
(https://github.com/karpathy/nanoGPT).

Command:
  python benchmarks/text_loss.py tinyshakespeare.txt -- --epochs 6
"""

import csv
import tempfile
from pathlib import Path

import click
from processes import DLAPPS, timed
from tables import table


@click.command()
@click.argument("text", type=click.Path(exists=True, dir_okay=False, resolve_path=True))
@click.argument("more", nargs=-1, type=click.UNPROCESSED, metavar="[-- DLAPPS OPTIONS]")
def main(text: str, more: tuple[str, ...]) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*DLAPPS, "generate", "--train", text, "--run", "run", *more]
        seconds, _ = timed(command, Path(folder))
        with (Path(folder) / "run/history.csv").open(encoding="utf-8") as file:
            history = [*csv.DictReader(file)]
    rows: list[list[object]] = []
    spent = 0.0
    for row in history:
        spent += float(row["seconds"])
        rows.append([row["epoch"], spent, f"{float(row['loss']):.4f}",
                     f"{float(row['val_loss']):.4f}"])  # fmt: skip
    click.echo(table(["epoch", "seconds", "loss", "held-out loss"], rows))
    click.echo(f"\nThe whole command: {seconds:.1f} s.")


if __name__ == "__main__":
    main()
