import numpy as np
import pytest
from PIL import Image

from dlapps.apps.caption.model import load_model
from dlapps.apps.caption.predict import Style, answers, asking, looked, predict, spoken
from dlapps.data.inputs import Input
from tests.apps.caption.shapes import draw


@pytest.fixture(scope="module")
def model(trained):
    return load_model(str(trained[0]))


def test_what_is_spoken_ends_with_the_end():
    assert spoken(np.array([3, 4, 0, 3]), ["<end>", "<start>", "<unknown>", "a", "dog"]) == [
        "a", "dog",
    ]  # fmt: skip


def test_results_keep_the_order_and_leave_out_what_cannot_be_read(model):
    sources = [np.asarray(draw("disc", colour, 5)) for colour in ("red", "blue", "green")]
    inputs = [Input(f"{k}.png", source) for k, source in enumerate(sources)]
    inputs.insert(1, Input("bad.png", b"no picture"))
    unreadable = {}
    found = [*predict(inputs, model, Style(), unreadable)]
    assert [each.input.name for each in found] == ["0.png", "1.png", "2.png"]
    assert [*unreadable] == ["bad.png"]


@pytest.mark.parametrize("style", [Style(), Style(beam=1), Style(samples=2, temperature=0.01)])
def test_a_graph_says_what_is_said_without_one(model, style):
    images = np.stack([np.asarray(draw("disc", "red", k).resize((64, 64))) for k in range(2)])
    plain, compiled = (asking(model, style, each)(images) for each in (False, True))
    np.testing.assert_array_equal(plain[0], compiled[0])
    np.testing.assert_allclose(plain[1], compiled[1], rtol=1e-3)


def test_many_pictures_are_captioned_as_one_is(model):
    sources = [np.asarray(draw("square", "blue", k)) for k in range(6)]
    [(_, many, logs, _)] = answers(sources, model, Style())
    for k, source in enumerate(sources):
        [(_, one, log, _)] = answers([source], model, Style())
        np.testing.assert_array_equal(one[0], many[k])
        np.testing.assert_allclose(log[0], logs[k], rtol=1e-3)


def test_where_it_looked_is_a_grid_for_each_word(model):
    source = np.asarray(Image.new("RGB", (90, 50), "white"))
    [found] = predict([Input("a", source)], model, Style(), {})
    places = looked(found, model)
    assert places.shape == (len(found.words), 2, 2)
    assert places.min() >= 0
    np.testing.assert_allclose(places.max(axis=(1, 2)), 1)
