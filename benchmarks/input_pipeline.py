"""How much of fine-tuning's time goes into waiting for pictures?

Takes the training pictures of DATA as `dlapps classify --finetune` does (batches of 32, views of
the "standard" augmentation, drawn in threads) and measures in turn, --repeats times:
* input alone   `data.shuffled_batches`, with nobody but a loop to use the batches;
* step alone    `model.fit` on one batch in memory, again and again: AdamW with a running mean of
                the weights, the last --blocks blocks of EfficientNet-Lite0 free to learn;
* both          `model.fit` on the batches of the input, as many steps.
Lost is the part of the time of both that the step alone does not take: 1 - step / both. Where the
step leaves no core idle, decoding on the same cores must show up in it, overlapped or not; the row
"input, then step" is what no overlap at all would lose.

Then --large of the pictures are enlarged to 4000 x 3000 (12 megapixels, JPEG quality 90, in a
temporary folder), and the same input and fit pass over them four times. `PictureStore` keeps shrunk
copies of what is much larger than training needs, so passes from the second on should be faster
than the first; "kept" says of how many pictures it holds a copy by then. --format png enlarges to
PNG, which unlike JPEG cannot be decoded at reduced size.

Command:
  python benchmarks/input_pipeline.py DATA
  python benchmarks/input_pipeline.py DATA --steps 20 --large 64 --format png
"""

import dataclasses
import functools
import os
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

import click
from PIL import Image
from tables import table

from dlapps import terminal

BATCH = 32
LARGE = (4000, 3000)
PASSES = 4


def seconds_of(work: Callable[[], object]) -> float:
    """Returns the wall seconds that a work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def drain(items: Iterable) -> None:
    """Computes items and keeps none."""
    deque(items, maxlen=0)


def fit(model, data) -> None:
    """Trains for one pass, in the order that the data come in."""
    model.fit(data, shuffle=False, verbose=0)


def new_model(labels: list[str], num_blocks: int | None):
    """Returns a classifier with its last blocks free to learn, compiled as for --finetune."""
    import keras

    from dlapps import backbones
    from dlapps.apps.classify.model import ImageClassifier

    model = ImageClassifier(labels)
    model.build((None, model.image_size, model.image_size, 3))
    model.unfreeze(num_blocks or len(backbones.blocks(model.network)))
    optimizer = keras.optimizers.AdamW(5e-5, weight_decay=0.01)
    model.compile(optimizer, metrics=["accuracy"], jit_compile=False)
    return model


def new_views(examples: list, model, size: int):
    """Returns views of pictures under the standard augmentation, none kept yet."""
    from dlapps.apps.classify.data import Views
    from dlapps.data.augment import AUGMENTATIONS

    return Views(examples, size, model.crop, AUGMENTATIONS["standard"])


def ordinary(examples: list, model, size: int, steps: int, repeats: int) -> list[list[object]]:
    """Returns rows of seconds, pictures per second and the part lost, on pictures as they are."""
    from dlapps.apps.classify.data import shuffled_batches

    with shuffled_batches(new_views(examples, model, size), BATCH) as feed:
        return compared(model, feed.dataset.repeat().take(steps), steps, repeats)


def compared(model, data, steps: int, repeats: int) -> list[list[object]]:
    """Returns the rows of `ordinary` for a dataset of so many steps."""
    import tensorflow as tf

    first = next(iter(data))
    fixed = tf.data.Dataset.from_tensors(first).repeat(steps)
    for each in (fixed, data):  # Their shapes differ, so each is traced and compiled.
        fit(model, each.take(2))
    works: dict[str, Callable] = {
        "input alone": lambda: drain(data),
        "step alone": lambda: fit(model, fixed),
        "both": lambda: fit(model, data),
    }
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for repeat in range(repeats):
        order = [*works]
        for name in order[repeat % 3 :] + order[: repeat % 3]:
            seconds[name].append(seconds_of(works[name]))
    one_then_other = zip(seconds["input alone"], seconds["step alone"], strict=True)
    seconds["input, then step"] = [sum(pair) for pair in one_then_other]
    rows: list[list[object]] = []
    for name, values in seconds.items():
        lost = [1 - step / each for step, each in zip(seconds["step alone"], values, strict=True)]
        median = statistics.median(values)
        shown = f"{statistics.median(lost):.1%}" if name in ("both", "input, then step") else None
        rows.append([name, median, steps * BATCH / median, shown])
    return rows


def enlarged(examples: list, folder: Path, suffix: str) -> list:
    """Writes the pictures anew, each of 12 megapixels, and returns examples of them."""
    large = []
    for number, example in enumerate(examples):
        path = folder / f"{number}.{suffix}"
        with Image.open(example.source) as image:
            big = image.convert("RGB").resize(LARGE, Image.Resampling.BICUBIC)
        big.save(path, **({"quality": 90} if suffix == "jpg" else {"compress_level": 1}))
        large.append(dataclasses.replace(example, source=path))
    return large


def twelve_megapixels(examples: list, model, size: int) -> list[list[object]]:
    """Returns rows of pictures per second, pass by pass, and of the copies kept by its end."""
    from dlapps.apps.classify.data import shuffled_batches

    rows: list[list[object]] = []
    for title, fits in (("input alone", False), ("both", True)):
        views = new_views(examples, model, size)
        with shuffled_batches(views, BATCH) as feed:
            data = feed.dataset
            work = functools.partial(fit, model, data) if fits else functools.partial(drain, data)
            for number in range(1, PASSES + 1):
                seconds = seconds_of(work)
                kept = f"{len(views.store.kept)}/{len(examples)}"
                rate = len(examples) / seconds
                size_kept = views.store.bytes / 1e6
                rows.append([f"{title}, pass {number}", seconds, rate, kept, size_kept])
    return rows


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False))
@click.option("--steps", type=click.IntRange(min=2), default=30, show_default=True)
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True)
@click.option(
    "--train-size", "size", type=click.IntRange(min=32), default=224, show_default=True,
    help="Side of the views, pixels.",
)  # fmt: skip
@click.option(
    "--blocks", type=click.IntRange(min=1), help="Blocks that learn, from the last.  [default: all]"
)
@click.option(
    "--large", type=click.IntRange(min=0), default=64, show_default=True,
    help="Pictures to enlarge; 0 for none.",
)  # fmt: skip
@click.option(
    "--format", "suffix", type=click.Choice(["jpg", "png"]), default="jpg", show_default=True,
    help="Of the enlarged pictures.",
)  # fmt: skip
def main(
    data: str, steps: int, repeats: int, size: int, blocks: int | None, large: int, suffix: str
) -> None:
    """Measure the training input on DATA, the step that it feeds, and both together."""
    with terminal.quiet():
        from dlapps.apps.classify.data import read_dataset

        dataset = read_dataset(data)
        model = new_model(dataset.labels, blocks)
    click.echo(f"{len(dataset.train)} pictures of {data}, {os.cpu_count()} cores\n")
    title = f"{steps} steps of {BATCH}"
    rows = ordinary(dataset.train, model, size, steps, repeats)
    click.echo(table([title, "seconds", "pictures/s", "lost"], rows))
    if large:
        with tempfile.TemporaryDirectory() as folder:
            # From every class, as the pictures come sorted by class.
            some = dataset.train[:: max(1, len(dataset.train) // large)][:large]
            rows = twelve_megapixels(enlarged(some, Path(folder), suffix), model, size)
        title = f"{len(some)} pictures of 12 MP, {suffix}"
        click.echo("\n" + table([title, "seconds", "pictures/s", "kept", "kept MB"], rows))


if __name__ == "__main__":
    main()
