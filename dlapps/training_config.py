"""The hyperparameters that every app's training has."""

from dataclasses import dataclass

import click

from dlapps import schedules
from dlapps.options import ClipBy, CountOr, NearChoice, option

OPTIMIZERS = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw")
PRECISIONS = ("auto", "float32", "mixed_float16", "mixed_bfloat16")
# What may change when a run is resumed, because it changes nothing of what is done already.
RESUMABLE = (
    "epochs", "patience", "min_improvement", "patience_from", "time_budget", "on_divergence",
    "tensorboard", "checkpoint_seconds",
)  # fmt: skip

OPTIMIZE = "Optimize"
WATCH = "Watch and resume"


@dataclass(frozen=True)
class TrainingConfig:
    """What every app's training can be told."""

    epochs: int | str = option(10, "Passes over the data.", click.IntRange(min=1))
    batch_size: int = option(32, "Examples a step.", click.IntRange(min=1))
    validation: float = option(
        0.2,
        "Part of the data held out where it has no validation part of its own.",
        click.FloatRange(min=0, max=0.9, min_open=True),
    )
    seed: int = option(0, "Fixes the split, the views and the first weights.", click.IntRange(0))
    overfit_batches: int = option(
        0,
        "Learn only this many batches by heart, without regularisation: a model that cannot is "
        "broken. 0 for all.",
        click.IntRange(min=0),
    )
    fast_dev_run: bool = option(False, "One step of everything, to see that it works.")
    run: str | None = option(
        None, "Folder to write the run to.  [default: runs/APP/NAME-N]", click.Path(), "--run"
    )

    optimizer: str = option(
        "adamw", "How the gradients move the weights.", NearChoice(OPTIMIZERS), section=OPTIMIZE
    )
    learning_rate: float = option(
        5e-4,
        "Highest learning rate of the new parts.",
        click.FloatRange(min=0, min_open=True),
        section=OPTIMIZE,
    )
    weight_decay: float = option(
        0.01, "Pull of the weights towards zero.", click.FloatRange(min=0), section=OPTIMIZE
    )
    schedule: str = option(
        "cosine", "How the learning rate falls.", NearChoice(schedules.KINDS), section=OPTIMIZE
    )
    schedule_period: int | str = option(
        "auto",
        "Epochs to a step, to a tenth (exponential), to a half (inverse-time) or of patience "
        "(plateau); cosine ends with the training.",
        CountOr("auto"),
        section=OPTIMIZE,
    )
    schedule_drop: float = option(
        0.1,
        "Factor of a step or plateau.",
        click.FloatRange(0, 1, min_open=True, max_open=True),
        section=OPTIMIZE,
    )
    schedule_per: str = option(
        "step", "How often the learning rate is set.", NearChoice(("step", "epoch")),
        section=OPTIMIZE,
    )  # fmt: skip
    warm_up: float = option(
        0.1,
        "Part of the training in which the learning rate rises.",
        click.FloatRange(0, 1, max_open=True),
        section=OPTIMIZE,
    )
    clip: str = option(
        "none",
        "How gradients are shortened: by their own history (auto), or value:, norm: or "
        "global-norm: and a threshold.",
        ClipBy(),
        section=OPTIMIZE,
    )
    accumulate: int = option(
        1, "Steps whose gradients make one update.", click.IntRange(min=1), section=OPTIMIZE
    )
    precision: str = option(
        "auto",
        "Numbers to compute with; auto: the fastest, as measured once on this machine.",
        NearChoice(PRECISIONS),
        section=OPTIMIZE,
    )

    patience: int = option(
        0,
        "Epochs without progress after which to stop; 0 for never. The best epoch is kept anyway.",
        click.IntRange(min=0),
        section=WATCH,
    )
    min_improvement: float = option(
        0.0, "What counts as progress for --patience.", click.FloatRange(min=0), section=WATCH
    )
    patience_from: int = option(
        0, "Epochs before --patience counts.", click.IntRange(min=0), section=WATCH
    )
    time_budget: float = option(
        0.0,
        "Minutes after which to stop, each phase on its own; 0 for none.",
        click.FloatRange(min=0),
        section=WATCH,
    )
    on_divergence: str = option(
        "rollback",
        "What to do when the loss explodes or is no number: go back to the last good state with "
        "half the learning rate, stop, or only warn.",
        NearChoice(("rollback", "stop", "warn")),
        section=WATCH,
    )
    deterministic: bool = option(
        False, "The same numbers in every run, bit for bit; may be slower.", section=WATCH
    )
    tensorboard: bool = option(False, "Write RUN/tensorboard too.", section=WATCH)
    checkpoint_seconds: int = option(
        60,
        "Time from one full state saved within an epoch to the next; 0 for none. One is saved "
        "after every epoch anyway.",
        click.IntRange(min=0),
        section=WATCH,
    )

    def period(self, epochs: int) -> float:
        """Returns the period of the schedule in epochs, for a training of `epochs`."""
        if self.schedule_period == "auto" or self.schedule == "cosine":
            return schedules.auto_period(self.schedule, epochs)
        return float(self.schedule_period)
