"""How long until a classifier of new pictures is right nine times in ten?

Three contestants learn to tell the classes of DATA apart with the same frozen backbone
(EfficientNet-Lite0, ImageNet weights, float32), image size and held-out pictures:
* dlapps   `dlapps classify --train`, default options: looks at every picture once per view, then
           trains the head on what the backbone saw (`timed_dlapps.py`);
* Keras    the usual loop: `model.fit` on tf.data with the backbone frozen inside the model
           (`peer_keras.py`);
* PyTorch  the same loop with a DataLoader, in channels_last (`peer_pytorch.py`; needs an
           interpreter that has benchmarks/requirements.txt: --torch-python).
The peers train one dense layer on the mean of the last grid by Adam with 1e-3, batch 32, without
augmentation, on all cores; their docstrings name the other settings.

The seconds run from the start of the work, all imports done, to the first evaluation whose held-out
accuracy reaches the target. Building the network, reading its weights, compiling and decoding count
for all. In doubt the rules favour the peers: they are handed the list of pictures already
split, they are evaluated four times an epoch, and their evaluations, the features of the held-out
pictures included, are not counted. dlapps reads, hashes and splits DATA itself, computes the
features of the held-out pictures on the clock, and is evaluated once per epoch of its head.

Every contestant runs in a process of its own, in turn, --repeats times; the seed, which fixes the
split, grows by one each time. Ratios are of the medians, to dlapps' time.

Command:
  python benchmarks/time_to_accuracy.py DATA --target 0.90 --torch-python .bench/bin/python
  python benchmarks/time_to_accuracy.py DATA --only dlapps --only keras
"""

import json
import math
import os
import statistics
import sys
import tempfile
from pathlib import Path

import click
from processes import timed
from tables import table

from dlapps import terminal

HERE = Path(__file__).resolve().parent
CONTESTANTS = {"dlapps": "timed_dlapps.py", "keras": "peer_keras.py", "pytorch": "peer_pytorch.py"}
BATCH = 32
# Evaluations of the peers in one epoch.
QUARTERS = 4


def request_of(data: str, seed: int, target: float, epochs: int) -> dict:
    """Returns what every contestant is told."""
    with terminal.quiet():
        from dlapps.apps.classify.data import fitting_size, read_dataset

    dataset = read_dataset(data, seed=seed)
    return {
        "data": data,
        "seed": seed,
        "target": target,
        "epochs": epochs,
        "train": [(str(e.source), e.label) for e in dataset.train],
        "held_out": [(str(e.source), e.label) for e in dataset.validation],
        "num_classes": len(dataset.labels),
        "fingerprint": dataset.fingerprint,
        "image_size": fitting_size(dataset.train),
        "batch_size": BATCH,
        "learning_rate": 1e-3,
        "steps_between": max(1, math.ceil(len(dataset.train) / BATCH) // QUARTERS),
    }


def result_of(contestant: str, python: str, request: dict) -> dict:
    """Runs one contestant.

    Returns:
        Its `version`, its `best` accuracy, and the first moment that reached the target, or the
        last there was: `seconds`, `accuracy`, `epochs`, and whether it is `reached`.

    Raises:
        ClickException: If dlapps held out other pictures than the peers.
    """
    command = [python, str(HERE / CONTESTANTS[contestant])]
    with tempfile.TemporaryDirectory() as folder:
        _, output = timed(command, Path(folder), json.dumps(request))
    reply = json.loads(output.splitlines()[-1])
    if reply.get("fingerprint", request["fingerprint"]) != request["fingerprint"]:
        raise click.ClickException("dlapps trained on another split than the peers.")
    moments = reply["moments"]
    reached = [moment for moment in moments if moment["accuracy"] >= request["target"]]
    return {
        **(reached or moments[-1:])[0],
        "reached": bool(reached),
        "best": max(moment["accuracy"] for moment in moments),
        "version": reply["version"],
    }


def median_seconds(results: list[dict]) -> float | None:
    """Returns the median time to the target, or None if one of the runs never got there."""
    if not all(result["reached"] for result in results):
        return None
    return statistics.median(result["seconds"] for result in results)


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, resolve_path=True))
@click.option(
    "--target", type=click.FloatRange(0, 1, min_open=True), default=0.9, show_default=True
)
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True)
@click.option(
    "--epochs", type=click.IntRange(min=1), default=20, show_default=True,
    help="Passes after which a peer gives up.",
)  # fmt: skip
@click.option(
    "--only", multiple=True, type=click.Choice([*CONTESTANTS]), help="Contestants.  [default: all]"
)
@click.option(
    "--torch-python", default=sys.executable, metavar="PATH",
    help="Python that has PyTorch.  [default: the one that runs this]",
)  # fmt: skip
def main(
    data: str, target: float, repeats: int, epochs: int, only: tuple[str, ...], torch_python: str
) -> None:
    """Measure the time to a held-out accuracy, beside Keras' and PyTorch's usual loops."""
    results: dict[str, list[dict]] = {name: [] for name in only or CONTESTANTS}
    # A path is looked for from here, not from the folder that a contestant runs in.
    found = str(Path(torch_python).absolute()) if Path(torch_python).exists() else torch_python
    for seed in range(repeats):
        request = request_of(data, seed, target, epochs)
        for name, kept in results.items():
            kept.append(result_of(name, found if name == "pytorch" else sys.executable, request))
            last = kept[-1]
            line = f"{last['accuracy']:.4f} after {last['seconds']:.1f} s"
            click.echo(f"{name}, seed {seed}: {line}", err=True)
    counts = f"{len(request['train'])} pictures to learn from, {len(request['held_out'])} held out"
    click.echo(f"Seconds to accuracy {target}: {counts}, {os.cpu_count()} cores")
    click.echo("; ".join(kept[0]["version"] for kept in results.values()) + "\n")
    rows = [
        [name, seed, each["seconds"] if each["reached"] else None, f"{each['accuracy']:.4f}",
         each["epochs"], f"{each['best']:.4f}"]
        for name, kept in results.items()
        for seed, each in enumerate(kept)
    ]  # fmt: skip
    header = ["contestant", "seed", "seconds", "accuracy then", "epochs then", "best seen"]
    click.echo(table(header, rows))
    medians = {name: median_seconds(kept) for name, kept in results.items()}
    own = medians.get("dlapps")
    ratios = [
        [name, median, median / own if median and own else None] for name, median in medians.items()
    ]
    click.echo("\n" + table(["contestant", "median seconds", "times dlapps"], ratios))


if __name__ == "__main__":
    main()
