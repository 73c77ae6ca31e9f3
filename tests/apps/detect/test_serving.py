import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from dlapps import runs, saving
from dlapps.apps.detect import serving
from dlapps.apps.detect.model import load_model
from dlapps.apps.detect.predict import predict
from dlapps.darknet.detector import DarknetDetector
from dlapps.data import samples
from dlapps.data.inputs import Input
from dlapps.export import gate
from dlapps.layers.non_max_suppression import NonMaxSuppression
from dlapps.serve import foreign
from dlapps.serving import NUMERIC, Limits
from dlapps.steadiness import is_steady
from tests.apps.detect.scenes import ColourDetector, painted, truth
from tests.darknet import models as drawn
from tests.graphs.files import noted, saved, smooth


@pytest.fixture(scope="module")
def model():
    return ColourDetector()


@pytest.fixture(scope="module")
def functions(model):
    return serving.signatures(model)


def pictures():
    """Returns files of many sides: JPEGs decoded at all sizes and lying on their sides, PNGs."""
    sizes = [(320, 240), (250, 341), (161, 90), (700, 699), (1500, 200), (1999, 1501), (16, 200)]
    files = []
    for k, (width, height) in enumerate(sizes):
        box = [width // 4, height // 4, width // 2, 3 * height // 4]
        image = painted((width, height), [box], ["red" if k % 2 else "blue"])
        files += [saved(image, "JPEG", exif=noted(1 + k)), saved(image, "PNG")]
    return [*files, saved(smooth((90, 70)), "BMP"), saved(painted((90, 90), [], []), "WEBP")]


def test_answers_as_the_trained_model_does(model, functions, monkeypatch):
    files = pictures()
    monkeypatch.setattr(serving.samples, "pieces", lambda count: files)
    checks = serving.checks("none", model, len(files))
    assert not checks.left_out
    assert {check.signature for check in checks.each} == {*functions, NUMERIC}
    assert checks.each[0].expected["count"].sum() >= 14
    for check in checks.each:
        assert len(check.inputs["images"]) == len(files)
        if check.signature == NUMERIC:
            found = serving.numeric(model)(tf.constant(check.inputs["images"]))
        else:
            found = functions[check.signature](tf.constant(check.inputs["images"]))
        for row in gate.compared(check, {name: each.numpy() for name, each in found.items()}):
            assert row.agreement in (None, 1), row
            assert row.difference is None or row.difference < 1e-3, row


def test_of_a_run_it_is_measured_how_good_the_answers_are(model, monkeypatch):
    examples = []
    for number, colour in enumerate(("red", "blue", "red")):
        box = [20 + 8 * number, 30, 180, 150]
        file = saved(painted((320, 200 + 40 * number), [box], [colour]), "PNG")
        known = truth([box], [("red", "blue").index(colour)])
        examples.append(dataclasses.replace(known, source=file))
    monkeypatch.setattr(serving, "held_out", lambda *_: examples)
    check = serving.checks("a-run", model, 3).each[-1]
    assert check.signature == NUMERIC
    assert check.measured == "mAP50"
    assert check.measure(check.expected, check.truth) == pytest.approx(1)
    assert check.measure(check.expected, check.truth[::-1]) < 0.9
    half = check.measure({k: v[::2] for k, v in check.expected.items()}, check.truth[::2])
    assert half == pytest.approx(1)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_boxes_are_in_pixels_of_the_upright_picture(model, functions, orientation):
    image = painted((800, 600), [(100, 60, 400, 300)], ["red"])
    turn = {1: 0, 3: 180, 6: 90, 8: 270}[orientation]  # what the camera stores, anticlockwise
    file = saved(image.rotate(turn, expand=True), "JPEG", exif=noted(orientation))
    found = functions["serving_default"](tf.constant([file]))
    assert found["count"].numpy().tolist() == [1]
    assert found["labels"].numpy()[0, :2].tolist() == [b"red", b""]
    np.testing.assert_allclose(found["boxes"][0, 0], [100, 60, 400, 300], atol=8 * 800 / 160)
    assert not found["boxes"].numpy()[0, 1:].any()


def test_a_picture_does_not_depend_on_its_neighbours(functions):
    together = functions["serving_default"](tf.constant(pictures()))
    for row, file in enumerate(pictures()):
        alone = functions["serving_default"](tf.constant([file]))
        np.testing.assert_array_equal(together["labels"][row], alone["labels"][0])
        np.testing.assert_allclose(together["boxes"][row], alone["boxes"][0], atol=1e-3)


def test_an_empty_batch_has_no_answers(functions):
    found = functions["serving_default"](tf.constant([], tf.string))
    assert found["boxes"].shape == (0, 300, 4)


def test_an_answer_that_hangs_on_a_hair_is_not_asked_about():
    boxes = np.array([[[0, 0, 10, 10], [1, 0, 11, 10]]], np.float32)
    sure = [[[0.9], [0.5]], [[0.25 + 1e-6], [0.1]], [[0.9], [0.9 - 1e-6]]]
    suppression = NonMaxSuppression()
    steady = [is_steady(suppression, boxes, np.array([each], np.float32)) for each in sure]
    assert steady == [True, False, False]


def test_what_tensorflow_does_not_decode_is_left_out_of_the_check(model, monkeypatch):
    sources = [saved(smooth(), "TIFF"), saved(smooth(), "PNG"), saved(smooth(), "PNG")[:500]]
    monkeypatch.setattr(serving.samples, "pieces", lambda count: sources)
    checks = serving.checks("none", model, 3)
    assert len(checks.each[0].inputs["images"]) == 1
    assert [*checks.left_out] == ["picture 0", "picture 2"]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        pytest.param(np.array([b"text"], object), "Picture 0 is not a picture", id="text"),
        pytest.param(
            np.array([saved(smooth((40, 30)), "PNG")], object), "Picture 0 has 40 x 30", id="large"
        ),
        pytest.param(np.array([saved(smooth((20, 30)), "PNG")], object), "", id="fine"),
        pytest.param(np.zeros((1, 64, 50, 3)), "images must have sides", id="sides"),
        pytest.param(np.zeros((1, 0, 64, 3)), "images must have sides", id="none"),
        pytest.param(np.zeros((1, 64, 32, 3)), "", id="array"),
    ],
)
def test_says_what_is_too_much(images, message):
    why = serving.refusal({"images": images}, Limits(pixels=1000))
    assert why.startswith(message)
    assert bool(why) == bool(message)


def test_a_saved_model_of_darknet_is_one_of_ours(tmp_path):
    model = DarknetDetector(["a", "b", "c"], drawn.yolov3_tiny())
    model.build((None, None, None, 3))
    path = tmp_path / "mine.keras"
    saving.save(model, path)
    assert runs.app_of(str(path)) == "detect"
    assert not foreign.is_keras(path)
    images = np.zeros((1, 96, 96, 3), np.float32)
    np.testing.assert_allclose(
        load_model(str(path)).predictions(images)[0], model.predictions(images)[0], atol=1e-5
    )


@pytest.mark.slow
def test_the_built_in_model_answers_as_it_does_here():
    model = load_model("coco")
    found = serving.signatures(model)["serving_default"](tf.constant(samples.photos()))
    inputs = [Input(str(k), file) for k, file in enumerate(samples.photos())]
    for row, one in enumerate(predict(inputs, model, serving.USUAL, {})):
        count = int(found["count"][row])
        np.testing.assert_allclose(found["boxes"][row, :count], one.boxes, atol=0.01)
        np.testing.assert_allclose(found["scores"][row, :count], one.scores, atol=1e-4)
        labels = [model.labels[k].encode() for k in one.labels]
        assert found["labels"].numpy()[row, :count].tolist() == labels
