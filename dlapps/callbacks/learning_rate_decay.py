"""Lowers the learning rate as training goes on."""

import math

import keras
import numpy as np

from dlapps.callbacks._updates import Show, innermost
from dlapps.schedules import KINDS, scheduled_rate


class LearningRateDecay(keras.callbacks.Callback):
    """Sets the learning rate by a schedule, for every step or every epoch.

    A rate that another callback changes meanwhile, such as `DivergenceGuard`, is taken as a
    factor on everything that follows. With `steps_per_execution` the rate holds for as many steps.

    Args:
        kind: With t in epochs since the warm-up: "constant"; "step", rate * drop^floor(t/period);
            "exponential", rate * 10^(-t/period) (Senior et al. 2013,
            https://doi.org/10.1109/ICASSP.2013.6638963); "inverse-time", rate / (1 + t/period);
            "cosine", half a cosine that ends at 0 after `period` epochs from the start
            (https://arxiv.org/abs/1608.03983); "plateau", rate * drop each time that `measure`
            has not improved for `period` epochs.
        rate: The highest learning rate.
        period: Epochs, above 0.
        drop: Factor of "step" and "plateau", in (0, 1).
        warm_up: Epochs in which the rate rises along a line (https://arxiv.org/abs/1706.02677).
        per: "step" or "epoch".
        steps: Steps an epoch; None to take what Keras says.
        measure: For "plateau", a name in the logs.
        higher_is_better: For "plateau", what improving means.
        show: Called with a line when "plateau" lowers the rate, such as `click.echo`.
    """

    def __init__(
        self,
        kind: str,
        rate: float,
        period: float,
        drop: float = 0.1,
        warm_up: float = 0.0,
        per: str = "step",
        steps: int | None = None,
        measure: str = "val_loss",
        higher_is_better: bool = False,
        show: Show | None = None,
    ):
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}.")
        if per not in ("step", "epoch"):
            raise ValueError(f"per must be 'step' or 'epoch', got {per!r}.")
        if rate <= 0 or period <= 0:
            raise ValueError(f"rate and period must be above 0, got {rate} and {period}.")
        if not 0 < drop < 1:
            raise ValueError(f"drop must be in (0, 1), got {drop}.")
        if warm_up < 0:
            raise ValueError(f"warm_up must not be negative, got {warm_up}.")
        if kind == "cosine" and warm_up >= period:
            raise ValueError(
                f"warm_up must be below the period of a cosine, got {warm_up} and {period}."
            )
        self.kind = kind
        self.rate = rate
        self.period = period
        self.drop = drop
        self.warm_up = warm_up
        self.per = per
        self.steps = steps
        self.measure = measure
        self.sign = 1 if higher_is_better else -1
        self.show = show
        self.done = 0  # Steps of this epoch.
        self.before = 0  # Of them, those before this call of fit.
        self.epoch = 0
        self.scale = 1.0
        self.set_last: float | None = None
        self.best = -math.inf
        self.waited = 0

    def on_train_begin(self, logs=None):
        moves = self.warm_up or self.kind not in ("constant", "plateau")
        if moves and self.per == "step" and not self._steps():
            raise ValueError("steps must be given, for Keras does not know how many an epoch has.")

    def on_epoch_begin(self, epoch, logs=None):
        self.before = self.done
        self.epoch = epoch
        self._set()

    def on_train_batch_begin(self, batch, logs=None):
        if self.per == "step":
            self._set()

    def on_train_batch_end(self, batch, logs=None):
        self.done = self.before + batch + 1

    def on_epoch_end(self, epoch, logs=None):
        self.done = self.before = 0
        self.epoch = epoch + 1
        if self.kind != "plateau" or epoch + 1 < self.warm_up:
            return
        if self.measure not in (logs or {}):
            raise ValueError(f"There is no measure {self.measure!r}; there are {', '.join(logs)}.")
        self.waited += 1
        if self.sign * logs[self.measure] > self.best:
            self.best = self.sign * logs[self.measure]
            self.waited = 0
        if self.waited >= self.period:
            self.waited = 0
            self.scale *= self.drop
            if self.show is not None:
                self.show(f"{self.measure} has not improved; learning rate times {self.drop:g}.")

    def get_state(self):
        names = ("done", "epoch", "scale", "set_last", "best", "waited")
        return {name: getattr(self, name) for name in names}

    def set_state(self, state):
        for name, value in state.items():
            setattr(self, name, value)

    def _read(self):
        """Takes a change of the rate by somebody else as a factor."""
        now = float(innermost(self.model.optimizer).learning_rate)
        if self.set_last and not math.isclose(now, self.set_last, rel_tol=1e-5):
            self.scale *= now / self.set_last

    def _steps(self):
        return self.steps or self.params.get("steps")

    def _set(self):
        self._read()
        tick = 1.0
        if self.per == "step":
            tick /= self._steps() or 1
        rate = scheduled_rate(
            self.epoch + tick * self.done if self.per == "step" else self.epoch,
            self.kind, self.rate, self.period, self.drop, self.warm_up, tick,
        )  # fmt: skip
        # As the variable holds it, without the time that reading it back takes.
        self.set_last = float(np.float32(rate * self.scale))
        innermost(self.model.optimizer).learning_rate = self.set_last
