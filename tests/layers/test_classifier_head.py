import keras
import numpy as np
import pytest

from dlapps.layers.classifier_head import ClassifierHead
from tests.contract import check_layer

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(3, 2, size=(6, 8)).astype(np.float32)
LABELS = np.array([0, 1, 2, 2, 1, 0])


def made(**settings):
    head = ClassifierHead(3, **settings)
    head.build(FEATURES.shape)
    head.logits.kernel.assign(np.random.default_rng(1).normal(size=(8, 3)))
    return head


def loss(head, training=False, weights=None, labels=LABELS):
    return float(head.compute_loss(None, labels, head(FEATURES), weights, training=training))


def test_keeps_the_contract_of_layers():
    check_layer(ClassifierHead(3, dropout=0.5, smoothing=0.1), FEATURES)


def test_without_smoothing_the_loss_is_the_crossentropy_of_the_labels():
    expected = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    head = made()
    for training in (False, True):
        assert loss(head, training) == pytest.approx(
            float(expected(LABELS, head(FEATURES))), rel=1e-5
        )


def test_smoothing_mixes_in_the_loss_of_labels_drawn_by_chance_in_training_alone():
    plain, smooth = made(), made(smoothing=0.3)
    by_chance = np.mean([loss(plain, labels=np.full(6, label)) for label in range(3)])
    expected = 0.7 * loss(plain) + 0.3 * by_chance
    assert loss(smooth, training=True) == pytest.approx(expected, rel=1e-5)
    assert loss(smooth) == pytest.approx(loss(plain), rel=1e-6)


def test_the_loss_of_a_certain_model_is_least_where_it_is_as_sure_as_the_labels():
    head = made(smoothing=0.3)
    target = np.log([0.8, 0.1, 0.1])

    def at(sureness):
        logits = (sureness * target)[None].astype(np.float32)
        return float(head.compute_loss(None, np.array([0]), logits, training=True))

    assert at(1.0) < min(at(0.8), at(1.25))


def test_weights_count_examples_more_or_less():
    head = made(smoothing=0.1)
    only_first = np.array([6.0, 0, 0, 0, 0, 0], np.float32)
    logits = head(FEATURES)
    for training in (False, True):
        alone = head.compute_loss(None, LABELS[:1], logits[:1], training=training)
        assert loss(head, training, only_first) == pytest.approx(float(alone), rel=1e-5)


def test_fit_learns_by_it_and_tells_the_accuracy():
    head = made(smoothing=0.1)
    metrics = [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
    head.compile(keras.optimizers.Adam(0.1), metrics=metrics)
    history = head.fit(
        FEATURES, LABELS, validation_data=(FEATURES, LABELS), epochs=60, verbose=0,
        class_weight={0: 1.0, 1: 2.0, 2: 1.0},
    ).history  # fmt: skip
    assert history["accuracy"][-1] == history["val_accuracy"][-1] == 1.0
    # No more sure than the labels in training are: ln of 0.9 + 0.1 / 3.
    assert history["val_loss"][-1] == pytest.approx(-np.log(0.9 + 0.1 / 3), abs=0.03)


def test_a_temperature_divides_its_logits():
    head = made()
    head.logits.bias.assign([0.5, -1.0, 2.0])
    before = np.asarray(head(FEATURES))
    head.temper(0.5)
    np.testing.assert_allclose(head(FEATURES), before / 0.5, rtol=1e-5)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_a_smoothing_that_leaves_nothing_of_the_labels_is_refused(smoothing):
    with pytest.raises(ValueError, match=rf"smoothing must be in \[0, 1\), got {smoothing}"):
        ClassifierHead(3, smoothing=smoothing)
