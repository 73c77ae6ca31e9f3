"""The hyperparameters of the detector, each declared once."""

from dataclasses import dataclass

import click

from dlapps.options import ClipBy, CountOr, NearChoice, option
from dlapps.training_config import OPTIMIZE, TrainingConfig

# What a trained model that is gone on with has settled.
NETWORK = ("backbone", "width", "depth")
# What `--epochs auto` means: those of the last phase.
EPOCHS = {"train": 40, "finetune": 40}


@dataclass(frozen=True)
class Config(TrainingConfig):
    """How to train a detector."""

    epochs: int | str = option(
        "auto",
        "Passes over the data; auto: 40.",
        CountOr("auto"),
    )
    batch_size: int = option(16, "Pictures a step.", click.IntRange(min=1))
    learning_rate: float = option(
        3e-3,
        "Highest learning rate of neck and heads; what is pretrained learns at a tenth of it.",
        click.FloatRange(min=0, min_open=True),
        section=OPTIMIZE,
    )
    clip: str = option(
        "global-norm:10",
        "How gradients are shortened: by their own history (auto), or value:, norm: or "
        "global-norm: and a threshold.",
        ClipBy(),
        section=OPTIMIZE,
    )
    head_epochs: int = option(
        5, "Passes with a frozen backbone before --finetune.", click.IntRange(min=1)
    )
    backbone: str = option(
        "efficientnet_lite0", "Pretrained feature extractor; 'dlapps models' lists them."
    )
    image_size: int | str = option(
        "auto",
        "Longer side of what the network sees, pixels; auto: 320, more where things are small.",
        CountOr("auto", min=64, max=1536, step=32),
    )
    multi_scale: bool = option(
        False, "Learn at sizes from three quarters to five quarters of --image-size."
    )
    width: int = option(
        64, "Channels of the neck's finest grid, a multiple of 4.", CountOr(min=8, step=4)
    )
    depth: int = option(1, "Pairs of convolutions in each block of the neck.", click.IntRange(1))
    augment: str = option(
        "standard",
        "How far the views in training may differ from the pictures; overhead: standard, for what "
        "has no up.",
        NearChoice(("none", "light", "standard", "strong", "overhead")),
    )
    no_flip: bool = option(False, "Keep left and right apart, as in writing.")
    average: float = option(
        0.99,
        "Weight of the past in the average of the weights that is measured and kept; 0 for none.",
        click.FloatRange(0, 1, max_open=True),
    )
    unfreeze: int | str = option(
        "auto",
        "Blocks of the backbone, from the last, that --finetune adapts; auto: those from stride 8 "
        "on, for the first ones see edges alone and cost the most.",
        CountOr("auto", "all"),
    )
