"""The one way to train: compile, callbacks, fit, go on where it was."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import keras

from dlapps import interruption, optimizers, terminal
from dlapps.callbacks.activation_monitor import ActivationMonitor
from dlapps.callbacks.divergence_guard import DivergenceGuard
from dlapps.callbacks.early_stopping import EarlyStopping
from dlapps.callbacks.full_state_checkpoint import FullStateCheckpoint, TrainingStoppedError
from dlapps.callbacks.gradient_clipping import GradientClipping
from dlapps.callbacks.learning_rate_decay import LearningRateDecay
from dlapps.callbacks.progress import Progress
from dlapps.callbacks.run_recorder import RunRecorder
from dlapps.callbacks.slower_learning import SlowerLearning
from dlapps.callbacks.update_ratio_logger import UpdateRatioLogger
from dlapps.callbacks.weight_average import WeightAverage
from dlapps.errors import UserError
from dlapps.runs import Run, Stopped
from dlapps.training_config import TrainingConfig


class Batches(Protocol):
    """Where a training gets its batches from."""

    steps: int

    def seek(self, epoch: int, step: int = 0) -> None:
        """Makes the dataset begin at another place."""

    @property
    def dataset(self) -> Any:
        """What `keras.Model.fit` takes as `x`, one epoch a pass."""

    def input_seconds(self) -> float | None:
        """Returns for how long the model has waited for batches since last asked, if known."""


@dataclass(frozen=True)
class Phase:
    """One stretch of training with one optimizer.

    Args:
        name: What it is called in `history.csv`.
        epochs: Passes over the data.
        learning_rate: The highest rate.
        weight_decay: Part of each weight that an update of rate 1 would take away.
        measure: A name in the logs that tells which epoch is best.
        higher_is_better: Whether more of it is better.
        chance: Loss of a model that knows nothing; what is better has not diverged.
        average: Weight of the past in the average of the weights that is validated and kept; 0 for
            the last weights.
        steps_at_once: Steps that run without a look from Python; more are faster where each is
            short.
    """

    name: str
    epochs: int
    learning_rate: float
    weight_decay: float = 0.0
    measure: str = "val_loss"
    higher_is_better: bool = False
    chance: float = 0.0
    average: float = 0.0
    steps_at_once: int = 1


def fit(
    model: keras.Model,
    phase: Phase,
    run: Run,
    config: TrainingConfig,
    data: Batches,
    validation: Any,
    *,
    loss: Any = None,
    metrics: Sequence[keras.metrics.Metric] = (),
    trackers: Sequence[keras.metrics.Metric] = (),
    look_at: Any = None,
    slow: Sequence[keras.Variable] = (),
    save: Callable[[], None] | None = None,
    to_beat: Mapping[str, Any] | None = None,
    watching: Mapping[str, keras.callbacks.Callback] | None = None,
    more: Mapping[str, keras.callbacks.Callback] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Trains for one phase and leaves the model with the weights of its best epoch.

    A phase that an earlier session has begun goes on where it was.

    Args:
        model: What to train, built.
        phase: For how long and how fast.
        run: Where to write what happens.
        config: The rest of how.
        data: The batches to learn from.
        validation: What `keras.Model.fit` takes as `validation_data`.
        loss: What `compile` takes, or None for a model with its own loss.
        metrics: What `compile` takes.
        trackers: Metrics that a model with its own loss keeps by itself.
        look_at: A few examples, as the model's call takes them, to watch its activations on.
        slow: Weights that were pretrained and learn at a tenth of the rate of the others.
        save: Called whenever an epoch is the best so far.
        to_beat: The measures of the model as it comes; if no epoch is better, it stays so.
        watching: Callbacks of the app that add measures to the logs, by name; called before those
            that record and judge them.
        more: Callbacks of the app by name, each with `get_state` and `set_state`, to be called
            after the others.
        settings: More of `keras.Model.fit`, such as `class_weight`.

    Returns:
        The measures of the best epoch, `phase` and `epoch` (from 1) among them; `to_beat` if no
        epoch was better.

    Raises:
        UserError: If the training diverges for good.
        Stopped: If the user stops it.
    """
    _compile(model, phase, config, loss, metrics)
    companions = _companions(phase, run, config, data, look_at, save, to_beat, watching or {})
    companions |= dict(more or {})
    if slow:  # First, so that the others see what comes of it.
        companions = {"slow": SlowerLearning(slow), **companions}
    with interruption.polled() as asked:
        checkpoint = _checkpoint(companions, phase, run, config, data, [*metrics, *trackers], asked)
        if run.state and run.state["note"]["phase"] == phase.name:
            _go_on(checkpoint, model, run.state, phase)
        data.seek(checkpoint.epoch, checkpoint.step)
        epochs = checkpoint.epoch if _is_over(companions["stopping"]) else phase.epochs
        _fit(model, epochs, run, data, validation, companions, checkpoint, settings)
    best = _best(phase, companions, to_beat)
    run.update(phases={**run.phases, phase.name: best})
    if how := asked():  # After the last epoch.
        raise Stopped(how, run)
    return best


def _compile(
    model: keras.Model, phase: Phase, config: TrainingConfig, loss: Any,
    metrics: Sequence[keras.metrics.Metric],
) -> None:  # fmt: skip
    optimizer = optimizers.optimizer(
        config.optimizer, phase.learning_rate, phase.weight_decay, config.accumulate
    )
    # XLA makes convolutions on a CPU 30 times slower, so it is never chosen here.
    model.compile(
        optimizer, loss, metrics=[*metrics] or None, jit_compile=False,
        steps_per_execution=phase.steps_at_once,
    )  # fmt: skip
    # TensorFlow traces a step that makes variables twice, which takes many seconds.
    model.optimizer.build(model.trainable_variables)


def _best(
    phase: Phase, companions: Mapping[str, Any], to_beat: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Returns the measures of the best epoch, or of the model as it came."""
    stopping, guard = companions["stopping"], companions["guard"]
    if guard.gave_up:
        raise UserError(
            f"{guard.gave_up} of phase '{phase.name}'. "
            f"Its learning rate was {phase.learning_rate:g}; try a tenth of --learning-rate."
        )
    if stopping.epoch is None and not to_beat:
        raise UserError(
            f"{phase.measure} was no number in any epoch of phase '{phase.name}'. Its learning "
            f"rate was {phase.learning_rate:g}; try a tenth of --learning-rate."
        )
    if stopping.epoch is None:
        return dict(to_beat or {})
    return {"phase": phase.name, "epoch": stopping.epoch + 1, **stopping.best_logs}


def _is_over(stopping: EarlyStopping) -> bool:
    """Returns whether an earlier session has stopped the phase before its last epoch."""
    impatient = stopping.patience is not None and stopping.waited >= stopping.patience
    return impatient or (stopping.seconds is not None and stopping.spent >= stopping.seconds)


def _fit(
    model: keras.Model, epochs: int, run: Run, data: Batches, validation: Any,
    companions: Mapping[str, Any], checkpoint: FullStateCheckpoint, settings: Mapping[str, Any],
) -> None:  # fmt: skip
    try:
        model.fit(
            data.dataset, validation_data=validation, initial_epoch=checkpoint.epoch,
            epochs=epochs, verbose=0, shuffle=False,
            callbacks=[*companions.values(), checkpoint], **settings,
        )  # fmt: skip
    except TrainingStoppedError as stop:
        raise Stopped(str(stop), run) from stop
    finally:
        companions["progress"].close()


def _go_on(
    checkpoint: FullStateCheckpoint, model: keras.Model, state: dict[str, Any], phase: Phase
) -> None:
    try:
        checkpoint.restore(model, state)
    except ValueError as error:
        raise UserError(f"The state of the run does not fit its options: {error}") from error
    done = f"epoch {checkpoint.epoch + 1}"
    if checkpoint.step:
        done += f", step {checkpoint.step + 1}"
    if checkpoint.epoch < phase.epochs:
        terminal.note(f"Going on with phase '{phase.name}' at {done} of {phase.epochs} epochs.")


def _companions(
    phase: Phase, run: Run, config: TrainingConfig, data: Batches, look_at: Any,
    save: Callable[[], None] | None, to_beat: Mapping[str, Any] | None,
    watching: Mapping[str, keras.callbacks.Callback],
) -> dict[str, Any]:  # fmt: skip
    """Returns all callbacks but the checkpoint, in order: those that add to the logs first."""
    by, threshold = optimizers.clipping(config.clip)
    clipping, ratios = GradientClipping(by, threshold), UpdateRatioLogger()
    monitors = {"clipping": clipping, "ratios": ratios}
    if phase.average:
        monitors["average"] = WeightAverage(phase.average)
    if look_at is not None:
        monitors["activations"] = ActivationMonitor(look_at)
    return {
        "progress": Progress(terminal.note, terminal.progress, phase.epochs, data.steps),
        "rate": decay(config, phase, data.steps),
        "guard": DivergenceGuard(config.on_divergence, chance=phase.chance, show=terminal.note),
        **monitors,
        **watching,
        "recorder": RunRecorder(
            run.folder / "history.csv",
            phase.name,
            layers=[monitors[name] for name in ("ratios", "activations") if name in monitors],
            input_seconds=data.input_seconds,
            tensorboard=run.folder / "tensorboard" if config.tensorboard else None,
        ),
        "stopping": EarlyStopping(
            phase.measure,
            phase.higher_is_better,
            tie="val_loss",
            patience=config.patience or None,
            min_improvement=config.min_improvement,
            warm_up=config.patience_from,
            seconds=60 * config.time_budget or None,
            save=save,
            to_beat=dict(to_beat) if to_beat else None,
            show=terminal.note,
        ),
    }


def decay(config: TrainingConfig, phase: Phase, steps: int | None = None) -> LearningRateDecay:
    """Returns the schedule of a phase.

    Args:
        config: Which.
        phase: How long it is, and how fast it may learn.
        steps: Batches an epoch, if known.
    """
    return LearningRateDecay(
        config.schedule, phase.learning_rate, config.period(phase.epochs), config.schedule_drop,
        config.warm_up * phase.epochs, config.schedule_per, steps,
        phase.measure, phase.higher_is_better, terminal.note,
    )  # fmt: skip


def _checkpoint(
    companions: Mapping[str, keras.callbacks.Callback], phase: Phase, run: Run,
    config: TrainingConfig, data: Batches, metrics: Sequence[keras.metrics.Metric],
    asked: Callable[[], str | None],
) -> FullStateCheckpoint:  # fmt: skip
    return FullStateCheckpoint(
        run.checkpoint,
        companions,
        metrics,
        seconds=config.checkpoint_seconds or None,
        steps=data.steps,
        note={"phase": phase.name, "options": json.loads(json.dumps(run.record["options"]))},
        stop=asked,
        show=terminal.note,
    )
