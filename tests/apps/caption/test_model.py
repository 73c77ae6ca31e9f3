import numpy as np
import pytest
from keras import ops

from dlapps import inference, saving
from dlapps.apps.caption.model import END, START, Captioner, load_model, new_model
from dlapps.errors import UserError

WORDS = ["<end>", "<start>", "<unknown>", "a", "dog", "cat", "runs"]
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)
SMALL = {"image_size": 64, "longest": 6, "embedding": 8, "units": 12, "attention": 5}


@pytest.fixture(scope="module", params=["attend", "show-tell"])
def model(request):
    """A captioner with a pretrained backbone that knows nothing yet."""
    return new_model(WORDS, np.ones(len(WORDS)), {**SMALL, "decoder": request.param})


def test_survives_saving_with_its_words(model, tmp_path):
    saving.save(model, tmp_path / "model.keras")
    again = load_model(str(tmp_path / "model.keras"))
    assert again.vocabulary == WORDS
    words = np.array([[START, 3, 4]] * 3, np.int32)
    np.testing.assert_allclose(again((IMAGES, words)), model((IMAGES, words)), rtol=1e-4, atol=1e-5)
    for one, other in zip(told(again), told(model), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4)


def told(model, **settings):
    return model.told(model.regions(IMAGES), **settings)


def test_the_first_words_are_foretold_as_often_as_they_were_counted(tmp_path):
    counts = np.array([8, 0, 2, 16, 4, 1, 1.0])
    model = new_model(WORDS, counts, SMALL)
    chances = ops.softmax(model.teller.bias)
    np.testing.assert_allclose(chances[3:], (counts / counts.sum())[3:], rtol=0.01)


def test_the_searched_captions_are_as_likely_as_it_says(model):
    words, logs = told(model, width=2)
    for picture in range(3):
        for row, log in zip(words[picture], logs[picture], strict=True):
            ids = [int(k) for k in row]
            ids = ids[: ids.index(END) + 1]
            read = np.array([[START, *ids[:-1]]], np.int32)
            chances = ops.log_softmax(model((IMAGES[picture : picture + 1], read)), axis=-1)[0]
            expected = sum(float(chances[k, word]) for k, word in enumerate(ids))
            assert float(log) == pytest.approx(expected, rel=1e-3)


def test_never_says_start_or_unknown(model):
    said = {*np.ravel(told(model)[0]).tolist()}
    drawn = {*np.ravel(model.drawn(model.regions(IMAGES), 1, 20)[0]).tolist()}
    assert not {1, 2} & (said | drawn)


def test_a_frozen_graph_says_the_same(model):
    frozen = inference.frozen(lambda images: model.told(model.regions(images)), 64)
    for images in (IMAGES, IMAGES[:1]):
        words, logs = frozen(images)
        own, of_own = model.told(model.regions(images))
        np.testing.assert_array_equal(words, own)
        np.testing.assert_allclose(logs, of_own, rtol=1e-3)


def test_says_where_it_looks_if_it_looks_for_each_word(model):
    words = np.array([[START, 3, 4]] * 3, np.int32)
    weights = model.where(model.regions(IMAGES), words)
    if model.decoder == "show-tell":
        assert weights is None
        return
    assert weights.shape == (3, 3, *model.compute_regions_shape()[:1])
    np.testing.assert_allclose(ops.sum(weights, axis=-1), np.ones((3, 3)), rtol=1e-5)


def test_standardised_features_have_mean_0_and_deviation_1(model):
    cells = ops.convert_to_numpy(model.regions(IMAGES)).reshape(-1, 320)
    model.standardize(cells)
    scaled = ops.convert_to_numpy(model.standardization(cells))
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-2)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"image_size": 50}, "image_size must be a multiple of 32, got 50"),
        ({"decoder": "see"}, "decoder must be 'attend' or 'show-tell', got 'see'"),
    ],
)
def test_impossible_settings_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        Captioner(WORDS, **settings)


def test_what_is_no_captioner_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"There is no model 'flikr8k'\. Did you mean 'flickr8k'"):
        load_model("flikr8k")
