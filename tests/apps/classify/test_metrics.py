import numpy as np
import pytest
from sklearn import metrics as reference

from dlapps.apps.classify import metrics

LABELS = ["a", "b", "c", "d", "e", "f"]


@pytest.fixture
def answers():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(200, 6)) * 2
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probabilities, rng.integers(0, 6, 200)


def test_agrees_with_scikit_learn(answers):
    probabilities, truth = answers
    found = metrics.evaluation(probabilities, truth, LABELS)
    best = probabilities.argmax(axis=1)
    expected = {
        "accuracy": reference.accuracy_score(truth, best),
        "top5_accuracy": reference.top_k_accuracy_score(truth, probabilities, k=5),
        "macro_f1": reference.f1_score(truth, best, average="macro"),
        "macro_recall": reference.balanced_accuracy_score(truth, best),
        "loss": reference.log_loss(truth, probabilities),
    }
    for name, value in expected.items():
        assert found.measures[name] == pytest.approx(value, abs=1e-6), name


def test_rows_of_the_confusion_matrix_are_the_truth():
    probabilities = np.eye(2)[[1, 1, 1, 0]]
    found = metrics.evaluation(probabilities, np.array([0, 1, 1, 0]), ["a", "b"])
    assert found.confusion.tolist() == [[1, 1], [0, 2]]


def test_a_class_without_pictures_does_not_pull_the_means_down():
    probabilities = np.eye(3)[[0, 1]]
    found = metrics.evaluation(probabilities, np.array([0, 1]), ["a", "b", "c"])
    assert found.measures["macro_f1"] == 1
    assert found.classes["c"]["num_pictures"] == 0


def test_the_majority_baseline_counts_the_commonest_class():
    probabilities = np.full((4, 2), 0.5)
    found = metrics.evaluation(probabilities, np.array([1, 1, 1, 0]), ["a", "b"])
    assert found.measures["majority_accuracy"] == 0.75
    assert found.measures["chance_accuracy"] == 0.5


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    # Ten answers at confidence 0.9 of which six are right: off by 0.3.
    probabilities = np.tile([0.9, 0.1], (10, 1))
    truth = np.array([0] * 6 + [1] * 4)
    assert metrics.calibration_error(probabilities, truth) == pytest.approx(0.3)


def test_a_sure_and_right_model_is_calibrated():
    truth = np.array([0, 1, 1])
    assert metrics.calibration_error(np.eye(2)[truth], truth) == 0


def test_top_5_of_fewer_than_5_classes_is_1(answers):
    truth = np.array([0, 1, 2])
    assert metrics.top_k_accuracy(np.eye(3), truth, 5) == 1


def test_loss_stays_finite_when_the_truth_was_ruled_out():
    assert np.isfinite(metrics.cross_entropy(np.array([[1.0, 0.0]]), np.array([1])))


def drawn(count, temperature, seed=0):
    """Returns probabilities, and truth drawn from what they are at another temperature."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, 4)) * 3
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    fit = np.exp(logits / temperature)
    edges = np.cumsum(fit / fit.sum(axis=1, keepdims=True), axis=1)
    return probabilities, (rng.random((count, 1)) > edges[:, :-1]).sum(axis=1)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_finds_the_temperature_that_the_truth_was_drawn_at(temperature):
    probabilities, truth = drawn(20_000, temperature)
    found = metrics.temperature(probabilities, truth)
    assert found == pytest.approx(temperature, rel=0.04)
    fit = metrics.tempered(probabilities, found)
    assert metrics.calibration_error(fit, truth) < 0.02
    assert (fit.argmax(axis=1) == probabilities.argmax(axis=1)).all()


def test_a_few_pictures_that_are_all_right_make_no_model_certain():
    probabilities = np.full((5, 2), [0.9, 0.1])
    truth = np.zeros(5, int)
    assert 0.5 < metrics.temperature(probabilities, truth) < 0.95
    assert metrics.temperature(np.tile(probabilities, (100, 1)), np.zeros(500, int)) < 0.4


def test_certain_answers_that_are_wrong_leave_finite_numbers():
    probabilities, truth = np.eye(2)[[0, 1, 0, 1]], np.array([0, 1, 0, 0])
    found = metrics.temperature(probabilities, truth)
    assert 1 < found <= 8
    assert np.isfinite(metrics.tempered(probabilities, found)).all()


def test_a_temperature_divides_logits():
    logits = np.array([[1.0, -2.0, 0.5]])
    softmax = np.exp(logits) / np.exp(logits).sum()
    divided = np.exp(logits / 4) / np.exp(logits / 4).sum()
    np.testing.assert_allclose(metrics.tempered(softmax, 4.0), divided)
    np.testing.assert_allclose(metrics.tempered(softmax, 1.0), softmax)
