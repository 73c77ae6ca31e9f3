"""The hyperparameters of the classifier, each declared once."""

from dataclasses import dataclass

import click

from dlapps.options import CountOr, NearChoice, TrainingConfig, option


@dataclass(frozen=True)
class Config(TrainingConfig):
    """How to train an image classifier."""

    epochs: int = option(30, "Passes over the features in --train.", click.IntRange(min=1))
    finetune_epochs: int = option(
        8, "Passes over the pictures in --finetune.", click.IntRange(min=1)
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
        2, "Views of each picture that the head learns from in --train.", click.IntRange(min=1)
    )
    augment: str = option(
        "light",
        "How far the views in training may differ from the pictures.",
        NearChoice(("none", "light", "standard", "strong")),
    )
    dropout: float = option(
        0.2, "Part of the features dropped in training.", click.FloatRange(0, 1, max_open=True)
    )
    weight_decay: float = option(0.01, "Pull of the weights towards zero.", click.FloatRange(min=0))
    unfreeze: int | str = option(
        "auto",
        "Blocks of the backbone, from the last, that --finetune adapts; auto goes by the size "
        "of the dataset.",
        CountOr("auto", "all"),
    )
    class_weights: bool = option(False, "Weigh rare classes up, so that all count the same.")
    init: str | None = option(None, "Trained model to start from instead of ImageNet's weights.")
