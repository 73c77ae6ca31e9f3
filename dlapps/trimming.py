"""Cuts a dataset down to what `--fast-dev-run` and `--overfit-batches` ask for."""

import dataclasses
from typing import Any, TypeVar

import numpy as np

from dlapps.training_config import TrainingConfig

Dataset = TypeVar("Dataset", bound=Any)


def trimmed(dataset: Dataset, config: TrainingConfig) -> Dataset:
    """Returns so much of a dataset as is to be learnt.

    Args:
        dataset: A dataclass with lists of examples, `train` and `validation`, and of `notes`.
        config: Says whether one step of everything, or a few batches to learn by heart.
    """
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
