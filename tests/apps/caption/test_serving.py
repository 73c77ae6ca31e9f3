import itertools

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from dlapps.apps.caption import serving
from dlapps.apps.caption.data import read_dataset
from dlapps.apps.caption.model import END, START, load_model, new_model
from dlapps.apps.caption.predict import spoken
from dlapps.data.words import sentence
from dlapps.export import gate
from dlapps.serving import DEFAULT, NUMERIC, Limits
from tests.graphs.files import files, noted, saved, smooth

WORDS = ["<end>", "<start>", "<unknown>", "a", "dog", "'s", "n't", "-lrb-", "-rrb-", "käse", "ßo"]
SMALL = {"image_size": 64, "longest": 6, "embedding": 8, "units": 12, "attention": 5}


@pytest.fixture(scope="module", params=["attend", "show-tell"])
def model(request):
    """A captioner that says much and at random, but not the same of every picture."""
    model = new_model(WORDS, np.ones(len(WORDS)), {**SMALL, "decoder": request.param})
    rng = np.random.default_rng(1)
    pictures = rng.integers(0, 256, (8, 64, 64, 3)).astype(np.uint8)
    model.standardize(ops.convert_to_numpy(model.regions(pictures)).reshape(-1, 320))
    weights = [rng.normal(scale=0.3, size=each.shape) for each in model.teller.get_weights()]
    model.teller.set_weights(weights)
    return model


@pytest.fixture(scope="module")
def functions(model):
    return serving.signatures(model)


def test_answers_as_the_trained_model_does(model, functions, monkeypatch):
    odd = [*files().values(), saved(smooth((300, 200)), "JPEG", exif=noted(6))]
    odd += [saved(smooth((200, 31)), "PNG"), saved(smooth((64, 64)), "JPEG")]
    monkeypatch.setattr(serving.samples, "pieces", lambda count: odd)
    checks = serving.checks("none", model, len(odd))
    assert not checks.left_out
    assert {check.signature for check in checks.each} == {*functions, NUMERIC}
    assert len({*checks.each[0].expected["captions"]}) > 1
    for check in checks.each:
        assert len(check.inputs["images"]) == len(odd)
        inputs = {name: tf.constant(array) for name, array in check.inputs.items()}
        if check.signature == NUMERIC:
            found = serving.numeric(model)(*inputs.values())
        else:
            found = functions[check.signature](**inputs)
        for row in gate.compared(check, {name: each.numpy() for name, each in found.items()}):
            assert row.agreement in (None, 1), row
            # Float32 rounds logits of 40, as this model has them, more coarsely than those of 1.
            size = 1 if row.difference is None else np.abs(check.expected[row.output]).max()
            assert row.difference is None or row.difference < 1e-4 * max(1, size), row


def test_of_a_run_the_words_of_its_captions_are_foretold(model, monkeypatch):
    sources = [files()["jpeg"], saved(smooth((64, 64)), "PNG")]
    monkeypatch.setattr(serving, "_sources", lambda *_: ("", sources, ["A dog", "A bird"]))
    check = serving.checks("a-run", model, 2).each[-1]
    assert (check.signature, check.measured) == (NUMERIC, "next words")
    assert check.inputs["words"][:, :4].tolist() == [[START, 3, 4, END], [START, 3, 2, END]]
    # What the vocabulary does not know cannot be foretold.
    assert check.truth.tolist() == [[3, 4, END, *[-1] * 4], [3, -1, END, *[-1] * 4]]
    assert 0 <= check.measure(check.expected, check.truth) <= 1


def test_pictures_of_differing_sizes_go_together(functions):
    several = [files()["jpeg"], files()["gif"], saved(smooth((31, 200), seed=3), "PNG")]
    together = functions[DEFAULT](tf.constant(several))
    for row, one in enumerate(several):
        alone = functions[DEFAULT](tf.constant([one]))
        assert alone["captions"].numpy()[0] == together["captions"].numpy()[row]
        assert float(alone["log_probabilities"][0]) == pytest.approx(
            float(together["log_probabilities"][row]), abs=1e-4
        )


def test_words_are_joined_in_the_graph_as_a_person_joins_them():
    speller = serving.Speller(WORDS)
    rows = [[*row, END, 4] for row in itertools.product([0, *range(3, len(WORDS))], repeat=3)]
    found = speller.sentences(tf.constant(rows, tf.int32)).numpy()
    wanted = [sentence(spoken(np.array(row), WORDS)) for row in rows]
    assert [text.decode() for text in found] == wanted
    assert {"A dog", "(käse)", "SSo'sn't", ""} <= {*wanted}


def test_what_stands_behind_a_word_does_not_change_what_is_foretold_before_it(model):
    network = serving.numeric(model)
    rng = np.random.default_rng(2)
    images = tf.constant(rng.uniform(0, 255, (2, 64, 64, 3)).astype(np.float32))
    words = rng.integers(3, len(WORDS), (2, model.longest + 1)).astype(np.int32)
    words[:, 0] = START
    cut = words.copy()
    cut[:, 4:] = END
    whole, short = (network(images, tf.constant(each))["logits"].numpy() for each in (words, cut))
    np.testing.assert_allclose(whole[:, :4], short[:, :4], atol=1e-6)
    assert np.abs(whole[:, 4:] - short[:, 4:]).max() > 0.01


def test_the_check_of_a_run_asks_about_what_it_held_out(trained):
    run, _ = trained
    model = load_model(str(run))
    checks = serving.checks(str(run), model, 3)
    assert checks.source == "pictures held out in training"
    held_out = read_dataset(str(run.parent / "shapes")).validation
    asked = [*checks.each[0].inputs["images"]]
    assert asked
    assert {*asked} <= {each.source.read_bytes() for each in held_out}


def test_a_run_whose_pictures_are_gone_is_checked_on_other_photos(trained, monkeypatch):
    run, _ = trained
    monkeypatch.setattr(serving, "dataset_of", lambda record: None)
    checks = serving.checks(str(run), load_model(str(run)), 2)
    assert checks.source.startswith("photos that come with the packages")


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
