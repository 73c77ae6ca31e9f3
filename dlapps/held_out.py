"""Which examples of a dataset a trained model is measured on."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dlapps import runs
from dlapps.errors import UserError


def to_measure(
    name: str,
    data: str | None,
    read_examples: Callable[[str], tuple[list[Any], list[str]]],
    read_dataset: Callable[[str, float, int], Any],
) -> tuple[list[Any], list[str]]:
    """Returns the pictures to measure a model on, and what the user should know of them.

    Args:
        name: The model; of a run it is known what it has learnt from.
        data: The pictures; None for those that the run held out.
        read_examples: Reads pictures to measure on.
        read_dataset: Reads a dataset as for training, by its path, the part held out and the seed.

    Raises:
        UserError: If `data` is needed, or is at fault.
    """
    if not (Path(name) / runs.RECORD).is_file():
        if data is None:
            raise UserError(f"{name} is not a run, so DATA is needed: what to measure it on.")
        return read_examples(data)
    record = runs.load(name).record
    learnt = record["dataset"]
    if data is None:
        held_out = held_out_of(learnt["data"], record, read_dataset)
        if held_out is None:
            raise UserError(
                f"{learnt['data']} has changed since the training, so its held-out pictures are no "
                "longer known. Name the DATA to measure on."
            )
        return held_out, [f"Measured on the {len(held_out)} pictures held out in training."]
    examples, notes = read_examples(data)
    if len(examples) == learnt["train"] + learnt["validation"]:
        # The dataset it learnt from, perhaps in another place: all but the held-out part would
        # flatter.
        with contextlib.suppress(UserError):
            held_out = held_out_of(data, record, read_dataset)
            if held_out is not None:
                note = f"It learnt from these; measured on the {len(held_out)} held out."
                return held_out, [note]
    return examples, notes


def held_out_of(
    data: str, record: Mapping[str, Any], read_dataset: Callable[[str, float, int], Any]
) -> list[Any] | None:
    """Returns the pictures that a training held out, None if the data are not those any more.

    Args:
        data: Where the dataset lies now.
        record: Of the run.
        read_dataset: As in `to_measure`.
    """
    options = record["options"]
    dataset = read_dataset(data, options["validation"], options["seed"])
    same = dataset.fingerprint == record["dataset"]["fingerprint"]
    return dataset.validation if same else None
