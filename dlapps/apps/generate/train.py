"""Trains the generator: reads the text, trains, writes the run."""

import dataclasses
import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlapps import files, precision, runs, saving, terminal
from dlapps.apps.generate import metrics, phases, render
from dlapps.apps.generate.config import NETWORK, Config
from dlapps.apps.generate.data import Corpus, read_corpus
from dlapps.apps.generate.model import CharRNN, extended, load_model, new_model
from dlapps.apps.generate.predict import Style, predict
from dlapps.callbacks.show_sample import ShowSample
from dlapps.data.features import cache_folder
from dlapps.errors import UserError
from dlapps.interruption import interruptible
from dlapps.report.page import reported
from dlapps.resuming import resumed

SAMPLE = 300  # characters
SHOWN = 100  # characters of it, on the terminal


def train(data: list[str], mode: str, config: Config, model: str | None = None) -> runs.Run:
    """Trains a generator and writes a run.

    Args:
        data: What `data.read_corpus` reads.
        mode: "train" for a new model; "finetune" to go on with a trained one.
        config: The hyperparameters.
        model: What to go on with.

    Raises:
        UserError: If the text, an option or the machine is at fault.
    """
    with interruptible():
        return _train(data, mode, config, model, None)


def resume(path: str, given: Config, named: dict[str, str]) -> runs.Run:
    """Goes on with a run that was stopped, or that is to have more epochs.

    Args:
        path: The run's folder.
        given: The hyperparameters of the command line.
        named: Those that were named, by the field of the config.

    Raises:
        UserError: If there is nothing to go on with, or the text or an option has changed.
    """
    with interruptible():
        run, config = resumed(path, "generate", given, named)
        record = run.record
        return _train(record["dataset"]["data"], record["mode"], config, record["model"], run)


def _train(
    data: list[str], mode: str, config: Config, start: str | None, run: runs.Run | None
) -> runs.Run:
    if run and "-" in data:
        raise UserError(f"{run.folder} learnt from standard input, which is gone. Train anew.")
    before = load_model(start) if start else None
    if before is not None:
        config = dataclasses.replace(config, **_network(before))
        if config.normalize == "none":
            config = dataclasses.replace(config, normalize=before.normalization)
    if config.tied and config.embedding != config.units:
        raise UserError(
            f"--tied needs --embedding to be --units, {config.units}, not {config.embedding}."
        )
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    corpus = read_corpus(
        data, config.validation, config.validation_text, config.encoding, config.normalize,
        before.characters if before else "",
    )  # fmt: skip
    if run and run.record["dataset"]["fingerprint"] != corpus.fingerprint:
        raise UserError(f"{' '.join(data)} is not what {run.folder} began with. Train anew.")
    phases.check_length(corpus, config)
    with precision.chosen(config.precision, "recurrence", cache_folder()) as policy:
        keras.utils.set_random_seed(config.seed)  # Now, for measuring draws random numbers too.
        config = dataclasses.replace(config, precision=policy)
        model = _model(before, corpus, config)
        return _trained(model, corpus, data, mode, config, start, run)


def _network(model: CharRNN) -> dict[str, Any]:
    return {name: getattr(model, name) for name in NETWORK}


def _model(before: CharRNN | None, corpus: Corpus, config: Config) -> CharRNN:
    regular = not config.overfit_batches
    others = {
        "dropout": config.dropout * regular,
        "recurrent_dropout": config.recurrent_dropout * regular,
        "normalization": config.normalize,
    }
    if before is not None:
        return extended(before, corpus.characters, **others)
    network = {name: getattr(config, name) for name in NETWORK}
    return new_model(corpus.characters, {**network, **others})


def _trained(
    model: CharRNN, corpus: Corpus, data: list[str], mode: str, config: Config,
    start: str | None, run: runs.Run | None,
) -> runs.Run:  # fmt: skip
    nats = metrics.baselines(corpus.train, corpus.validation, len(corpus.characters))
    bits = {name: metrics.bits(value) for name, value in nats.items()}
    options = dataclasses.asdict(config)
    if run is None:
        run = runs.create(
            "generate", corpus.name, config.run, mode=mode, model=start, options=options,
            dataset=_dataset(corpus, data), baselines={"loss": nats, "bits_per_char": bits},
        )  # fmt: skip
    with runs.held(run), reported(run), runs.recorded(run):
        run.update(options=options)
        terminal.note(render.corpus_line(corpus, nats))
        for text in corpus.notes:
            terminal.note(f"Note: {text}")
        best = phases.learn(
            model, corpus, mode, config, run, _companions(model, config, run),
            lambda: saving.save(model, run.model),
        )  # fmt: skip
        loss = best["val_loss"]
        measures = {"val_bits_per_char": metrics.bits(loss), "val_perplexity": math.exp(loss)}
        run.update(state="finished", figures={**best, **measures})
    return run


def _dataset(corpus: Corpus, data: list[str]) -> dict[str, Any]:
    return {
        "data": data,
        "fingerprint": corpus.fingerprint,
        "unit": "characters",
        "train": len(corpus.train),
        "validation": len(corpus.validation),
        "characters": corpus.characters,
    }


def _companions(
    model: CharRNN, config: Config, run: runs.Run
) -> dict[str, keras.callbacks.Callback]:
    def make() -> str:
        # Of its own, so that a training resumed in the middle draws the same.
        rng = np.random.default_rng(config.seed)
        return "".join(predict(model, [], SAMPLE, Style(temperature=0.8), rng))

    def show(epoch: int, text: str) -> None:
        files.write(run.folder / "samples.txt", text.strip("\n") + "\n")
        first = " ".join(text.split())[:SHOWN]
        terminal.note(f"  It writes: {first}")

    every = config.sample_every
    return {"sample": ShowSample(make, show, every)} if every else {}
