"""Measures the captioner on pictures with captions of people."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlapps import files, inference, runs, terminal
from dlapps.apps.caption import metrics, render
from dlapps.apps.caption.data import Dataset, read_dataset, read_examples
from dlapps.apps.caption.model import Captioner, load_model
from dlapps.apps.caption.predict import Style, answers, drawer, spoken
from dlapps.data.captioned import Described
from dlapps.data.pipeline import batches_of_views
from dlapps.data.vocabulary import SPECIAL
from dlapps.data.words import sentence, words
from dlapps.errors import UserError

BATCH = 32
SHOWN = 12  # examples at the best and at the worst end


def evaluate(name: str, data: str | None, output: Path | None, strict: bool = False) -> dict:
    """Measures a model on pictures with captions, with beam search.

    Args:
        name: What `load_model` takes.
        data: Pictures with captions; None for those that the run held out.
        output: Folder for the captions and a page of the best and the worst, or None for none.
        strict: Stop at the first picture that cannot be read.

    Returns:
        One flat dictionary of measures, and under `baselines` those of captions that take no
        looking or no model.

    Raises:
        UserError: If the model or the data is at fault.
    """
    model = load_model(name)
    pictures, learnt, notes = _to_measure(name, data, strict)
    if output is not None:
        files.writable_folder(output)
    for text in notes:
        terminal.note(f"Note: {text}")
    why: dict[str, str] = {}
    told: dict[int, list[str]] = {}
    with terminal.progress("Captioning", len(pictures)) as advance:
        for indices, ids, _, bad in answers([each.source for each in pictures], model, Style()):
            why |= {pictures[k].name: text for k, text in bad.items()}
            for index, rows in zip(indices, ids, strict=True):
                told[index] = spoken(rows[0], model.vocabulary)
            advance(len(indices) + len(bad))
    if why and strict:
        first, text = next(iter(why.items()))
        raise UserError(f"{first} cannot be read: {text}.")
    terminal.skipped(why)
    if not told:
        raise UserError("No picture of the dataset can be read.")
    pictures = [pictures[k] for k in told]
    captions = [*told.values()]
    truth = [[words(text) for text in each.captions] for each in pictures]
    if output is not None:
        _write(output, pictures, captions, truth)
    lengths = [len(reference) for references in truth for reference in references]
    return {
        "num_pictures": len(pictures),
        "skipped": len(why),
        **_all_measures(captions, truth),
        **metrics.variety(captions),
        "vocabulary": len(model.vocabulary) - len(SPECIAL),
        "mean_length": float(np.mean([len(caption) for caption in captions])),
        "mean_true_length": float(np.mean(lengths)),
        "baselines": baselines(model, pictures, truth, learnt),
    }


def _to_measure(
    name: str, data: str | None, strict: bool
) -> tuple[list[Described], list[Described], list[str]]:
    """Returns the pictures to measure on, those learnt from if they are known, and notes."""
    record = runs.load(name).record if (Path(name) / runs.RECORD).is_file() else None
    dataset = dataset_of(record) if record is not None else None
    train = dataset.train if dataset else []
    if data is None:
        if record is None:
            raise UserError(f"{name} is not a run, so DATA is needed: what to measure it on.")
        if dataset is None:
            raise UserError(
                f"{record['dataset']['data']} has changed since the training, so its held-out "
                "pictures are no longer known. Name the DATA to measure on."
            )
        held_out = dataset.validation
        return held_out, train, [f"Measured on the {len(held_out)} pictures held out in training."]
    pictures, notes = read_examples(data, strict)
    digests = {each.digest for each in pictures}
    if dataset is not None and digests >= {each.digest for each in dataset.validation + train}:
        held_out = dataset.validation
        note = f"It learnt from these; measured on the {len(held_out)} held out."
        return held_out, train, [note]
    return pictures, train, notes


def dataset_of(record: dict[str, Any]) -> Dataset | None:
    """Returns what a run learnt from and held out; None if that is gone or has changed.

    Args:
        record: Of the run.
    """
    learnt, options = record["dataset"], record["options"]
    try:
        dataset = read_dataset(learnt["data"], options["validation"], options["seed"])
    except UserError:
        return None
    return dataset if dataset.fingerprint == learnt["fingerprint"] else None


def _all_measures(
    captions: Sequence[metrics.Words], truth: Sequence[Sequence[metrics.Words]]
) -> dict[str, float]:
    measured = metrics.measures(captions, truth)
    meteor = _meteor(captions, truth)
    return measured if meteor is None else {**measured, "meteor": meteor}


def _meteor(
    captions: Sequence[metrics.Words], truth: Sequence[Sequence[metrics.Words]]
) -> float | None:
    """Returns METEOR, or None where Java or the package that calls it is missing."""
    if shutil.which("java") is None:
        return None
    try:
        from pycocoevalcap.meteor.meteor import Meteor  # noqa: PLC0415  not always there
    except ImportError:
        return None
    scorer = Meteor()
    own = {k: [" ".join(caption)] for k, caption in enumerate(captions)}
    true = {k: [" ".join(each) for each in several] for k, several in enumerate(truth)}
    try:
        return float(scorer.compute_score(true, own)[0])
    except (OSError, ValueError):  # A Java too old, or without memory.
        return None


def baselines(
    model: Captioner, pictures: Sequence[Described],
    truth: Sequence[Sequence[metrics.Words]],
    learnt: Sequence[Described],
) -> dict[str, dict[str, float]]:  # fmt: skip
    """Returns the measures of captions that take no model, where it is known what was learnt.

    Args:
        model: Whose backbone says which pictures are alike.
        pictures: To be captioned.
        truth: Words of their true captions.
        learnt: Pictures whose captions may be taken; without any, there is no baseline.
    """
    if not learnt:
        return {}
    known = [[words(text) for text in each.captions] for each in learnt]
    usual = metrics.most_agreed([caption for captions in known for caption in captions])
    places = metrics.nearest(_means(model, pictures), _means(model, learnt))
    # Of the nearest picture, the caption that agrees best with the others of it.
    near = [metrics.most_agreed(known[place]) for place in places]
    return {
        "nearest_picture's_caption": metrics.measures(near, truth),
        "most_usual_caption": metrics.measures([usual] * len(pictures), truth),
    }


def _means(model: Captioner, pictures: Sequence[Described]) -> np.ndarray:
    """Returns what the backbone sees of pictures, averaged over the cells and standardised."""
    look = inference.frozen_network(
        lambda images: model.standardization(model.regions(images)), model.image_size
    )
    rows = np.zeros((len(pictures), model.network.output.shape[-1]), np.float32)
    draw = drawer([each.source for each in pictures], model.image_size)
    with terminal.progress("Looking for like pictures", len(pictures)) as advance:
        for indices, images, bad in batches_of_views(len(pictures), draw, BATCH):
            if indices:
                rows[indices] = look(images)[0].mean(axis=1)
            advance(len(indices) + len(bad))
    return rows


def _write(
    folder: Path, pictures: Sequence[Described], captions: list[list[str]],
    truth: list[list[list[str]]],
) -> None:  # fmt: skip
    """Writes all captions, and a page of the best and of the worst."""
    cider = metrics.Cider(truth)
    scores = [cider.score(caption, k) for k, caption in enumerate(captions)]
    order = [int(k) for k in np.argsort(scores, kind="stable")]
    rows = [
        {
            "path": pictures[k].name,
            "caption": sentence(captions[k]),
            "cider": round(scores[k], 4),
            "references": list(pictures[k].captions),
        }
        for k in order[::-1]
    ]
    files.write(folder / "captions.json", render.as_text(rows))
    ends = {"Best": order[::-1][:SHOWN], "Worst": order[:SHOWN]}
    examples: dict[str, list[tuple[Any, str, float, Sequence[str]]]] = {
        title: [
            (pictures[k].source, sentence(captions[k]), scores[k], pictures[k].captions)
            for k in chosen
        ]
        for title, chosen in ends.items()
    }
    files.write(folder / "examples.html", render.page(examples))
