"""How many characters a second does an LSTM learn from, beside PyTorch's and Keras' own?

Two layers on top of each other predict the next of 65 characters; a step is all of it: vectors of
the characters (or one-hot), both layers, the output, the loss, the gradients and Adam. Contestants:
* dlapps    `CharRNN` with `FastLSTM`, trained by `fit` as `dlapps generate --train` does, eight
            steps at a time;
* keras     the same model with `keras.layers.LSTM` and `keras.optimizers.Adam`;
* pytorch   `torch.nn.Embedding`, `torch.nn.LSTM`, `torch.nn.Linear`, `torch.optim.Adam`
            (`peer_pytorch_lstm.py`; needs an interpreter with torch: --torch-python).
Every contestant runs in a process of its own, in turn, --repeats times; the figures are medians of
the repeats, each the median over the steps of some seconds.

Command:
  python benchmarks/lstm_throughput.py --torch-python .bench/bin/python
"""

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import click
from processes import timed
from tables import table

HERE = Path(__file__).resolve().parent
# Units, rows a batch, characters a row.
SIZES = ((128, 50, 50), (512, 64, 100))
CHARACTERS = "".join(map(chr, range(33, 33 + 65)))


def characters_a_second(kind: str, units: int, rows: int, window: int, seconds: float) -> float:
    """Returns the speed of a contestant that runs on Keras.

    Args:
        kind: "dlapps" or "keras".
        units: Width of both layers.
        rows: Rows of a batch.
        window: Characters of a row.
        seconds: How long to train.
    """
    import keras
    import numpy as np

    from dlapps.apps.generate import model as generator
    from dlapps.apps.generate.phases import STEPS_AT_ONCE
    from dlapps.data.array_batches import untuned
    from dlapps.optimizers import optimizer

    adam = optimizer("adam", 1e-3)
    if kind == "keras":
        generator.CELLS["lstm"] = keras.layers.LSTM
        adam = keras.optimizers.Adam(1e-3)
    model = generator.CharRNN(CHARACTERS, units=units, depth=2, embedding=units, dropout=0.0)
    model.build((None, None))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(adam, loss, jit_compile=False, steps_per_execution=STEPS_AT_ONCE)
    ids = np.random.default_rng(0).integers(0, len(CHARACTERS), (rows, window)).astype(np.int32)
    import tensorflow as tf

    data = untuned(tf.data.Dataset.from_tensors((ids, ids)).repeat())
    model.fit(data, steps_per_epoch=STEPS_AT_ONCE, verbose=0, shuffle=False)  # Compiles.
    watch = Watch(seconds)
    model.fit(
        data, steps_per_epoch=100_000, verbose=0, shuffle=False, callbacks=[watch.attached(model)]
    )
    return STEPS_AT_ONCE * rows * window / statistics.median(watch.steps)


class Watch:
    """Takes the time of the steps that run at once, and ends the training in time.

    Args:
        seconds: How long to train.
    """

    def __init__(self, seconds: float):
        self.end = time.perf_counter() + seconds
        self.steps: list[float] = []
        self.last: float | None = None

    def attached(self, model):
        """Returns the Keras callback of a model."""
        import keras

        def note(batch, logs):
            now = time.perf_counter()
            if self.last is not None:
                self.steps.append(now - self.last)
            self.last = now
            model.stop_training = now > self.end and len(self.steps) >= 2

        return keras.callbacks.LambdaCallback(on_train_batch_end=note)


@click.command()
@click.option("--torch-python", type=click.Path(exists=True))
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--seconds", type=float, default=5.0, show_default=True, help="Of each measurement.")
@click.option("--contestant", type=click.Choice(["dlapps", "keras"]), hidden=True)
@click.option("--size", nargs=3, type=int, hidden=True)
def main(
    torch_python: str | None, repeats: int, seconds: float, contestant: str | None,
    size: tuple[int, int, int] | None,
) -> None:  # fmt: skip
    """Print the table, or be one contestant."""
    if contestant and size:
        click.echo(json.dumps(characters_a_second(contestant, *size, seconds)))
        return
    mine = [sys.executable, str(HERE / "lstm_throughput.py"), "--seconds", str(seconds)]
    commands = {kind: [*mine, "--contestant", kind, "--size"] for kind in ("dlapps", "keras")}
    if torch_python:
        # Absolute, but not resolved: a link is what makes an interpreter one of an environment.
        commands["pytorch"] = [
            os.path.abspath(torch_python),
            str(HERE / "peer_pytorch_lstm.py"),
            str(seconds),
        ]
    rows: list[list[object]] = []
    for sizes in SIZES:
        found: dict[str, list[float]] = {kind: [] for kind in commands}
        for _ in range(repeats):
            for kind, command in commands.items():
                with tempfile.TemporaryDirectory() as folder:
                    _, out = timed([*command, *map(str, sizes)], Path(folder))
                found[kind].append(float(out.strip().splitlines()[-1]))
        medians = {kind: statistics.median(values) for kind, values in found.items()}
        for kind, value in medians.items():
            ratio = medians["dlapps"] / value
            rows.append([f"2 x {sizes[0]}, {kind}", round(value), max(map(round, found[kind])),
                         ratio])  # fmt: skip
    click.echo(table(["layers, contestant", "characters/s", "best", "dlapps is faster by"], rows))


if __name__ == "__main__":
    main()
