import contextlib
import json
from types import SimpleNamespace

import pytest

from dlapps.callbacks.gradient_clipping import GradientClipping
from dlapps.callbacks.progress import Progress
from tests.callbacks.trainings import fit, network


@pytest.fixture
def bars():
    """Bars that keep what they were told: [title, steps, done, whether still open]."""
    kept = []

    @contextlib.contextmanager
    def bar(title, steps):
        told = [title, steps, 0, True]
        kept.append(told)

        def advance(done):
            told[2] += done

        yield advance
        told[3] = False

    bar.kept = kept
    return bar


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    hands = [100.0]
    monkeypatch.setattr(
        "dlapps.callbacks.progress.time", SimpleNamespace(perf_counter=lambda: hands[0])
    )
    return hands


def begin(progress, epoch=0, steps=None):
    progress.set_params({"steps": steps})
    progress.on_epoch_begin(epoch)
    return progress


@pytest.mark.parametrize("at_once", [1, 4, 64])
def test_each_epoch_is_a_bar_and_then_a_line(bars, at_once):
    lines = []
    progress = Progress(lines.append, bars, last=2)
    fit(network(steps_per_execution=at_once), [progress, GradientClipping(None)], epochs=2)
    assert bars.kept == [["Epoch 1/2", 6, 6, False], ["Epoch 2/2", 6, 6, False]]
    assert [line.split("  ")[0] for line in lines] == ["Epoch 1/2", "Epoch 2/2"]
    assert all("  loss " in line and line.endswith(" s") for line in lines)
    assert "gradient_norm" not in lines[0]  # Of a callback that comes later.


def test_a_line_holds_the_measures_and_the_seconds(bars, clock):
    lines = []
    progress = begin(Progress(lines.append, bars, last=9), epoch=6)
    clock[0] += 2.5
    progress.on_epoch_end(6, {"loss": 0.123456, "accuracy": 0.5})
    assert bars.kept == [["Epoch 7/9", 0, 0, False]]
    assert lines == ["Epoch 7/9  loss 0.1235  accuracy 0.5000  2.5 s"]


def test_the_steps_given_count_more_than_what_keras_says(bars):
    progress = begin(Progress(lambda line: None, bars, last=1, steps=10), steps=12)
    progress.on_train_batch_end(7)
    progress.on_train_batch_end(15)  # Of eight steps at once, the last number.
    assert bars.kept == [["Epoch 1/1", 10, 10, True]]


def test_a_training_that_ends_within_an_epoch_leaves_no_bar_open(bars):
    progress = begin(Progress(lambda line: None, bars, last=1), steps=3)
    progress.on_train_batch_end(0)
    progress.on_train_end()
    assert bars.kept == [["Epoch 1/1", 3, 1, False]]
    progress.on_train_end()


def test_an_epoch_that_was_broken_off_goes_on_where_it_was(bars, clock):
    lines = []
    first = begin(Progress(lines.append, bars, last=2, steps=10), epoch=1)
    for batch in range(4):
        first.on_train_batch_end(batch)
    clock[0] += 3
    state = json.loads(json.dumps(first.get_state()))
    first.close()
    clock[0] += 50
    second = Progress(lines.append, bars, last=2, steps=10)
    second.set_state(state)
    assert second.get_state() == state
    begin(second, epoch=1, steps=6)
    assert bars.kept == [["Epoch 2/2", 10, 4, False], ["Epoch 2/2", 10, 4, True]]
    for batch in range(6):  # Of the rest.
        second.on_train_batch_end(batch)
    clock[0] += 4
    second.on_epoch_end(1, {"loss": 1.0})
    assert bars.kept[1] == ["Epoch 2/2", 10, 10, False]
    assert lines == ["Epoch 2/2  loss 1.0000  7.0 s"]
    assert second.get_state() == {"done": 0, "spent": 0}
