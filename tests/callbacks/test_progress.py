import contextlib

import keras
import numpy as np
import pytest

from dlapps.callbacks.progress import Progress


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


def test_each_epoch_is_a_bar_and_then_a_line(bars):
    lines = []
    progress = Progress(lines.append, bars, first=1, last=2)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((12, 2), np.float32), np.ones((12, 1), np.float32)
    model.fit(x, y, batch_size=4, epochs=2, verbose=0, callbacks=[progress])
    assert bars.kept == [["Epoch 1/2", 3, 3, False], ["Epoch 2/2", 3, 3, False]]
    assert [line.split("  ")[0] for line in lines] == ["Epoch 1/2", "Epoch 2/2"]
    assert all("  loss " in line and line.endswith(" s") for line in lines)


def test_epochs_are_counted_from_the_first(bars):
    lines = []
    progress = Progress(lines.append, bars, first=5, last=9)
    progress.set_params({"steps": None})
    progress.on_epoch_begin(2)
    progress.on_epoch_end(2, {"loss": 0.123456, "learning_rate": 0.01})
    assert bars.kept == [["Epoch 7/9", 0, 0, False]]
    assert lines[0].startswith("Epoch 7/9  loss 0.1235  ")
    assert "learning_rate" not in lines[0]


def test_a_training_that_ends_within_an_epoch_leaves_no_bar_open(bars):
    progress = Progress(lambda line: None, bars, first=1, last=1)
    progress.set_params({"steps": 3})
    progress.on_epoch_begin(0)
    progress.on_train_batch_end(0)
    progress.on_train_end()
    assert bars.kept == [["Epoch 1/1", 3, 1, False]]
    progress.on_train_end()
