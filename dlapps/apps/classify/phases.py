"""The phases of the classifier's training: a head on frozen features, then the backbone too."""

import functools
import math
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import numpy as np
import PIL

from dlapps import backbones, drawing, files, inference, runs, terminal, training
from dlapps.apps.classify.config import Config
from dlapps.apps.classify.data import Dataset, Example, Views, plain_batches, shuffled_batches
from dlapps.apps.classify.model import ImageClassifier
from dlapps.data.array_batches import ArrayBatches, in_order
from dlapps.data.augment import AUGMENTATIONS, Augmentation
from dlapps.data.features import (
    BATCH,
    Features,
    cache_folder,
    computed_once,
    fingerprint,
    seen,
)
from dlapps.data.kept_grids import MAX_BYTES, KeptGrids
from dlapps.errors import UserError
from dlapps.layers.classifier_tail import ClassifierTail

# The head is one linear layer on a few thousand numbers; its steps cost next to nothing.
HEAD_BATCH = 256
HEAD_STEPS = 16
# Pictures on which the activations are watched.
WATCHED = 8
MEASURE: dict[str, Any] = {"measure": "val_accuracy", "higher_is_better": True}


# Compiles the frozen backbone the first time it is called: what is cached needs no compiling.
Eye = Callable[[], Callable[[np.ndarray], list[np.ndarray]]]


def look(
    eye: Eye, model: ImageClassifier, dataset: Dataset, config: Config
) -> tuple[Features, dict[str, int]]:
    """Looks at every picture once, with the frozen backbone.

    Args:
        eye: Returns the frozen backbone, a function from pictures to features.
        model: Whose backbone it is.
        dataset: The pictures, of which some may be unreadable.
        config: The hyperparameters.

    Returns:
        What it sees in each picture of the dataset, in an order that no split changes, so that
        another seed finds it computed; and where in it a picture is, by its digest.
    """
    everyone = sorted({e.digest: e for e in dataset.train + dataset.validation}.items())
    place = {digest: k for k, (digest, _) in enumerate(everyone)}
    return _features(eye, [example for _, example in everyone], model, None, config, 0), place


def train_head(
    eye: Eye, model: ImageClassifier, dataset: Dataset, plain: np.ndarray, held_out: np.ndarray,
    epochs: int, config: Config, run: runs.Run,
) -> dict[str, Any]:  # fmt: skip
    """Trains the head on features of the frozen backbone.

    Args:
        eye: Returns the frozen backbone, a function from pictures to features.
        model: Its head learns.
        dataset: Readable pictures.
        plain: `(pictures, features)` of the pictures to learn from, from their plain view.
        held_out: The same of those to validate on.
        epochs: Passes over the features.
        config: The hyperparameters.
        run: Where to write.

    Returns:
        The measures of the best epoch.
    """
    augmentation = AUGMENTATIONS[config.augment]
    plain_only = config.fast_dev_run or config.overfit_batches or config.views == 1
    if plain_only:
        augmentation = None
    draw_first_batch(dataset, model, augmentation, config, run)
    turns = range(1, config.views) if augmentation else ()
    views = [
        _features(eye, dataset.train, model, augmentation, config, turn).rows for turn in turns
    ]
    labels, true = (
        np.array([example.label for example in part], np.int32)
        for part in (dataset.train, dataset.validation)
    )
    x, y = np.concatenate([plain, *views]), np.tile(labels, 1 + len(views))
    model.standardize(plain)
    epochs = 1 if config.fast_dev_run else epochs
    if config.overfit_batches:
        epochs = max(epochs, math.ceil(150 / config.overfit_batches))
    phase = training.Phase(
        "head",
        epochs,
        config.learning_rate,
        0.0 if config.overfit_batches else config.weight_decay,
        **MEASURE,
        chance=math.log(len(dataset.labels)),
        steps_at_once=HEAD_STEPS,
    )
    return training.fit(
        model.head, phase, run, config, ArrayBatches(x, y, HEAD_BATCH, config.seed),
        in_order(held_out, true, len(true)), **_objective(dataset, config),
    )  # fmt: skip


def finetune(
    model: ImageClassifier, dataset: Dataset, num_blocks: int, best: dict[str, Any],
    config: Config, run: runs.Run, save: Callable[[], None],
) -> dict[str, Any]:  # fmt: skip
    """Adapts the last blocks at a tenth of the head's rate, batch norm frozen.

    Args:
        model: Its head has been trained.
        dataset: Readable pictures.
        num_blocks: How many blocks of the backbone learn, counted from the last.
        best: The measures of the head alone; if nothing is better, it stays.
        config: The hyperparameters.
        run: Where to write.
        save: Called whenever an epoch is the best so far.

    Returns:
        The measures of the best epoch.
    """
    model.unfreeze(num_blocks)
    regular = not config.overfit_batches
    model.head.standardization.trainable = regular
    augmentation = AUGMENTATIONS[config.augment] if regular else None
    views = Views(dataset.train, model.image_size, model.crop, augmentation, config.seed)
    plain = Views(dataset.validation, model.image_size, model.crop)
    draw_first_batch(dataset, model, augmentation, config, run)
    epochs = 1 if config.fast_dev_run else int(config.epochs)
    phase = training.Phase(
        "finetune",
        epochs,
        config.learning_rate / 10,
        config.weight_decay if regular else 0.0,
        **MEASURE,
        chance=math.log(len(dataset.labels)),
        average=config.average if regular else 0.0,
    )
    terminal.note(f"Fine-tuning the last {num_blocks} blocks of {config.backbone}.")
    more = {"to_beat": best, "save": save, **_objective(dataset, config)}
    halves = backbones.split(model.network, num_blocks)
    num_views = min(epochs, config.kept_views) if augmentation else 1
    if halves and num_views and _fits(halves[0], len(dataset.train), num_views, model.image_size):
        return _finetune_tail(model, halves, views, plain, num_views, phase, config, run, more)
    with (
        shuffled_batches(views, config.batch_size, not config.deterministic) as data,
        plain_batches(plain, BATCH) as held_out,
    ):
        few = np.stack([views.draw(k) for k in range(min(WATCHED, len(dataset.train)))])
        return training.fit(model, phase, run, config, data, held_out.dataset, look_at=few, **more)


def _finetune_tail(
    model: ImageClassifier, halves: tuple[keras.Model, keras.Model], views: Views, plain: Views,
    num_views: int, phase: training.Phase, config: Config, run: runs.Run, more: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Fine-tunes on what the frozen blocks saw of a few views, rather than look in each epoch."""
    trunk, late = halves

    def look(images: Any) -> list[Any]:
        seen = trunk(model.normalization(images))
        grid, *early = seen if isinstance(seen, list) else [seen]
        return [grid, model.means(early or [grid[..., :0]])]  # No grid before the cut: no features.

    eye = inference.frozen_network(look, model.image_size)
    shape = eye(views.draw(0)[None])[0].shape[1:]
    labels, true = (np.array([e.label for e in part.examples], np.int32) for part in (views, plain))
    place = cache_folder()
    with KeptGrids(place, labels, shape) as kept, KeptGrids(place, true, shape, exact=True) as few:
        few.add(eye, plain.draw, "Looking at the held-out pictures")
        for turn in range(1, num_views + 1):
            title = f"Looking at view {turn} of {num_views}"
            kept.add(eye, functools.partial(views.draw, turn=turn), title)
        tail = ClassifierTail(late, model.head)
        batches = kept.shuffled(config.batch_size, config.seed, not config.deterministic)
        with batches as data, few.in_order(BATCH) as held_out:
            watched = eye(np.stack([views.draw(k) for k in range(min(WATCHED, len(labels)))]))
            return training.fit(
                tail, phase, run, config, data, held_out.dataset, look_at=tuple(watched), **more
            )


def _fits(trunk: keras.Model, count: int, num_views: int, size: int) -> bool:
    grid = trunk.compute_output_spec(keras.KerasTensor((1, size, size, 3)))[0]
    return KeptGrids.bytes_needed(count, num_views, grid.shape[1:]) <= MAX_BYTES


def num_blocks(unfreeze: int | str, num_pictures: int, model: ImageClassifier) -> int:
    """Returns how many blocks of the backbone `--unfreeze` frees.

    Raises:
        UserError: If it has not so many.
    """
    available = len(backbones.blocks(model.network))
    if unfreeze == "all":
        return available
    if unfreeze == "auto":
        # The less data, the more of what was pretrained is better left alone. A step of 6
        # of 18 blocks takes half the time of one of 9; one split of the flowers got no worse.
        part = 0.2 if num_pictures < 500 else 0.35 if num_pictures < 5000 else 0.5
        return max(1, round(part * available))
    if int(unfreeze) > available:
        raise UserError(
            f"--unfreeze {unfreeze}: {model.backbone} has {available} blocks. Try 'all'."
        )
    return int(unfreeze)


def _objective(dataset: Dataset, config: Config) -> dict[str, Any]:
    return {
        "metrics": [keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        "class_weight": _class_weights(dataset, config),
    }


def _class_weights(dataset: Dataset, config: Config) -> dict[int, float] | None:
    if not config.class_weights:
        return None
    counts = np.bincount([e.label for e in dataset.train], minlength=len(dataset.labels))
    return {k: len(dataset.train) / (len(counts) * max(n, 1)) for k, n in enumerate(counts)}


def _features(
    eye: Eye, examples: Sequence[Example], model: ImageClassifier,
    augmentation: Augmentation | None, config: Config, turn: int,
) -> Features:  # fmt: skip
    """Returns what the frozen backbone sees in one view of each example."""
    views = Views(examples, model.image_size, model.crop, augmentation, config.seed)
    title = "Looking at the pictures" if turn == 0 else f"Looking again ({turn + 1})"

    def compute() -> Features:
        return seen(eye(), lambda k: views.draw(k, turn), len(examples), model.num_features, title)

    drawing = (augmentation, config.seed, turn) if augmentation else ()
    digests = [example.digest for example in examples]
    key = fingerprint([*_model_key(config), model.image_size, model.crop, drawing, *digests])
    return computed_once(key, compute, cache_folder() / "features")


def _model_key(config: Config) -> list:
    versions = [metadata.version("dlapps"), keras.version(), PIL.__version__]
    versions.append(keras.config.dtype_policy().name)
    if config.init is None:
        return [config.backbone, *versions]
    path = Path(config.init)
    path = path if path.suffix == ".keras" else path / runs.MODEL
    return [config.backbone, path.read_bytes() if path.is_file() else config.init, *versions]


def draw_first_batch(
    dataset: Dataset, model: ImageClassifier, augmentation: Augmentation | None,
    config: Config, run: runs.Run,
) -> None:  # fmt: skip
    """Shows some of the first pictures as the network sees them, with their labels."""
    views = Views(dataset.train, model.image_size, model.crop, augmentation, config.seed)
    count = min(18, len(views.examples))
    chosen = np.random.default_rng(config.seed).permutation(len(views.examples))[:count]
    pictures = [views.draw(int(k), 1) for k in chosen]
    titles = [dataset.labels[views.examples[k].label] for k in chosen]
    files.write(run.folder / "train_batch.png", drawing.contact_sheet(pictures, titles))
