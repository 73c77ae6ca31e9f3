"""How good does `dlapps detect` become on pictures with boxes, and how long does it take?

Runs `dlapps detect --finetune DATA` as a user would, in a process of its own in a fresh folder,
then `dlapps evaluate` on the held-out pictures. With --peer-python it trains Ultralytics' YOLOv8n
from scratch on the same pictures for as many minutes as dlapps took, at the same image size, and
measures it by the same pycocotools.

Per contestant it prints
* map50, map50_95: of the best epoch, on the pictures held out, as pycocotools computes them. The
  epoch is chosen by these pictures, which flatters both alike.
* minutes: from start to exit, the imports included.

Command:
  python benchmarks/detect_cells.py BCCD --peer-python .bench/bin/python -- --augment overhead
  python benchmarks/detect_cells.py BCCD -- --backbone yolov4-tiny --epochs 40
What follows the two dashes is handed to dlapps.
"""

import json
import os
import tempfile
from pathlib import Path

import click
import numpy as np
from processes import DLAPPS, timed
from tables import table

from dlapps.apps.detect.data import read_dataset
from dlapps.apps.detect.metrics import evaluation
from dlapps.boxes.matching import Found

PEER = Path(__file__).with_name("peer_ultralytics.py")


@click.command()
@click.argument("data", type=click.Path(exists=True, resolve_path=True))
@click.argument("more", nargs=-1, type=click.UNPROCESSED, metavar="[-- DLAPPS OPTIONS]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--peer-python", help="Python of an environment with ultralytics.")
@click.option("--size", type=int, default=320, show_default=True, help="Image size of both.")
def main(data: str, more: tuple[str, ...], seed: int, peer_python: str | None, size: int) -> None:
    """Measure accuracy and time of `dlapps detect --finetune` on DATA."""
    peer_python = peer_python and os.path.abspath(peer_python)  # Runs start in other folders.
    # Runs start in folders of their own.
    peer_python = peer_python and os.path.abspath(peer_python)
    with tempfile.TemporaryDirectory() as folder:
        row = trained(data, seed, size, more, Path(folder))
    rows = [row]
    click.echo(f"dlapps: {row}", err=True)
    if peer_python:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(peer(data, peer_python, size, row[-1], Path(folder)))
    click.echo(f"{data}, {os.cpu_count()} cores\n")
    click.echo(table(["contestant", "map50", "map50_95", "minutes"], rows))


def trained(data: str, seed: int, size: int, more: tuple[str, ...], folder: Path) -> list:
    """Trains and evaluates dlapps."""
    run = folder / "run"
    command = [*DLAPPS, "detect", "--finetune", data, "--seed", str(seed), "--run", str(run)]
    seconds, _ = timed([*command, "--image-size", str(size), *more], folder)
    found = json.loads(timed([*DLAPPS, "evaluate", str(run), "--format", "json"], folder)[1])
    return ["dlapps", found["map50"], found["map50_95"], seconds / 60]


def peer(data: str, python: str, size: int, minutes: float, folder: Path) -> list:
    """Trains the peer on the same pictures, and measures it in the same way."""
    dataset = read_dataset(data)
    splits = {
        split: [[str(e.source), e.labels.tolist(), e.boxes.tolist(), list(e.size)] for e in part]
        for split, part in (("train", dataset.train), ("val", dataset.validation))
    }
    request = {"labels": dataset.labels, "size": size, "minutes": minutes, **splits}
    seconds, reply = timed([python, str(PEER)], folder, json.dumps(request))
    found = [
        Found(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores), np.array(kinds, int))
        for boxes, scores, kinds in json.loads(reply.splitlines()[-1])
    ]
    measures = evaluation(dataset.validation, found, dataset.labels).measures
    return ["YOLOv8n from scratch", measures["map50"], measures["map50_95"], seconds / 60]


if __name__ == "__main__":
    main()
