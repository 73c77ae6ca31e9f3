"""Trains the captioner: reads the data, runs the phases, writes the run."""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlapps import backbones, drawing, files, precision, runs, saving, terminal
from dlapps.apps.caption import metrics, phases, render
from dlapps.apps.caption.config import EPOCHS, MOST_EPOCHS, STEPS, Config
from dlapps.apps.caption.data import (
    Dataset,
    eye_of,
    fitting_size,
    flips,
    looked_at,
    read_dataset,
    readable,
    trimmed,
    views_of,
)
from dlapps.apps.caption.model import END, Captioner, load_model, new_model
from dlapps.apps.caption.predict import spoken
from dlapps.callbacks.caption_watch import CaptionWatch
from dlapps.data.features import cache_folder
from dlapps.data.pictures import UnreadablePictureError
from dlapps.data.vocabulary import encoded, vocabulary
from dlapps.data.whole_views import WholeViews
from dlapps.data.words import sentence, words
from dlapps.errors import UserError
from dlapps.interruption import interruptible
from dlapps.report.page import reported
from dlapps.resuming import resumed

# Of more held-out pictures, only as many are captioned after each epoch.
CAPTIONED = 500
BATCH = 50
# What a trained model has settled for good.
NETWORK = ("decoder", "backbone", "image_size", "longest", "embedding", "units", "attention")


def train(
    data: str, mode: str, config: Config, strict: bool = False, model: str | None = None
) -> runs.Run:
    """Trains a captioner and writes a run.

    Args:
        data: What `data.read_dataset` reads.
        mode: "train" for a decoder on the frozen backbone; "finetune" to adapt the backbone then.
        config: The hyperparameters.
        strict: Stop at what cannot be used, instead of counting and naming it.
        model: A trained captioner to go on with, for "finetune"; None to train the decoder first.

    Raises:
        UserError: If the data, an option or the machine is at fault.
    """
    with interruptible():
        return _train(data, mode, config, strict, model, None)


def resume(path: str, given: Config, named: dict[str, str], strict: bool = False) -> runs.Run:
    """Goes on with a run that was stopped, or that is to have more epochs.

    Args:
        path: The run's folder.
        given: The hyperparameters of the command line.
        named: Those that were named, by the field of the config.
        strict: Stop at what cannot be used.

    Raises:
        UserError: If there is nothing to go on with, or the data or an option has changed.
    """
    with interruptible():
        run, config = resumed(path, "caption", given, named)
        record = run.record
        return _train(
            record["dataset"]["data"], record["mode"], config, strict, record["model"], run
        )


def _train(
    data: str, mode: str, config: Config, strict: bool, start: str | None, run: runs.Run | None
) -> runs.Run:
    backbones.check_name(config.backbone)
    before = load_model(start) if start else None
    if before is not None:
        config = dataclasses.replace(config, **{name: getattr(before, name) for name in NETWORK})
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    dataset = read_dataset(data, config.validation, config.seed, strict)
    if run and run.record["dataset"]["fingerprint"] != dataset.fingerprint:
        raise UserError(
            f"{data} is not what {run.folder} began with: a picture, a caption or the split has "
            "changed. Train anew."
        )
    if config.image_size == "auto":
        size = fitting_size([each.source for each in dataset.train])
        config = dataclasses.replace(config, image_size=size)
    config = _with_epochs(dataset, mode, config)
    known = before.vocabulary if before else vocabulary(dataset.train, config.min_count)
    kind = "convolutions" if mode == "finetune" else "recurrence"
    with precision.chosen(config.precision, kind, cache_folder()) as policy:
        keras.utils.set_random_seed(config.seed)  # Now, for measuring draws random numbers too.
        config = dataclasses.replace(config, precision=policy)
        model = _model(known, dataset, config, before, run)
        return _trained(model, dataset, data, mode, config, strict, start, run)


def _with_epochs(dataset: Dataset, mode: str, config: Config) -> Config:
    """Settles how often the captions come by, where that is not said."""
    captions = sum(len(each.captions) for each in dataset.train)
    few = math.ceil(STEPS / max(captions // config.batch_size, 1))
    decoder = max(EPOCHS["train"], min(few, MOST_EPOCHS))
    auto = {"epochs": decoder if mode == "train" else EPOCHS[mode], "decoder_epochs": decoder}
    settled: dict[str, Any] = {k: v for k, v in auto.items() if getattr(config, k) == "auto"}
    return dataclasses.replace(config, **settled)


def _model(
    known: list[str], dataset: Dataset, config: Config, before: Captioner | None,
    run: runs.Run | None,
) -> Captioner:  # fmt: skip
    """Makes the captioner, of the precision now in force."""
    settings = {name: getattr(config, name) for name in NETWORK}
    settings["dropout"] = 0.0 if config.overfit_batches else config.dropout
    index = {word: place for place, word in enumerate(known)}
    counts: Counter = Counter()
    for each in dataset.train:
        for caption in each.captions:
            counts.update([*encoded(caption, index, config.longest), END])
    model = new_model(known, np.array([counts[k] for k in range(len(known))], float), settings)
    if before is not None:
        model.set_weights(before.get_weights())
    if run and run.model.is_file():  # The best so far, of which the next phase may need to look.
        model.set_weights(load_model(str(run.folder)).get_weights())
    return model


def _trained(
    model: Captioner, dataset: Dataset, data: str, mode: str, config: Config, strict: bool,
    start: str | None, run: runs.Run | None,
) -> runs.Run:  # fmt: skip
    record = {
        "mode": mode,
        "model": start,
        "options": dataclasses.asdict(config),
        "dataset": {
            "data": data,
            "fingerprint": dataset.fingerprint,
            "unit": "pictures",
            "train": len(dataset.train),
            "validation": len(dataset.validation),
            "vocabulary": len(model.vocabulary),
        },
    }
    if run is None:
        run = runs.create("caption", dataset.name, config.run, **record)
    with runs.held(run), reported(run), runs.recorded(run):
        run.update(options=record["options"])
        terminal.note(render.dataset_line(dataset, model.vocabulary, config.min_count))
        for text in dataset.notes:
            terminal.note(f"Note: {text}")
        try:
            figures = _phases(model, dataset, mode, config, run, strict, start is not None)
        except UnreadablePictureError as error:
            raise UserError(f"A picture changed during the training: {error}.") from error
        run.update(state="finished", figures=figures)
    return run


def _phases(
    model: Captioner, dataset: Dataset, mode: str, config: Config, run: runs.Run, strict: bool,
    is_trained: bool,
) -> dict[str, Any]:  # fmt: skip
    """Trains what is left to train, and returns the best measures."""
    eye = eye_of(model)
    dataset = trimmed(dataset, config)
    bad = [
        looked_at(model, eye, part, False, config.seed).unreadable
        for part in (dataset.train, dataset.validation)
    ]
    dataset = readable(dataset, bad, strict)
    _draw_first_batch(dataset, model, config, run)
    held_out = looked_at(model, eye, dataset.validation, False, config.seed).rows
    more: dict[str, Any] = {"save": lambda: saving.save(model, run.model)}
    best = run.phases.get("decoder", {})
    grids: list[np.ndarray] = []
    if not is_trained and not run.is_past("decoder"):
        grids = views_of(model, eye, dataset, config)
        epochs = int(config.epochs) if mode == "train" else int(config.decoder_epochs)
        watch = _watch(model, dataset, lambda: held_out, config, run)
        best = phases.learn_decoder(
            model, grids, dataset, held_out, epochs, config, run, {**more, "watching": watch}
        )
        saving.save(model, run.model)
    if mode == "finetune" and not run.is_past("finetune"):
        watch = _watch(model, dataset, lambda: _seen(model, dataset), config, run)
        best = phases.finetune(
            model, dataset, int(config.epochs), config, run,
            {**more, "watching": watch, "to_beat": best or None},
        )  # fmt: skip
        saving.save(model, run.model)
    if config.reward == "cider":
        eye = eye_of(model)
        if mode == "finetune" or not grids:  # What it sees now.
            grids = views_of(model, eye, dataset, config)
        seen = _seen(model, dataset) if mode == "finetune" else held_out
        watch = _watch(model, dataset, lambda: seen, config, run)
        best = run.phases.get("finetune", best) if mode == "finetune" else best
        best = phases.reward(
            model, grids, dataset, seen, config, run,
            {**more, "watching": watch, "to_beat": best or None},
        )  # fmt: skip
        saving.save(model, run.model)
    return best


def _watch(
    model: Captioner, dataset: Dataset, seen: Callable[[], np.ndarray], config: Config,
    run: runs.Run,
) -> dict[str, keras.callbacks.Callback]:  # fmt: skip
    """Returns what captions held-out pictures after each epoch, and measures that."""
    few = dataset.validation[:CAPTIONED]
    truth = [[words(text) for text in each.captions] for each in few]
    tell = tf.function(lambda grids: model.told(grids)[0][:, 0], jit_compile=False)

    def told() -> list[str]:
        grids = seen()[: len(few)]
        rows = [
            keras.ops.convert_to_numpy(tell(np.asarray(grids[start : start + BATCH])))
            for start in range(0, len(few), BATCH)
        ]
        return [" ".join(spoken(row, model.vocabulary)) for row in np.concatenate(rows)]

    def judge(captions: Sequence[str]) -> dict[str, float]:
        own = [caption.split() for caption in captions]
        lines = [f"{each.name}\t{sentence(one)}" for each, one in zip(few, own, strict=True)]
        files.write(run.folder / "samples.txt", "\n".join(lines[:20]) + "\n")
        scores = metrics.measures(own, truth)
        distinct = metrics.variety(own)["distinct"]
        kept = {f"val_{name}": scores[name] for name in ("cider", "bleu1", "bleu4")}
        return {**kept, "val_distinct": distinct}

    return {"captions": CaptionWatch(told, judge, terminal.note, config.sample_every)}


def _seen(model: Captioner, dataset: Dataset) -> np.ndarray:
    """Returns what the backbone, as it now is, sees in the held-out pictures."""
    views = WholeViews(dataset.validation, model.image_size)
    look = tf.function(model.regions, jit_compile=False)
    count = len(dataset.validation)
    rows = [
        look(np.stack([views.draw(k) for k in range(start, min(start + BATCH, count))]))
        for start in range(0, count, BATCH)
    ]
    return np.concatenate([keras.ops.convert_to_numpy(each) for each in rows]).astype(np.float16)


def _draw_first_batch(dataset: Dataset, model: Captioner, config: Config, run: runs.Run) -> None:
    """Shows some of the first pictures as the network sees them, with a caption."""
    views = WholeViews(dataset.train, model.image_size, flips(config, dataset), config.seed)
    count = min(12, len(views.pictures))
    chosen = np.random.default_rng(config.seed).permutation(len(views.pictures))[:count]
    pictures = [views.draw(int(k), 1) for k in chosen]
    titles = [render.folded(views.pictures[k].captions[0], 26, 3) for k in chosen]
    files.write(run.folder / "train_batch.png", drawing.contact_sheet(pictures, titles))
