"""The hyperparameters of the captioner, each declared once."""

from dataclasses import dataclass

import click

from dlapps.options import ClipBy, CountOr, NearChoice, option
from dlapps.training_config import OPTIMIZE, TrainingConfig

DECODERS = ("attend", "show-tell")
REWARDS = ("none", "cider")
# What `--epochs auto` means where there are captions enough.
EPOCHS = {"train": 7, "finetune": 4}
# Few captions come by more often, until there were so many steps, but no more often than this.
STEPS = 1600
MOST_EPOCHS = 60


@dataclass(frozen=True)
class Config(TrainingConfig):
    """How to train a captioner."""

    epochs: int | str = option(
        "auto",
        "Passes over the captions; auto: 7 in --train, more where they are few, 4 over the "
        "pictures in --finetune.",
        CountOr("auto"),
    )
    decoder_epochs: int | str = option(
        "auto", "Passes over the captions before --finetune.", CountOr("auto")
    )
    batch_size: int = option(128, "Captions a step.", click.IntRange(min=1))
    learning_rate: float = option(
        1.5e-3,
        "Highest learning rate of the decoder; what is pretrained learns at a tenth of it.",
        click.FloatRange(min=0, min_open=True),
        section=OPTIMIZE,
    )
    clip: str = option(
        "global-norm:2",
        "How gradients are shortened: by their own history (auto), or value:, norm: or "
        "global-norm: and a threshold.",
        ClipBy(),
        section=OPTIMIZE,
    )
    decoder: str = option(
        "attend",
        "How it looks: anew for each word (attend), or once before the first (show-tell).",
        NearChoice(DECODERS),
    )
    backbone: str = option(
        "efficientnet_lite0", "Pretrained feature extractor; 'dlapps models' lists them."
    )
    image_size: int | str = option(
        "auto",
        "Side of the square that the network sees, pixels; auto: 224, less for smaller pictures.",
        CountOr("auto", min=32, max=1024, step=32),
    )
    min_count: int = option(
        4, "Captions that a word must stand in to be learnt.", click.IntRange(min=1)
    )
    longest: int = option(
        20, "Words of a caption at most; longer ones are cut off.", click.IntRange(min=2)
    )
    embedding: int = option(256, "Width of the vectors of words.", click.IntRange(min=1))
    units: int = option(512, "Width of the LSTM.", click.IntRange(min=1))
    attention: int = option(
        128, "Width of the network that scores places (attend).", click.IntRange(min=1)
    )
    dropout: float = option(
        0.5,
        "Part of vectors, states and contexts dropped.",
        click.FloatRange(0, 1, max_open=True),
    )
    label_smoothing: float = option(
        0.1,
        "Part of the probability that is to be spread over all words.",
        click.FloatRange(0, 1, max_open=True),
    )
    coverage: float = option(
        0.0,
        "Weight of the wish that a caption looks at every place alike (doubly stochastic "
        "attention).",
        click.FloatRange(min=0),
    )
    scheduled_sampling: float = option(
        0.0,
        "Part of the words read that are the model's own by the last epoch.",
        click.FloatRange(0, 1, max_open=True),
    )
    views: int | str = option(
        "auto",
        "Views of each picture to learn from; auto: 4, fewer if they do not fit on 4 GB of disk.",
        CountOr("auto"),
    )
    flip: str = option(
        "auto",
        "Whether views are mirrored; auto: unless captions speak of left and right.",
        NearChoice(("auto", "yes", "no")),
    )
    average: float = option(
        0.998,
        "Weight of the past in the average of the weights that is kept; 0 for the last weights.",
        click.FloatRange(0, 1, max_open=True),
    )
    unfreeze: int | str = option(
        "auto",
        "Blocks of the backbone, from the last, that --finetune adapts; auto: those of the last "
        "two grids.",
        CountOr("auto", "all"),
    )
    reward: str = option(
        "none",
        "Train on afterwards for what the captions drawn are worth, by CIDEr.",
        NearChoice(REWARDS),
    )
    reward_epochs: int = option(5, "Passes over the pictures with --reward.", click.IntRange(min=1))
    sample_every: int = option(
        1, "Epochs from one look at its captions to the next.", click.IntRange(min=1)
    )
