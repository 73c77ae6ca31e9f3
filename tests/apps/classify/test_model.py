import keras
import numpy as np
import pytest

from dlapps import backbones
from dlapps.apps.classify.model import ImageClassifier, load_model


@pytest.fixture(scope="module")
def model():
    made = ImageClassifier(["cat", "dog", "owl"], image_size=64)
    made.build((None, 64, 64, 3))
    rng = np.random.default_rng(0)
    for weight in made.head.weights:
        spread = np.abs(rng.normal(size=weight.shape)) + 0.5
        weight.assign(spread if "variance" in weight.path else rng.normal(size=weight.shape))
    return made


@pytest.fixture
def images():
    return np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)


def test_one_file_is_the_whole_model(model, images, tmp_path):
    model.save(tmp_path / "model.keras")
    again = load_model(str(tmp_path / "model.keras"))
    assert again.labels == ["cat", "dog", "owl"]
    assert again.get_config() == model.get_config()
    np.testing.assert_allclose(again(images), model(images), atol=1e-5)


def test_uint8_and_float_pictures_give_the_same_answer(model, images):
    np.testing.assert_allclose(model(images), model(images.astype(np.float32)), atol=1e-5)


def test_the_first_loss_is_what_chance_gives(images):
    fresh = ImageClassifier(["a", "b", "c"], image_size=64, smoothing=0.1)
    for training in (False, True):
        loss = fresh.compute_loss(None, np.array([0, 2]), fresh(images), training=training)
        assert float(loss) == pytest.approx(np.log(3), abs=1e-6)


def test_standardized_features_have_mean_0_and_their_grid_s_variance(model):
    features = np.random.default_rng(2).normal(7, 3, (500, model.num_features))
    features[:, 5] *= 1e-3  # Hardly moves, and must not be blown up.
    twin = ImageClassifier.from_config(model.get_config())
    twin.build((None, 64, 64, 3))
    twin.standardize(features.astype(np.float32))
    scaled = twin.head.standardization(features.astype(np.float32))
    np.testing.assert_allclose(np.mean(scaled, axis=0), 0, atol=1e-4)
    spread = np.std(scaled, axis=0)
    assert spread[5] < 2e-3
    assert (np.delete(spread, 5) < 1.01).all()
    assert (np.delete(spread, 5) > 0.8).all()


def test_evidence_adds_up_to_the_logit(model, images, monkeypatch):
    """Before the ReLU, the mean evidence over the places is the logit but for its bias."""
    monkeypatch.setattr("dlapps.apps.classify.model.ops.relu", lambda x: x)
    places = np.array(model.evidence(images, np.array([1, 2])))
    layer = model.head.standardization
    kernel, bias = model.head.logits.get_weights()
    mean, variance = (weight.numpy() for weight in layer.weights)
    shift = -mean / np.sqrt(variance + 1e-6)
    offset = bias + shift @ kernel
    logits = np.array(model(images))
    for row, label in enumerate((1, 2)):
        assert places[row].mean() == pytest.approx(logits[row, label] - offset[label], rel=1e-3)


def test_unfreezing_counts_from_the_output_and_leaves_batch_norms(model):
    groups = backbones.blocks(model.network)
    model.unfreeze(2)
    learning = {layer.name for group in groups for layer in group if layer.trainable_weights}
    expected = {
        layer.name
        for group in groups[-2:]
        for layer in group
        if layer.weights and not isinstance(layer, keras.layers.BatchNormalization)
    }
    assert learning == expected
    model.unfreeze(0)
    assert not model.network.trainable_weights


def test_a_crop_that_keeps_nothing_is_refused():
    with pytest.raises(ValueError, match=r"crop must be in \(0, 1\], got 0"):
        ImageClassifier(["a", "b"], image_size=64, crop=0)


def test_the_built_in_model_knows_the_thousand_classes():
    model = load_model("imagenet")
    assert len(model.labels) == len(set(model.labels)) == 1000
    assert model.crop == 0.875


def test_a_model_in_mixed_precision_answers_after_loading_as_before(images, tmp_path):
    made = ImageClassifier(["cat", "dog"], image_size=64, dtype="mixed_bfloat16")
    made.build((None, 64, 64, 3))
    made.head.logits.kernel.assign(
        np.random.default_rng(0).normal(size=made.head.logits.kernel.shape)
    )
    made.save(tmp_path / "model.keras")
    again = load_model(str(tmp_path / "model.keras"))
    assert again.network.layers[-1].compute_dtype == "bfloat16"
    np.testing.assert_array_equal(again(images), made(images))
