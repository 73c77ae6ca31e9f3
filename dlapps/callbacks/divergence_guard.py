"""Brings a training back that has run away."""

import math

import keras

from dlapps.callbacks._updates import Show, changing_weights, innermost, snapshot
from dlapps.states import Kept

ACTIONS = ("rollback", "stop", "warn")
# The share of the limit below which a state is good enough to go back to.
GOOD = 0.5
# The limit is never below this share of the loss at the start: a loss near 0 that triples is well.
FLOOR = 0.1


class DivergenceGuard(keras.callbacks.Callback):
    """Notices a loss that explodes or is no number, and goes back to where all was well.

    A loss diverges when it is not finite, or when its smoothed value exceeds `factor` times its
    baseline (the lowest smoothed value so far, but at least a tenth of the loss at the start, for
    a loss near 0 is noisy).
    "Cost above 3 times the original: stop early" is an old rule (CS231n, lecture 6); here it
    has a grace period, and goes back and on rather than stop.

    Args:
        action: "rollback" restores weights and optimizer of the last good state, cuts the
            learning rate and goes on; "stop" ends the training; "warn" only tells.
        factor: How far above the baseline is too far, above 1.
        grace: Steps at the start in which only a loss that is no number counts.
        smoothing: Weight of the past in the smoothed loss, in [0, 1).
        chance: Loss of a model that knows nothing; what is better has not diverged, as when a
            head that knows its examples by heart is fine-tuned.
        every: Steps from one good state that is kept to the next.
        cut: Factor on the learning rate at a rollback, in (0, 1).
        times: Rollbacks after which the next divergence stops the training.
        show: Called with what happened and what was done, such as `click.echo`.
    """

    def __init__(
        self,
        action: str = "rollback",
        factor: float = 3.0,
        grace: int = 50,
        smoothing: float = 0.9,
        chance: float = 0.0,
        every: int = 50,
        cut: float = 0.5,
        times: int = 3,
        show: Show | None = None,
    ):
        super().__init__()
        if action not in ACTIONS:
            raise ValueError(f"action must be one of {', '.join(ACTIONS)}, got {action!r}.")
        if factor <= 1:
            raise ValueError(f"factor must be above 1, got {factor}.")
        if not 0 <= smoothing < 1:
            raise ValueError(f"smoothing must be in [0, 1), got {smoothing}.")
        if every < 1:
            raise ValueError(f"every must be at least 1 step, got {every}.")
        if not 0 < cut < 1:
            raise ValueError(f"cut must be in (0, 1), got {cut}.")
        self.action = action
        self.factor = factor
        self.grace = grace
        self.smoothing = smoothing
        # Steps after which the smoothed loss tells more than the chance of single batches.
        self.settled = min(float(grace), 1 / (1 - smoothing))
        self.chance = chance
        self.every = every
        self.cut = cut
        self.times = times
        self.show = show or (lambda text: None)
        self.rollbacks = 0
        self.gave_up: str | None = None
        self.step = 0  # Of all epochs.
        self.first = 0  # The step at which Keras' running mean of the loss began.
        self.offset = 0  # Keras' number of the batch at which it did.
        self.mean = 0.0
        self.restart = False  # Whether the next step begins another.
        self.original = math.inf  # The loss at the start.
        self.told = False
        self.good: list | None = None
        self.candidate: list | None = None
        self._forget()

    def on_train_begin(self, logs=None):
        self.gave_up = None
        # A model that is not built yet has no weights to keep before its first step.
        if self.action == "rollback" and self.good is None and self.model.built:
            self.good = self._snapshot()

    def on_epoch_begin(self, epoch, logs=None):
        self.offset = self.step - self.first  # Not 0 where a training goes on within an epoch.

    def on_train_batch_begin(self, batch, logs=None):
        if self.restart:
            self.model.reset_metrics()
        self.restart = False

    def on_train_batch_end(self, batch, logs=None):
        # Of several steps per execution, Keras tells the last, even when the data ended before it.
        batch = min(batch, (self.params["steps"] or math.inf) - 1)
        steps = self.offset + batch + 1 - (self.step - self.first)
        loss = self._batch_loss(logs["loss"], steps)
        self.step += steps
        trouble = self._trouble(loss, steps)
        if trouble:
            self._act(trouble, batch)
        elif self.action == "rollback":
            self._keep(steps)

    def on_epoch_end(self, epoch, logs=None):
        self.first, self.offset, self.mean, self.restart = self.step, 0, 0.0, False

    def get_state(self):
        names = ("rollbacks", "step", "first", "mean", "restart", "told", "good", "candidate")
        names += ("smoothed", "weight", "lowest", "original", "since")
        return {name: getattr(self, name) for name in names}

    def set_state(self, state):
        for name, value in state.items():
            setattr(self, name, value)

    def _forget(self):
        """Begins the smoothing anew."""
        self.smoothed = 0.0
        self.weight = 0.0
        self.lowest = math.inf
        self.since = 0  # Steps smoothed over.

    def _batch_loss(self, mean, steps):
        """Returns the mean loss of the last steps; Keras' logs hold that of the epoch so far."""
        before = self.step - self.first
        total = mean * (before + steps) - self.mean * before
        self.mean = mean
        return total / steps

    def _trouble(self, loss, steps):
        if not math.isfinite(loss):
            return f"The loss is {loss}"
        past = self.smoothing**steps
        self.smoothed = past * self.smoothed + (1 - past) * loss
        self.weight = past * self.weight + (1 - past)
        self.since += steps
        smoothed = self.smoothed / self.weight
        if self.original == math.inf or self.step <= self.settled:
            self.original = min(self.original, smoothed)
        limit = self._limit()
        if self.since > self.grace and smoothed > limit:
            usual = f"{self.factor:g} times its usual {limit / self.factor:.4g}"
            if limit == self.chance:
                usual = f"the {limit:.4g} of a model that knows nothing"
            return f"The loss is {smoothed:.4g}, over {usual}"
        if self.since >= self.settled:
            self.lowest = min(self.lowest, smoothed)
        self.told = False
        return None

    def _limit(self):
        baseline = max(self.lowest, FLOOR * abs(self.original))
        return max(self.factor * baseline, self.chance)

    def _keep(self, steps):
        """Keeps the state from time to time, once the step after it has shown that it is good."""
        calm = self.smoothed / self.weight <= GOOD * self._limit() < math.inf
        if self.good is None or (self.candidate is not None and calm):
            self.good = self.candidate or self._snapshot()
        self.candidate = None
        if calm and self.step // self.every > (self.step - steps) // self.every:
            self.candidate = self._snapshot()

    def _act(self, trouble, batch):
        where = f"{trouble} at step {self.step}"
        if self.action == "warn":
            if not self.told:
                self.show(f"{where}. Training goes on.")
            self.told = True
        elif self.action == "stop" or self.good is None or self.rollbacks >= self.times:
            again = f", after {self.rollbacks} rollbacks" if self.rollbacks else ""
            self.gave_up = f"{where}{again}"
            self.model.stop_training = True
        else:
            self._roll_back(where, batch)

    def _roll_back(self, where, batch):
        self.rollbacks += 1
        optimizer = innermost(self.model.optimizer)
        rate = float(optimizer.learning_rate) * self.cut
        for variable, value in zip(self._variables(), self.good, strict=True):
            variable.assign(value)
        optimizer.learning_rate = rate
        self.candidate = None
        # The mean of the epoch holds the loss that diverged. It begins anew with the next step; if
        # there is none, the epoch is one that diverged.
        self.restart = True
        self.first, self.offset, self.mean = self.step, -(batch + 1), 0.0
        self._forget()
        self.show(
            f"{where}. Back to the last good state, with the learning rate at {rate:.3g} "
            f"(rollback {self.rollbacks} of {self.times})."
        )

    def _variables(self):
        return [*changing_weights(self.model), *self.model.optimizer.variables]

    def _snapshot(self):
        if not self.model.optimizer.built and self.model.built:
            self.model.optimizer.build(self.model.trainable_variables)
        return Kept(snapshot(self._variables()))
