"""The one way to train: compile, callbacks, fit, save."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from dlapps import terminal
from dlapps.callbacks.best_model import BestModel
from dlapps.callbacks.progress import Progress
from dlapps.callbacks.run_recorder import RunRecorder
from dlapps.errors import UserError
from dlapps.runs import Run

# Steps of warm-up: from nothing to the full rate in a tenth of the first phase's steps.
WARM_UP = 0.1


@dataclass(frozen=True)
class Phase:
    """One stretch of training with one optimizer.

    Args:
        name: What it is called in `history.csv`.
        epochs: Passes over the data.
        steps: Batches a pass.
        learning_rate: The highest rate; it warms up to it and falls to 0 along a cosine.
        weight_decay: Part of each weight that an update of rate 1 would take away.
    """

    name: str
    epochs: int
    steps: int
    learning_rate: float
    weight_decay: float = 0.0


def fit(
    model: keras.Model,
    phase: Phase,
    run: Run,
    data: Any,
    validation: Any,
    save: Callable[[], None] | None = None,
    to_beat: dict[str, Any] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Trains for one phase and leaves the model with the weights of its best epoch.

    Args:
        model: What to train.
        phase: For how long and how fast.
        run: Where to write the history.
        data: What `keras.Model.fit` takes as `x`: a dataset of batches, or `(x, y)` arrays.
        validation: The same for validation.
        save: Called whenever an epoch is the best so far.
        to_beat: The measures of the model as it comes; if no epoch is better, it stays so.
        settings: More of `keras.Model.fit`, such as `batch_size` and `class_weight`.

    Returns:
        The measures of the best epoch, `phase` and `epoch` (from 1) among them; `to_beat` if no
        epoch was better.

    Raises:
        UserError: If the loss is no longer a number.
    """
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    # XLA makes convolutions on a CPU 30 times slower, so it is never chosen here.
    model.compile(_optimizer(phase), loss=loss, metrics=[accuracy], jit_compile=False)
    beat = (to_beat["val_accuracy"], to_beat["val_loss"]) if to_beat else None
    best = BestModel("val_accuracy", "val_loss", save, beat)
    callbacks = [
        _stop_at_nan(model),
        best,
        RunRecorder(run.folder / "history.csv", phase.name),
        Progress(terminal.note, terminal.progress, 1, phase.epochs),
    ]
    x, y = data if isinstance(data, tuple) else (data, None)
    # A dataset brings its own order, anew in each epoch.
    settings = {"shuffle": y is not None, **settings}
    history = model.fit(
        x, y, validation_data=validation, epochs=phase.epochs, verbose=0, callbacks=callbacks,
        **settings,
    ).history  # fmt: skip
    if not all(math.isfinite(value) for value in history["loss"]):
        raise UserError(
            f"The loss is no longer a number in phase '{phase.name}'. "
            f"Its learning rate was {phase.learning_rate:g}; try a tenth of --learning-rate."
        )
    if best.epoch is None:
        terminal.note(f"No epoch of phase '{phase.name}' was better; the model from before stays.")
        return to_beat or {}
    measures = {name: float(values[best.epoch]) for name, values in history.items()}
    return {"phase": phase.name, "epoch": best.epoch + 1, **measures}


def _stop_at_nan(model: keras.Model) -> keras.callbacks.Callback:
    """Returns a callback that ends the training when the loss is no longer a number."""

    def look(batch: int, logs: dict[str, float]) -> None:
        # Keras' own callback for this prints to standard output, which is for results.
        model.stop_training = model.stop_training or not math.isfinite(logs["loss"])

    return keras.callbacks.LambdaCallback(on_train_batch_end=look)


def _optimizer(phase: Phase) -> keras.optimizers.Optimizer:
    """Returns AdamW whose rate warms up and then falls along a cosine."""
    total = phase.epochs * phase.steps
    warm_up = max(1, math.ceil(WARM_UP * total)) if total > 10 else 0
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0 if warm_up else phase.learning_rate,
        max(1, total - warm_up),
        warmup_target=phase.learning_rate if warm_up else None,
        warmup_steps=warm_up,
    )
    return keras.optimizers.AdamW(schedule, weight_decay=phase.weight_decay)
