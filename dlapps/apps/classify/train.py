"""Trains the classifier: first a head on frozen features, then the backbone too."""

import dataclasses
import math
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import numpy as np
import PIL

from dlapps import backbones, files, inference, runs, saving, terminal, training
from dlapps.apps.classify import render
from dlapps.apps.classify.config import Config
from dlapps.apps.classify.data import (
    Dataset,
    Example,
    Views,
    fitting_size,
    plain_batches,
    read_dataset,
    shuffled_batches,
)
from dlapps.apps.classify.model import ImageClassifier, new_model
from dlapps.data.augment import AUGMENTATIONS, Augmentation
from dlapps.data.features import Features, cache_folder, computed_once, fingerprint
from dlapps.data.pictures import UnreadablePictureError
from dlapps.data.pipeline import batches_of_views
from dlapps.errors import UserError

BATCH = 64
# The head is one linear layer on a few thousand numbers; its batches cost next to nothing.
HEAD_BATCH = 64


def train(data: str, mode: str, config: Config, strict: bool = False) -> runs.Run:
    """Trains a classifier and writes a run.

    Args:
        data: What `data.read_dataset` reads.
        mode: "train" for a head on the frozen backbone; "finetune" to adapt the backbone then.
        config: The hyperparameters.
        strict: Stop at the first picture that cannot be read.

    Raises:
        UserError: If the data, an option or the machine is at fault.
    """
    backbones.check_name(config.backbone)
    keras.utils.set_random_seed(config.seed)
    whole = read_dataset(data, config.validation, config.seed)
    dataset = _trimmed(whole, config)
    if config.image_size == "auto":
        config = dataclasses.replace(config, image_size=fitting_size(dataset.train))
    dropout = 0.0 if config.overfit_batches else config.dropout
    model = new_model(dataset.labels, config.backbone, int(config.image_size), dropout, config.init)
    num_blocks = _num_blocks(config.unfreeze, len(dataset.train), model)
    record = {
        "mode": mode,
        "options": dataclasses.asdict(config),
        "dataset": {
            "data": data,
            "fingerprint": whole.fingerprint,
            "train": len(whole.train),
            "validation": len(whole.validation),
            "labels": dataset.labels,
        },
    }
    run = runs.create("classify", dataset.name, config.run, **record)
    with runs.recorded(run):
        terminal.note(render.dataset_line(dataset))
        for text in dataset.notes:
            terminal.note(f"Note: {text}")
        dataset, best = _train_head(model, dataset, config, run, strict)
        saving.save(model, run.model)
        if mode == "finetune":
            try:
                best = _finetune(model, dataset, config, run, best, num_blocks)
            except UnreadablePictureError as error:
                raise UserError(f"A picture changed during the training: {error}.") from error
        run.update(state="finished", figures=best)
    return run


def _trimmed(dataset: Dataset, config: Config) -> Dataset:
    if config.fast_dev_run:
        few = config.batch_size
        return dataclasses.replace(
            dataset, train=dataset.train[:few], validation=dataset.validation[:few]
        )
    if config.overfit_batches:
        few = config.overfit_batches * config.batch_size
        chosen = np.random.default_rng(config.seed).permutation(len(dataset.train))[:few]
        same = [dataset.train[k] for k in chosen]
        note = f"Learning {len(same)} pictures by heart; validation is the same pictures."
        return dataclasses.replace(
            dataset, train=same, validation=same, notes=[*dataset.notes, note]
        )
    return dataset


def _train_head(
    model: ImageClassifier, dataset: Dataset, config: Config, run: runs.Run, strict: bool
) -> tuple[Dataset, dict[str, Any]]:
    """Trains the head on features of the frozen backbone, and drops unreadable pictures."""
    dataset, views, held_out = _looked_at(model, dataset, config, run, strict)
    model.standardize(views[0])
    labels, true = (
        np.array([example.label for example in part], np.int32)
        for part in (dataset.train, dataset.validation)
    )
    x, y = np.concatenate(views), np.tile(labels, len(views))
    epochs = 1 if config.fast_dev_run else config.epochs
    if config.overfit_batches:
        epochs = max(epochs, math.ceil(150 / config.overfit_batches))
    phase = training.Phase(
        "head",
        epochs,
        math.ceil(len(x) / HEAD_BATCH),
        config.learning_rate,
        0.0 if config.overfit_batches else config.weight_decay,
    )
    best = training.fit(
        model.head, phase, run, (x, y), (held_out, true),
        batch_size=HEAD_BATCH, class_weight=_class_weights(dataset, config),
    )  # fmt: skip
    return dataset, best


def _looked_at(
    model: ImageClassifier, dataset: Dataset, config: Config, run: runs.Run, strict: bool
) -> tuple[Dataset, list[np.ndarray], np.ndarray]:
    """Returns the readable pictures, their features view by view, and those held out."""
    single = config.fast_dev_run or bool(config.overfit_batches)
    augmentation = AUGMENTATIONS[config.augment]
    num_views = 1 if single or augmentation is None else config.views
    look = inference.frozen(model.features, model.image_size)
    # All pictures in an order that no split changes, so that another seed finds them computed.
    everyone = sorted({e.digest: e for e in dataset.train + dataset.validation}.items())
    place = {digest: k for k, (digest, _) in enumerate(everyone)}
    plain = _features(look, [example for _, example in everyone], model, None, config, 0)
    dataset = _readable(dataset, plain.unreadable, place, strict)
    _draw_first_batch(dataset, model, augmentation if num_views > 1 else None, config, run)
    views = [plain.rows[[place[example.digest] for example in dataset.train]]]
    for turn in range(1, num_views):
        views.append(_features(look, dataset.train, model, augmentation, config, turn).rows)
    return dataset, views, plain.rows[[place[example.digest] for example in dataset.validation]]


def _features(
    look: Callable, examples: list[Example], model: ImageClassifier,
    augmentation: Augmentation | None, config: Config, turn: int,
) -> Features:  # fmt: skip
    """Returns what the frozen backbone sees in one view of each example."""
    views = Views(examples, model.image_size, model.crop, augmentation, config.seed)

    def compute() -> Features:
        rows = np.zeros((len(examples), model.head.input_shape[-1]), np.float32)
        unreadable: dict[int, str] = {}
        title = "Looking at the pictures" if turn == 0 else f"Looking again ({turn + 1})"
        with terminal.progress(title, len(examples)) as advance:
            drawn = batches_of_views(len(examples), lambda k: views.draw(k, turn), BATCH)
            for indices, images, bad in drawn:
                unreadable |= bad
                if indices:
                    rows[indices] = look(images)[0]
                advance(len(indices) + len(bad))
        return Features(rows, unreadable, cached=False)

    drawing = (augmentation, config.seed, turn) if augmentation else ()
    digests = [example.digest for example in examples]
    key = fingerprint([*_model_key(config), model.image_size, model.crop, drawing, *digests])
    return computed_once(key, compute, cache_folder() / "features")


def _model_key(config: Config) -> list:
    versions = (metadata.version("dlapps"), keras.version(), PIL.__version__)
    if config.init is None:
        return [config.backbone, *versions]
    path = Path(config.init)
    path = path if path.suffix == ".keras" else path / runs.MODEL
    return [config.backbone, path.read_bytes() if path.is_file() else config.init, *versions]


def _readable(
    dataset: Dataset, unreadable: dict[int, str], place: dict[str, int], strict: bool
) -> Dataset:
    """Drops, counts and names the pictures that could not be read."""
    examples = dataset.train + dataset.validation
    why = {e.name: unreadable[place[e.digest]] for e in examples if place[e.digest] in unreadable}
    if why and strict:
        name, text = next(iter(why.items()))
        raise UserError(f"{name} cannot be read: {text}.")
    terminal.skipped(why)
    left = dataclasses.replace(
        dataset,
        train=[example for example in dataset.train if example.name not in why],
        validation=[example for example in dataset.validation if example.name not in why],
    )
    if not left.train or not left.validation:
        raise UserError("No picture of the dataset can be read.")
    return left


def _class_weights(dataset: Dataset, config: Config) -> dict[int, float] | None:
    if not config.class_weights:
        return None
    counts = np.bincount([e.label for e in dataset.train], minlength=len(dataset.labels))
    return {k: len(dataset.train) / (len(counts) * max(n, 1)) for k, n in enumerate(counts)}


def _finetune(
    model: ImageClassifier, dataset: Dataset, config: Config, run: runs.Run,
    best: dict[str, Any], num_blocks: int,
) -> dict[str, Any]:  # fmt: skip
    """Adapts the last blocks at a tenth of the head's rate, batch norm frozen."""
    model.unfreeze(num_blocks)
    regular = not config.overfit_batches
    augmentation = AUGMENTATIONS[config.augment] if regular else None
    views = Views(dataset.train, model.image_size, model.crop, augmentation, config.seed)
    _draw_first_batch(dataset, model, augmentation, config, run)
    terminal.note(f"Fine-tuning the last {num_blocks} blocks of {config.backbone}.")
    with (
        shuffled_batches(views, config.batch_size) as data,
        plain_batches(Views(dataset.validation, model.image_size, model.crop), BATCH) as held_out,
    ):
        phase = training.Phase(
            "finetune",
            1 if config.fast_dev_run else config.finetune_epochs,
            data.steps,
            config.learning_rate / 10,
            config.weight_decay if regular else 0.0,
        )
        return training.fit(
            model, phase, run, data.dataset, held_out.dataset,
            to_beat=best,
            save=lambda: saving.save(model, run.model),
            class_weight=_class_weights(dataset, config),
        )  # fmt: skip


def _num_blocks(unfreeze: int | str, num_pictures: int, model: ImageClassifier) -> int:
    available = len(backbones.blocks(model.network))
    if unfreeze == "all":
        return available
    if unfreeze == "auto":
        # The less data, the more of what was pretrained is better left alone.
        part = 0.2 if num_pictures < 500 else 0.35 if num_pictures < 1500 else 0.5
        return max(1, round(part * available))
    if int(unfreeze) > available:
        raise UserError(
            f"--unfreeze {unfreeze}: {model.backbone} has {available} blocks. Try 'all'."
        )
    return int(unfreeze)


def _draw_first_batch(
    dataset: Dataset, model: ImageClassifier, augmentation: Augmentation | None,
    config: Config, run: runs.Run,
) -> None:  # fmt: skip
    """Shows some of the first pictures as the network sees them, with their labels."""
    views = Views(dataset.train, model.image_size, model.crop, augmentation, config.seed)
    count = min(18, len(views.examples))
    chosen = np.random.default_rng(config.seed).permutation(len(views.examples))[:count]
    pictures = [views.draw(int(k), 1) for k in chosen]
    titles = [dataset.labels[views.examples[k].label] for k in chosen]
    files.write(run.folder / "train_batch.png", render.contact_sheet(pictures, titles))
