import random

import keras
import numpy as np
import pytest

from dlapps.callbacks import full_state_checkpoint
from dlapps.callbacks.early_stopping import EarlyStopping
from dlapps.callbacks.full_state_checkpoint import FullStateCheckpoint, TrainingStoppedError
from dlapps.callbacks.learning_rate_decay import LearningRateDecay
from dlapps.data.array_batches import ArrayBatches
from dlapps.states import read_state

RNG = np.random.default_rng(0)
X = RNG.normal(size=(11, 3)).astype(np.float32)
Y = X.sum(axis=1, keepdims=True)
STEPS = 3
EPOCHS = 3


def compiled(units=6, optimizer="adam"):
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(units, "relu"), keras.layers.Dropout(0.4)]
    model = keras.Sequential([keras.Input((3,)), *hidden, keras.layers.Dense(1)])
    measures = [keras.metrics.MeanAbsoluteError(name="error")]
    # Eagerly, for a step is compiled as long as a hundred of these take.
    model.compile(optimizer, "mse", metrics=measures, run_eagerly=True)
    return model, measures


def asked(*times):
    """Answers "enough" the given times that it is asked, counted from 1."""
    answers = iter(range(1, 1000))
    return lambda: "enough" if next(answers) in times else None


class Draws(keras.callbacks.Callback):
    """Draws two random numbers an epoch into the logs."""

    def on_epoch_end(self, epoch, logs=None):
        logs |= {"python": random.random(), "numpy": np.random.uniform()}


def play(path, state=None, others=(), companions=None, **settings):
    """Trains, or goes on from a state; returns the weights, and the logs of each epoch."""
    model, measures = compiled()
    decay = LearningRateDecay("cosine", 0.1, EPOCHS, steps=STEPS)
    settings = {"seconds": None, "steps": STEPS, **settings}
    companions = {"decay": decay, **(companions or {})}
    checkpoint = FullStateCheckpoint(path, companions, measures, **settings)
    if state is not None:
        checkpoint.restore(model, state)
    data = ArrayBatches(X, Y, 4, seed=0)
    data.seek(checkpoint.epoch, checkpoint.step)
    history = model.fit(
        data.dataset,
        initial_epoch=checkpoint.epoch,
        epochs=EPOCHS,
        callbacks=[decay, Draws(), *others, checkpoint],
        verbose=0,
        shuffle=False,
    )
    rows = zip(*history.history.values(), strict=True)
    logs = dict(zip(history.epoch, rows, strict=True))
    return model.get_weights(), logs


def assert_same(one, other):
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory):
    """Weights and logs of a training that ran through, and the last state."""
    path = tmp_path_factory.mktemp("whole") / "state.npz"
    return *play(path), read_state(path)


@pytest.mark.parametrize("step", range(1, STEPS * EPOCHS))
def test_stopped_at_any_step_and_resumed_it_ends_as_if_never_stopped(never_stopped, tmp_path, step):
    path = tmp_path / "state.npz"
    with pytest.raises(TrainingStoppedError, match="enough"):
        play(path, stop=asked(step))
    state = read_state(path)
    assert (state["epoch"], state["step"]) == divmod(step, STEPS)
    weights, logs = play(path, state)
    assert_same(weights, never_stopped[0])
    assert logs == {k: row for k, row in never_stopped[1].items() if k in logs}
    assert [*logs] == [*range(state["epoch"], EPOCHS)]


def test_stopped_after_every_single_step_it_ends_as_if_never_stopped(never_stopped, tmp_path):
    path, state = tmp_path / "state.npz", None
    for _ in range(STEPS * EPOCHS):
        with pytest.raises(TrainingStoppedError):
            play(path, state, stop=asked(1))
        state = read_state(path)
    assert (state["epoch"], state["step"]) == (EPOCHS, 0)
    np.testing.assert_equal(state, never_stopped[2])
    weights, logs = play(path, state)
    assert_same(weights, never_stopped[0])
    assert not logs  # There is no epoch left.


def test_a_training_that_died_goes_on_from_the_last_epoch(never_stopped, tmp_path):
    def die(batch, logs):
        if next(steps) == 2 * STEPS + 1:
            raise MemoryError

    steps, path = iter(range(100)), tmp_path / "state.npz"
    with pytest.raises(MemoryError):
        play(path, others=[keras.callbacks.LambdaCallback(on_train_batch_end=die)])
    state = read_state(path)
    assert (state["epoch"], state["step"]) == (2, 0)
    weights, logs = play(path, state)
    assert_same(weights, never_stopped[0])
    assert logs == {2: never_stopped[1][2]}


@pytest.mark.parametrize(
    ("hook", "last"),
    [
        pytest.param("on_epoch_end", 1, id="after-an-epoch"),
        pytest.param("on_train_batch_end", STEPS - 1, id="at-its-last-step"),
    ],
)
def test_the_end_of_an_epoch_is_no_reason_to_stop_but_those_of_others_are(tmp_path, hook, last):
    def stop(number, logs):
        if number == last:
            callback.model.stop_training = True

    callback = keras.callbacks.LambdaCallback(**{hook: stop})
    _, logs = play(tmp_path / "state.npz", others=[callback])
    assert [*logs] == ([0, 1] if hook == "on_epoch_end" else [0])


def counted_saves(monkeypatch, path, **settings):
    saved = []
    monkeypatch.setattr(
        full_state_checkpoint,
        "write_state",
        lambda path, state: saved.append((state["epoch"], state["step"])),
    )
    play(path, **settings)
    return saved


def test_a_state_is_saved_after_every_epoch(monkeypatch, tmp_path):
    assert counted_saves(monkeypatch, tmp_path / "a.npz") == [(1, 0), (2, 0), (3, 0)]


def test_within_an_epoch_a_state_is_saved_when_enough_time_has_passed(monkeypatch, tmp_path):
    steps = [divmod(step, STEPS) for step in range(1, STEPS * EPOCHS + 1)]
    path = tmp_path / "a.npz"
    assert counted_saves(monkeypatch, path, seconds=0.0) == steps
    assert counted_saves(monkeypatch, path, seconds=1e6) == [(1, 0), (2, 0), (3, 0)]


def test_what_was_noted_comes_back(tmp_path):
    path = tmp_path / "made/on/the/way/state.npz"
    play(path, note={"phase": "head", "options": {"seed": 3}})
    assert read_state(path)["note"] == {"phase": "head", "options": {"seed": 3}}


def test_a_full_disk_is_told_and_leaves_the_state_before(never_stopped, monkeypatch, tmp_path):
    def full(file, header):
        write_header(file, header)
        if len(said) < 1 and (tmp_path / "state.npz").exists():
            raise OSError(28, "No space left on device")

    write_header, said = np.lib.format.write_array_header_1_0, []
    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", full)
    path = tmp_path / "state.npz"
    epochs = []

    def look(epoch, logs):
        epochs.append(read_state(path)["epoch"] if path.exists() else 0)

    look_back = keras.callbacks.LambdaCallback(on_epoch_begin=look)
    weights, _ = play(path, show=said.append, others=[look_back])
    assert said == [f"{path} could not be saved: No space left on device. The one before stays."]
    assert epochs == [0, 1, 1]
    assert_same(weights, never_stopped[0])
    assert read_state(path)["epoch"] == 3
    assert [each.name for each in tmp_path.iterdir()] == ["state.npz"]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        pytest.param({"units": 5}, "weights of other shapes", id="model"),
        pytest.param({"optimizer": "sgd"}, "variables of the optimizer of other", id="optimizer"),
    ],
)
def test_a_state_of_another_training_is_refused(never_stopped, tmp_path, other, message):
    model, measures = compiled(**other)
    checkpoint = FullStateCheckpoint(tmp_path / "a.npz", metrics=measures)
    with pytest.raises(ValueError, match=message):
        checkpoint.restore(model, never_stopped[2])


def test_a_state_of_other_callbacks_is_refused(never_stopped, tmp_path):
    model, measures = compiled()
    checkpoint = FullStateCheckpoint(tmp_path / "a.npz", {"guard": None}, measures)
    with pytest.raises(ValueError, match=r"companions must be .* but decay, guard differ\."):
        checkpoint.restore(model, never_stopped[2])


def test_what_another_callback_keeps_is_not_written_anew_with_every_state(tmp_path):
    def look(epoch, logs):
        kept.append([each.stat().st_ino for each in tmp_path.glob("state.kept-*.npz")])

    kept, path = [], tmp_path / "state.npz"
    stopping = EarlyStopping("rank", higher_is_better=True)
    rank = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: logs.update(rank=[1.0, 0.5, 2.0][epoch])
    )
    look_back = keras.callbacks.LambdaCallback(on_epoch_begin=look)
    others = [rank, stopping, look_back]
    play(path, companions={"stopping": stopping}, others=others)
    look(EPOCHS, {})
    assert [len(each) for each in kept] == [0, 1, 1, 1]
    assert kept[1] == kept[2]
    assert kept[2] != kept[3]
    assert_same(read_state(path)["callbacks"]["stopping"]["weights"], stopping.weights)
