"""Small trainings for the tests of callbacks: whole, and broken off and gone on with."""

import contextlib

import keras
import numpy as np

from dlapps.states import read_state, write_state

BATCH = 4
STEPS = 6
_rng = np.random.default_rng(0)
X = _rng.normal(size=(BATCH * STEPS, 3)).astype(np.float32)
Y = _rng.normal(size=(BATCH * STEPS, 2)).astype(np.float32)


def network(optimizer="sgd", policy="float32", **settings):
    """Returns a compiled network for `X` and `Y`, the same each time."""
    keras.utils.set_random_seed(0)
    hidden = keras.layers.Dense(4, "tanh", bias_initializer="ones", dtype=policy, name="hidden")
    out = keras.layers.Dense(2, bias_initializer="ones", dtype=policy, name="out")
    model = keras.Sequential([keras.Input((3,)), hidden, out])
    model.compile(optimizer, "mse", **{"jit_compile": False, **settings})
    return model


def linear(optimizer=None, size=2, policy="float32", **settings):
    """Returns a compiled model whose gradient is the mean of the rows of a batch."""
    kernel = keras.layers.Dense(
        1, use_bias=False, kernel_initializer="zeros", dtype=policy, name="linear"
    )
    model = keras.Sequential([keras.Input((size,)), kernel])
    settings = {"jit_compile": False, **settings}
    model.compile(
        optimizer or keras.optimizers.SGD(1.0), lambda labels, outputs: outputs, **settings
    )
    return model


def fit(model, callbacks, epochs=1, x=X, y=Y, batch_size=BATCH, **settings):
    """Trains without chance or output; returns what each measure was in each epoch."""
    settings = {"verbose": 0, "shuffle": False, "batch_size": batch_size, **settings}
    return model.fit(x, y, epochs=epochs, callbacks=callbacks, **settings).history


class Logs(keras.callbacks.Callback):
    """Keeps the logs of each epoch, and the weights around each step."""

    def __init__(self):
        super().__init__()
        self.epochs = []
        self.steps = [[]]  # By epoch, pairs of weights before and after.

    def on_train_batch_begin(self, batch, logs=None):
        self.before = self.model.get_weights()

    def on_train_batch_end(self, batch, logs=None):
        self.steps[-1].append((self.before, self.model.get_weights()))

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(dict(logs))
        self.steps.append([])


class Poison(keras.callbacks.Callback):
    """Makes a weight no number before some of the steps, counted from 1."""

    def __init__(self, *steps):
        super().__init__()
        self.steps, self.step = steps, 0

    def on_train_batch_begin(self, batch, logs=None):
        self.step += 1
        if self.step in self.steps:
            weight = self.model.trainable_weights[0]
            weight.assign(np.full(weight.shape, np.nan))

    def get_state(self):
        return {"step": self.step}

    def set_state(self, state):
        self.step = state["step"]


class BrokenOffError(Exception):
    """Raised out of a training."""


class BreakOff(keras.callbacks.Callback):
    """Breaks a training off when so many epochs, and steps of the next, are done."""

    def __init__(self, epoch, step):
        super().__init__()
        self.point = epoch, step
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.point == (self.epoch, batch + 1):
            raise BrokenOffError

    def on_epoch_end(self, epoch, logs=None):
        if self.point == (epoch + 1, 0):
            raise BrokenOffError


class Running(keras.callbacks.Callback):
    """Gives the running measures of an epoch back, which Keras resets at its begin."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def on_epoch_begin(self, epoch, logs=None):
        for variable, value in zip(self.model.metrics_variables, self.values, strict=True):
            variable.assign(value)


def whole(model, make, epochs=4):
    """Trains at one go with the callbacks that `make` returns; returns them and the logs."""
    callbacks, logs = make(), Logs()
    fit(model, [*callbacks, logs], epochs)
    return callbacks, logs.epochs


def split(folder, model, make, epoch, step=0, epochs=4):
    """Trains as `whole` does, but goes on with new callbacks, which know but the state, once.

    Args:
        folder: Where to put the state meanwhile, as a checkpoint does.
        model: Goes on as it is, optimizer and all.
        make: Returns the callbacks.
        epoch: Epochs before the break.
        step: Steps of the next epoch before the break.
        epochs: Epochs in all.
    """
    first, logs = make(), Logs()
    with contextlib.suppress(BrokenOffError):
        fit(model, [*first, logs, BreakOff(epoch, step)], epochs)
    running = [variable.numpy() for variable in model.metrics_variables]
    states = [each.get_state() for each in first]
    write_state(folder / "state.npz", {"states": states, "running": running})
    state, second = read_state(folder / "state.npz"), make()
    for each, its in zip(second, state["states"], strict=True):
        each.set_state(its)
    if step:
        rest = {"x": X[step * BATCH :], "y": Y[step * BATCH :], "initial_epoch": epoch}
        epoch += 1
        fit(model, [Running(state["running"]), *second, logs], epoch, **rest)
    if epoch < epochs:
        fit(model, [*second, logs], epochs, initial_epoch=epoch)
    return second, logs.epochs
