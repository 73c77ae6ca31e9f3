"""Trains the classifier: reads the data, runs the phases, writes the run."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlapps import backbones, drawing, files, inference, precision, runs, saving, terminal
from dlapps.apps.classify import metrics, phases, render
from dlapps.apps.classify.config import EPOCHS, Config
from dlapps.apps.classify.data import Dataset, Example, fitting_size, read_dataset
from dlapps.apps.classify.evaluate import right, thumbnail, worst
from dlapps.apps.classify.model import ImageClassifier, new_model
from dlapps.apps.classify.predict import answers
from dlapps.data.features import cache_folder
from dlapps.data.pictures import UnreadablePictureError
from dlapps.errors import UserError
from dlapps.filters import first_filters
from dlapps.interruption import interruptible
from dlapps.report.page import reported
from dlapps.resuming import resumed
from dlapps.trimming import trimmed

# Of more held-out pictures, only as many are looked at to calibrate and to draw examples.
LOOKED_AT = 1024


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
    epochs = EPOCHS[mode] if config.epochs == "auto" else config.epochs
    config = dataclasses.replace(config, epochs=epochs)
    with interruptible():
        return _train(data, mode, config, strict, None)


def resume(path: str, given: Config, named: dict[str, str], strict: bool = False) -> runs.Run:
    """Goes on with a run that was stopped, or that is to have more epochs.

    Args:
        path: The run's folder.
        given: The hyperparameters of the command line.
        named: Those that were named, by the field of the config.
        strict: Stop at the first picture that cannot be read.

    Raises:
        UserError: If there is nothing to go on with, or the data or an option has changed.
    """
    with interruptible():
        run, config = resumed(path, "classify", given, named)
        return _train(run.record["dataset"]["data"], run.record["mode"], config, strict, run)


def _train(data: str, mode: str, config: Config, strict: bool, run: runs.Run | None) -> runs.Run:
    backbones.check_name(config.backbone)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    whole = read_dataset(data, config.validation, config.seed)
    if run and run.record["dataset"]["fingerprint"] != whole.fingerprint:
        raise UserError(
            f"{data} is not what {run.folder} began with: a picture, a label or the split has "
            "changed. Train anew."
        )
    # The head alone is too small for its precision to matter.
    exact = config.precision == "auto" and mode == "train"
    wanted = "float32" if exact else config.precision
    with precision.chosen(wanted, "convolutions", cache_folder()) as policy:
        keras.utils.set_random_seed(config.seed)  # Now, for measuring draws random numbers too.
        if not exact:  # A run goes on as it began, whatever would be measured then.
            config = dataclasses.replace(config, precision=policy)
        return _trained(whole, data, mode, config, strict, run)


def _trained(
    whole: Dataset, data: str, mode: str, config: Config, strict: bool, run: runs.Run | None
) -> runs.Run:
    dataset = trimmed(whole, config)
    if config.image_size == "auto":
        config = dataclasses.replace(config, image_size=fitting_size(dataset.train))
    dropout = config.finetune_dropout if mode == "finetune" else config.dropout
    smoothing = config.finetune_smoothing if mode == "finetune" else config.label_smoothing
    if config.overfit_batches:
        dropout = smoothing = 0.0
    model = new_model(
        dataset.labels, config.backbone, int(config.image_size), dropout, smoothing, config.init
    )
    num_blocks = phases.num_blocks(config.unfreeze, len(dataset.train), model)
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
    if run is None:
        run = runs.create("classify", dataset.name, config.run, **record)
    with runs.held(run), reported(run), runs.recorded(run):
        run.update(options=record["options"])
        terminal.note(render.dataset_line(dataset))
        for text in dataset.notes:
            terminal.note(f"Note: {text}")
        try:
            figures = _phases(model, dataset, mode, config, run, num_blocks, strict)
        except UnreadablePictureError as error:
            raise UserError(f"A picture changed during the training: {error}.") from error
        run.update(state="finished", figures=figures)
    return run


def _phases(
    model: ImageClassifier, dataset: Dataset, mode: str, config: Config, run: runs.Run,
    num_blocks: int, strict: bool,
) -> dict[str, Any]:  # fmt: skip
    """Trains what is left to train, and returns the best measures."""
    eye = functools.cache(lambda: inference.frozen_network(model.features, model.image_size))
    seen, place = phases.look(eye, model, dataset, config)
    dataset = _readable(dataset, seen.unreadable, place, strict)
    plain, held_out = (
        seen.rows[[place[example.digest] for example in part]]
        for part in (dataset.train, dataset.validation)
    )

    def save() -> None:
        saving.save(model, run.model)

    head_epochs = int(config.epochs) if mode == "train" else config.head_epochs
    best = run.phases.get("head", {})
    if not run.is_past("head"):
        best = phases.train_head(eye, model, dataset, plain, held_out, head_epochs, config, run)
        save()
    if mode == "finetune":
        best = phases.finetune(model, dataset, num_blocks, best, config, run, save)
    if best.get("phase") == "head":
        few = dataset.validation
        rows = keras.ops.convert_to_numpy(keras.ops.softmax(model.head(held_out)))
    else:
        few = dataset.validation[:: -(-len(dataset.validation) // LOOKED_AT)]
        rows = np.concatenate([rows for _, rows, _ in answers([e.source for e in few], model)])
    truth = np.array([example.label for example in few])
    if not (config.fast_dev_run or config.overfit_batches):
        best, rows = _calibrated(model, best, rows, truth)
        save()
    _draw(model, few, rows, truth, run)
    return best


def _calibrated(
    model: ImageClassifier, best: dict[str, Any], rows: np.ndarray, truth: np.ndarray
) -> tuple[dict[str, Any], np.ndarray]:
    """Makes the model as sure as it is right; smoothed labels have taught it to hold back."""
    temperature = metrics.temperature(rows, truth)
    model.head.temper(temperature)
    rows = metrics.tempered(rows, temperature)
    loss = metrics.cross_entropy(rows, truth)
    return {**best, "val_calibrated_loss": loss, "temperature": temperature}, rows


def _draw(
    model: ImageClassifier, examples: Sequence[Example], rows: np.ndarray, truth: np.ndarray,
    run: runs.Run,
) -> None:  # fmt: skip
    """Draws held-out pictures that the model got right and wrong, and its first filters."""
    for name, chosen in (("right", right(rows, truth)), ("wrong", worst(rows, truth))):
        if chosen:
            pictures = [thumbnail(examples[k]) for k in chosen]
            titles = [render.answer(rows[k], int(truth[k]), model.labels) for k in chosen]
            files.write(run.folder / f"{name}.png", drawing.contact_sheet(pictures, titles))
    filters = first_filters(model)
    if filters:
        files.write(run.folder / "filters.png", filters)


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
