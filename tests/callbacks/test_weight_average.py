import keras
import numpy as np
import pytest

from dlapps.callbacks.early_stopping import EarlyStopping
from dlapps.callbacks.full_state_checkpoint import FullStateCheckpoint
from dlapps.callbacks.weight_average import WeightAverage
from dlapps.states import read_state

X = np.linspace(-1, 1, 8, dtype=np.float32)[:, None]
Y = 3 * X


def made():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.3), "mse")
    return model


def settings(epochs, callbacks, **more):
    return {
        "x": X, "y": Y, "batch_size": 4, "epochs": epochs, "shuffle": False, "verbose": 0,
        "validation_data": (X, Y), "callbacks": callbacks, **more,
    }  # fmt: skip


class Steps(keras.callbacks.Callback):
    """Keeps the weights before each step and after the last of an epoch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(np.concatenate([w.ravel() for w in self.model.get_weights()]))


def averaged(start, seen, decay):
    average = start
    for step, weights in enumerate(seen, 1):
        share = min(decay, (1 + step) / (10 + step))
        average = share * average + (1 - share) * weights
    return average


def flat(model):
    return np.concatenate([w.ravel() for w in model.get_weights()])


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.99])
def test_ends_with_the_average_of_the_weights_of_all_steps(decay):
    model, steps = made(), Steps()
    start = flat(model)
    model.fit(**settings(3, [WeightAverage(decay), steps]))
    assert flat(model) == pytest.approx(averaged(start, steps.seen, decay), rel=1e-5)


def test_training_goes_on_from_the_last_weights():
    plain, with_average = Steps(), Steps()
    made().fit(**settings(3, [plain]))
    made().fit(**settings(3, [WeightAverage(0.9), with_average]))
    assert np.array_equal(plain.seen, with_average.seen)


def test_validation_and_early_stopping_see_the_average():
    model, steps = made(), Steps()
    start = flat(model)
    stopping = EarlyStopping("val_loss")
    history = model.fit(**settings(1, [WeightAverage(0.9), steps, stopping])).history
    average = averaged(start, steps.seen, 0.9)
    loss = np.mean((X * average[0] + average[1] - Y) ** 2)
    assert history["val_loss"][0] == pytest.approx(loss, rel=1e-5)
    assert np.concatenate([w.ravel() for w in stopping.weights]) == pytest.approx(average, rel=1e-5)


def test_a_training_split_in_two_ends_as_one_never_split(tmp_path):
    whole = made()
    whole.fit(**settings(4, [WeightAverage(0.9)]))
    model, average = made(), WeightAverage(0.9)
    checkpoint = FullStateCheckpoint(tmp_path / "state.npz", {"average": average})
    model.fit(**settings(2, [average, checkpoint]))
    again, average = made(), WeightAverage(0.9)
    checkpoint = FullStateCheckpoint(tmp_path / "state.npz", {"average": average})
    checkpoint.restore(again, read_state(tmp_path / "state.npz"))
    again.fit(**settings(4, [average, checkpoint], initial_epoch=checkpoint.epoch))
    assert np.array_equal(flat(whole), flat(again))


def test_a_step_that_is_no_number_does_not_stay_in_the_average():
    model = made()
    average = WeightAverage(0.9)

    class Poison(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if self.model.optimizer.iterations == 1:
                self.kept = self.model.get_weights()
                self.model.set_weights([np.full_like(w, np.nan) for w in self.kept])

        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations == 2:
                self.model.set_weights(self.kept)

    model.fit(**settings(2, [average, Poison()]))
    assert np.all(np.isfinite(flat(model)))


def normalised(trainable=True):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(3), keras.layers.BatchNormalization(momentum=0.5)]
    model = keras.Sequential([keras.Input((1,)), *layers, keras.layers.Dense(1)])
    layers[1].trainable = trainable
    model.compile(keras.optimizers.SGD(0.05), "mse")
    return model


def test_statistics_are_averaged_with_the_weights():
    model, steps = normalised(), Steps()
    start = flat(model)
    model.fit(**settings(3, [WeightAverage(0.9), steps]))
    assert flat(model) == pytest.approx(averaged(start, steps.seen, 0.9), rel=1e-5)
    assert np.abs(flat(model) - steps.seen[-1]).max() > 0.01


def test_statistics_are_given_back_for_training():
    plain, with_average = Steps(), Steps()
    normalised().fit(**settings(3, [plain]))
    normalised().fit(**settings(3, [WeightAverage(0.9), with_average]))
    assert np.array_equal(plain.seen, with_average.seen)


def test_what_is_frozen_is_left_alone():
    model = normalised(trainable=False)
    frozen = model.layers[1]

    class Change(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            frozen.set_weights([weight + 1 for weight in frozen.get_weights()])

    before = frozen.get_weights()
    model.fit(**settings(3, [WeightAverage(0.9), Change()]))
    for old, new in zip(before, frozen.get_weights(), strict=True):
        np.testing.assert_allclose(new, old + 6)


def test_statistics_are_the_same_after_a_training_split_in_two(tmp_path):
    whole = normalised()
    whole.fit(**settings(4, [WeightAverage(0.9)]))
    ends = normalised(), normalised()
    for model, epochs in zip(ends, (2, 4), strict=True):
        average = WeightAverage(0.9)
        checkpoint = FullStateCheckpoint(tmp_path / "state.npz", {"average": average})
        if epochs == 4:
            checkpoint.restore(model, read_state(tmp_path / "state.npz"))
        model.fit(**settings(epochs, [average, checkpoint], initial_epoch=checkpoint.epoch))
    assert np.array_equal(flat(whole), flat(ends[1]))


def test_a_decay_of_1_is_refused():
    with pytest.raises(ValueError, match=r"decay must be in \[0, 1\), got 1"):
        WeightAverage(1)
