"""The hyperparameters of the classifier, each declared once."""

from dataclasses import dataclass

import click

from dlapps.options import CountOr, NearChoice, option
from dlapps.training_config import OPTIMIZE, TrainingConfig

# What `--epochs auto` means.
EPOCHS = {"train": 30, "finetune": 14}


@dataclass(frozen=True)
class Config(TrainingConfig):
    """How to train an image classifier."""

    epochs: int | str = option(
        "auto",
        "Passes over the data; auto: 30 over the features in --train, 14 over the pictures in "
        "--finetune.",
        CountOr("auto"),
    )
    learning_rate: float = option(
        2e-3,
        "Highest learning rate of the head; what is pretrained learns at a tenth of it.",
        click.FloatRange(min=0, min_open=True),
        section=OPTIMIZE,
    )
    head_epochs: int = option(
        15, "Passes over the features before --finetune.", click.IntRange(min=1)
    )
    backbone: str = option(
        "efficientnet_lite0", "Pretrained feature extractor; 'dlapps models' lists them."
    )
    image_size: int | str = option(
        "auto",
        "Side of the square that the network sees, pixels; auto: 224, less for smaller pictures.",
        CountOr("auto", min=32, max=1024, step=32),
    )
    views: int = option(
        2, "Views of each picture that the head learns from.", click.IntRange(min=1)
    )
    augment: str = option(
        "light",
        "How far the views in training may differ from the pictures.",
        NearChoice(("none", "light", "standard", "strong")),
    )
    dropout: float = option(
        0.2, "Part of the features dropped in --train.", click.FloatRange(0, 1, max_open=True)
    )
    finetune_dropout: float = option(
        0.5,
        "The same in --finetune: a head that knows all by heart leaves the backbone nothing to "
        "learn.",
        click.FloatRange(0, 1, max_open=True),
    )
    label_smoothing: float = option(
        0.1,
        "Part of the probability that training spreads over all classes, for some labels are "
        "wrong; its loss stands above that of validation then.",
        click.FloatRange(0, 1, max_open=True),
    )
    finetune_smoothing: float = option(
        0.2,
        "The same in --finetune, whose head knows all by heart sooner.",
        click.FloatRange(0, 1, max_open=True),
    )
    average: float = option(
        0.99,
        "Weight of the past in the average of the weights that --finetune keeps; 0 for none.",
        click.FloatRange(0, 1, max_open=True),
    )
    kept_views: int = option(
        6,
        "Views of each picture whose frozen part is computed once for all epochs of --finetune, "
        "if they fit on 4 GB of disk; 0 to draw new ones in each epoch.",
        click.IntRange(min=0),
    )
    unfreeze: int | str = option(
        "auto",
        "Blocks of the backbone, from the last, that --finetune adapts; auto goes by the size "
        "of the dataset.",
        CountOr("auto", "all"),
    )
    class_weights: bool = option(False, "Weigh rare classes up, so that all count the same.")
    init: str | None = option(None, "Trained model to start from instead of ImageNet's weights.")
