"""Trains the detector: reads the data, runs the phases, writes the run."""

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from dlapps import backbones, precision, runs, saving, terminal
from dlapps.apps.detect import phases, render
from dlapps.apps.detect.config import EPOCHS, NETWORK, Config
from dlapps.apps.detect.data import Dataset, fitting_size, read_dataset, unreadable
from dlapps.apps.detect.evaluate import draw_examples
from dlapps.apps.detect.model import YOLODetector, adapted, load_model, new_model
from dlapps.data.features import cache_folder
from dlapps.data.pictures import UnreadablePictureError
from dlapps.errors import UserError
from dlapps.interruption import interruptible
from dlapps.report.page import reported
from dlapps.resuming import resumed
from dlapps.trimming import trimmed


def train(data: str, mode: str, config: Config, start: str | None = None) -> runs.Run:
    """Trains a detector and writes a run.

    Args:
        data: What `data.read_dataset` reads.
        mode: "train" for neck and heads on the frozen backbone; "finetune" to adapt the backbone
            then.
        config: The hyperparameters.
        start: A trained detector to go on with, or None.

    Raises:
        UserError: If the data, an option or the machine is at fault.
    """
    if config.epochs == "auto":
        config = dataclasses.replace(config, epochs=EPOCHS[mode])
    with interruptible():
        return _train(data, mode, config, start, None)


def resume(path: str, given: Config, named: dict[str, str]) -> runs.Run:
    """Goes on with a run that was stopped, or that is to have more epochs.

    Args:
        path: The run's folder.
        given: The hyperparameters of the command line.
        named: Those that were named, by the field of the config.

    Raises:
        UserError: If there is nothing to go on with, or the data or an option has changed.
    """
    with interruptible():
        run, config = resumed(path, "detect", given, named)
        record = run.record
        return _train(record["dataset"]["data"], record["mode"], config, record["model"], run)


def _train(
    data: str, mode: str, config: Config, start: str | None, run: runs.Run | None
) -> runs.Run:
    backbones.check_name(config.backbone)
    before = _start(start) if start else None
    if before is not None:
        network = {name: getattr(before, name) for name in NETWORK}
        if config.image_size == "auto":
            network["image_size"] = before.image_size
        config = dataclasses.replace(config, **network)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    whole = read_dataset(data, config.validation, config.seed)
    if run and run.record["dataset"]["fingerprint"] != whole.fingerprint:
        raise UserError(
            f"{data} is not what {run.folder} began with: a picture, a box or the split has "
            "changed. Train anew."
        )
    if config.image_size == "auto":
        config = dataclasses.replace(config, image_size=fitting_size(whole.train))
    with precision.chosen(config.precision, "convolutions", cache_folder()) as policy:
        keras.utils.set_random_seed(config.seed)  # Now, for measuring draws random numbers too.
        config = dataclasses.replace(config, precision=policy)
        return _trained(whole, data, mode, config, start, before, run)


def _trained(
    whole: Dataset, data: str, mode: str, config: Config, start: str | None,
    before: YOLODetector | None, run: runs.Run | None,
) -> runs.Run:  # fmt: skip
    dataset = trimmed(whole, config)
    size = int(config.image_size)
    model = (
        adapted(before, dataset.labels, size)
        if before
        else new_model(dataset.labels, config.backbone, size, config.width, config.depth)
    )
    phases.number_of_blocks(config.unfreeze, model)
    options = dataclasses.asdict(config)
    if run is None:
        run = runs.create(
            "detect", dataset.name, config.run, mode=mode, model=start, options=options,
            dataset=_dataset(whole, data),
        )  # fmt: skip
    with runs.held(run), reported(run), runs.recorded(run):
        run.update(options=options)
        terminal.note(render.dataset_line(dataset))
        for text in dataset.notes:
            terminal.note(f"Note: {text}")
        # Written digits and letters mean nothing in a mirror.
        flip = not config.no_flip and data != "sample"
        views, plain = phases.views_of(dataset, size, config, flip)
        if why := unreadable(views) | unreadable(plain):
            terminal.skipped(why)
            dataset = _without(dataset, why)
            views, plain = phases.views_of(dataset, size, config, flip)
        try:
            best = phases.learn(
                model, views, plain, mode, config, run, lambda: saving.save(model, run.model)
            )
        except UnreadablePictureError as error:
            raise UserError(f"A picture changed during the training: {error}.") from error
        draw_examples(model, dataset.validation, run.folder)
        run.update(state="finished", figures=best)
    return run


def _start(name: str) -> YOLODetector:
    model = load_model(name)
    if not isinstance(model, YOLODetector):
        raise UserError(
            f"--model {name} is one of Darknet's networks, which are for use alone. Its backbone "
            "can learn: --backbone yolov4-tiny"
        )
    return model


def _dataset(dataset: Dataset, data: str) -> dict[str, Any]:
    return {
        "data": data,
        "fingerprint": dataset.fingerprint,
        "train": len(dataset.train),
        "validation": len(dataset.validation),
        "labels": dataset.labels,
    }


def _without(dataset: Dataset, why: dict[str, str]) -> Dataset:
    left = dataclasses.replace(
        dataset,
        train=[example for example in dataset.train if example.name not in why],
        validation=[example for example in dataset.validation if example.name not in why],
    )
    if not left.train or not left.validation:
        raise UserError("No picture of the dataset can be read.")
    return left
