import keras
import numpy as np
import pytest
import tensorflow as tf

from dlapps.apps.classify import serving
from dlapps.apps.classify.model import ImageClassifier
from dlapps.export import gate
from dlapps.serving import NUMERIC, Limits
from tests.graphs.files import files, noted, saved, smooth

LABELS = ["cat", "dog", "Käse", "a", "b", "c"]


@pytest.fixture(scope="module")
def model():
    # The same weights in any order of the tests: logits this large magnify the last bits.
    keras.utils.set_random_seed(0)
    model = ImageClassifier(LABELS, image_size=32)
    model.build((None, 32, 32, 3))
    head = model.head.logits
    rng = np.random.default_rng(0)
    head.set_weights([rng.normal(scale=3, size=weight.shape) for weight in head.get_weights()])
    return model


@pytest.fixture(scope="module")
def functions(model):
    return serving.signatures(model)


def test_answers_as_the_trained_model_does(model, functions, monkeypatch):
    odd = [*files().values(), saved(smooth((300, 200)), "JPEG", exif=noted(6))]
    monkeypatch.setattr(serving.samples, "pieces", lambda count: odd)
    checks = serving.checks("none", model, len(odd))
    assert not checks.left_out
    assert {check.signature for check in checks.each} == {*functions, NUMERIC}
    for check in checks.each:
        assert len(check.inputs["images"]) == len(odd)
        if check.signature == NUMERIC:
            found = serving.numeric(model)(tf.constant(check.inputs["images"]))
        else:
            found = functions[check.signature](tf.constant(check.inputs["images"]))
        for row in gate.compared(check, {name: each.numpy() for name, each in found.items()}):
            assert row.agreement in (None, 1), row
            assert row.difference is None or row.difference < 1e-5, row


def test_gives_the_best_labels_first(functions):
    found = functions["serving_default"](tf.constant([files()["jpeg"]]))
    whole = functions["all"](tf.constant([files()["jpeg"]]))
    probabilities = whole["probabilities"].numpy()[0]
    # Of answers that are equally unlikely, the first.
    order = np.argsort(-probabilities, kind="stable")[: serving.BEST]
    np.testing.assert_allclose(found["probabilities"][0], probabilities[order], rtol=1e-6)
    assert [text.decode() for text in found["labels"].numpy()[0]] == [LABELS[k] for k in order]
    assert [text.decode() for text in whole["labels"].numpy()[0]] == LABELS
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_pictures_of_differing_sizes_go_together(functions):
    two = [files()["jpeg"], saved(smooth((31, 200), seed=3), "PNG")]
    both = functions["all"](tf.constant(two))["probabilities"].numpy()
    one = functions["all"](tf.constant(two[1:]))["probabilities"].numpy()
    np.testing.assert_allclose(both[1], one[0], atol=1e-5)


def test_what_tensorflow_does_not_decode_is_left_out_of_the_check(model, monkeypatch):
    sources = [saved(smooth(), "TIFF"), saved(smooth(), "PNG"), saved(smooth(), "PNG")[:500]]
    monkeypatch.setattr(serving.samples, "pieces", lambda count: sources)
    checks = serving.checks("none", model, 3)
    assert len(checks.each[0].inputs["images"]) == 1
    assert len(checks.left_out) == 2


@pytest.mark.parametrize(
    ("file", "message"),
    [
        pytest.param(b"text", "Picture 0 is not a picture", id="text"),
        pytest.param(saved(smooth((40, 30)), "PNG"), "Picture 0 has 40 x 30 pixels", id="large"),
        pytest.param(saved(smooth((20, 30)), "PNG"), "", id="fine"),
    ],
)
def test_says_what_is_too_much(file, message):
    why = serving.refusal({"images": np.array([file], object)}, Limits(pixels=1000))
    assert why.startswith(message)
    assert bool(why) == bool(message)
