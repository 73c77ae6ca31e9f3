import math

import keras
import numpy as np
import pytest

from dlapps.callbacks.best_model import BestModel


@pytest.fixture
def trained():
    """Plays a training whose weight is the number of the epoch; returns the callback and it."""

    def play(*reached, **settings):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        model.set_weights([np.full((1, 1), -1.0)])
        best = BestModel("val_accuracy", "val_loss", **settings)
        best.set_model(model)
        best.on_train_begin()
        for epoch, (accuracy, loss) in enumerate(reached):
            model.set_weights([np.full((1, 1), epoch)])
            best.on_epoch_end(epoch, {"val_accuracy": accuracy, "val_loss": loss, "loss": 0.0})
        best.on_train_end()
        return best, float(model.get_weights()[0][0, 0])

    return play


@pytest.mark.parametrize(
    ("reached", "expected"),
    [
        pytest.param([(0.1, 9), (0.9, 9), (0.5, 1)], 1, id="highest"),
        pytest.param([(0.5, 3), (0.5, 1), (0.5, 2)], 1, id="tie-lowest-loss"),
        pytest.param([(0.5, 1), (0.5, 1)], 0, id="equal-first"),
        pytest.param([(0.2, 5), (0.3, 4), (0.4, 3)], 2, id="last"),
        pytest.param([(0.5, 1), (0.4, math.nan)], 0, id="nan-later"),
    ],
)
def test_the_weights_of_the_best_epoch_come_back(trained, reached, expected):
    best, weight = trained(*reached)
    assert best.epoch == expected
    assert weight == expected


def test_an_epoch_without_a_number_is_never_the_best(trained):
    saved = []
    best, weight = trained((0.9, math.nan), (0.5, 1.0), save=lambda: saved.append(1))
    assert best.epoch == 1
    assert weight == 1
    assert len(saved) == 1


def test_saves_each_time_it_gets_better(trained):
    saved = []
    reached = [(0.1, 1), (0.3, 1), (0.2, 1), (0.3, 0.5), (0.3, 0.5), (0.9, 1)]
    trained(*reached, save=lambda: saved.append(len(saved)))
    assert len(saved) == 4


def test_no_epoch_better_than_before_gives_the_weights_from_before_back(trained):
    saved = []
    settings = {"to_beat": (0.6, 1.0), "save": lambda: saved.append(1)}
    best, weight = trained((0.5, 0.1), (0.6, 1.0), **settings)
    assert best.epoch is None
    assert weight == -1
    assert not saved


def test_an_epoch_better_than_before_is_taken(trained):
    best, weight = trained((0.5, 0.1), (0.6, 0.9), (0.1, 0.1), to_beat=(0.6, 1.0))
    assert best.epoch == 1
    assert weight == 1


def test_no_epoch_leaves_the_model_alone(trained):
    best, weight = trained()
    assert best.epoch is None
    assert weight == -1


def test_works_in_a_real_training():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 2)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["accuracy"])
    best = BestModel("val_accuracy", "val_loss")
    history = model.fit(x, y, validation_data=(x, y), epochs=4, verbose=0, callbacks=[best]).history
    reached = [*zip(history["val_accuracy"], np.negative(history["val_loss"]), strict=True)]
    assert best.epoch == reached.index(max(reached))
    after = model.evaluate(x, y, verbose=0, return_dict=True)
    assert after["accuracy"] == pytest.approx(history["val_accuracy"][best.epoch])
    assert after["loss"] == pytest.approx(history["val_loss"][best.epoch], rel=1e-4)
