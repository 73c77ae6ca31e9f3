"""The hyperparameters of the text generator, each declared once."""

from dataclasses import dataclass

import click

from dlapps.options import ClipBy, NearChoice, option
from dlapps.training_config import OPTIMIZE, TrainingConfig

NORMALIZATIONS = ("none", "NFC", "NFKC", "NFD", "NFKD")
# What a trained model has settled for good.
NETWORK = ("cell", "units", "depth", "embedding", "tied", "layer_norm", "residual")


@dataclass(frozen=True)
class Config(TrainingConfig):
    """How to train a text generator."""

    epochs: int | str = option(10, "Passes over the text.", click.IntRange(min=1))
    batch_size: int = option(32, "Windows a step.", click.IntRange(min=1))
    learning_rate: float = option(
        1e-2,
        "Highest learning rate; --finetune learns at a tenth of it.",
        click.FloatRange(min=0, min_open=True),
        section=OPTIMIZE,
    )
    clip: str = option(
        "global-norm:1",
        "How gradients are shortened: by their own history (auto), or value:, norm: or "
        "global-norm: and a threshold.",
        ClipBy(),
        section=OPTIMIZE,
    )
    validation: float = option(
        0.1,
        "Part of the text, at its end, that is held out.",
        click.FloatRange(min=0, max=0.9, min_open=True),
    )
    validation_text: str | None = option(
        None, "A second text to hold out instead.", click.Path(dir_okay=False)
    )
    encoding: str = option(
        "auto", "Of the files, such as latin-1; auto: UTF-8, or what a byte order mark says."
    )
    normalize: str = option(
        "none", "Unicode normal form to bring the text into.", NearChoice(NORMALIZATIONS)
    )
    window: int = option(64, "Characters through which gradients flow back.", click.IntRange(min=2))
    stateful: bool = option(
        False, "Read each window on from where the last one ended, rather than at random places."
    )
    cell: str = option("lstm", "Kind of the recurrent layers.", NearChoice(("lstm", "gru", "rnn")))
    units: int = option(256, "Width of every recurrent layer.", click.IntRange(min=1))
    depth: int = option(1, "Recurrent layers on top of each other.", click.IntRange(min=1))
    embedding: int = option(
        0, "Width of the vectors that stand for characters; 0 for one-hot.", click.IntRange(min=0)
    )
    dropout: float = option(
        0.1,
        "Part of each recurrent layer's output dropped.",
        click.FloatRange(0, 1, max_open=True),
    )
    recurrent_dropout: float = option(
        0.0,
        "Part of the state dropped from one character to the next.",
        click.FloatRange(0, 1, max_open=True),
    )
    tied: bool = option(False, "Weigh the output with the characters' vectors; needs --embedding.")
    layer_norm: bool = option(False, "Normalise the output of each recurrent layer.")
    residual: bool = option(False, "Add the input of each recurrent layer to its output.")
    average: float = option(
        0.0,
        "Weight of the past in the average of the weights that is kept; 0 for the last weights.",
        click.FloatRange(0, 1, max_open=True),
    )
    sample_every: int = option(
        1, "Epochs from one sample shown to the next; 0 for none.", click.IntRange(min=0)
    )
