import keras
import numpy as np
import pytest

from dlapps.layers.image_normalization import ImageNormalization
from tests.contract import check_layer

TF = {"mean": (127.5,) * 3, "scale": (127.5,) * 3}
CAFFE = {"mean": (123.68, 116.779, 103.939), "reverse": True}


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), np.uint8)


@pytest.mark.parametrize(
    "settings",
    [pytest.param({}, id="none"), pytest.param(TF, id="tf"), pytest.param(CAFFE, id="caffe")],
)
@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32"])
def test_keeps_the_contract_of_layers(images, settings, dtype):
    check_layer(ImageNormalization(**settings), images.astype(dtype))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param(TF, keras.applications.mobilenet_v2.preprocess_input, id="tf"),
        pytest.param(CAFFE, keras.applications.resnet50.preprocess_input, id="caffe"),
    ],
)
def test_computes_what_keras_applications_do(images, settings, expected):
    ours = ImageNormalization(**settings)(images)
    np.testing.assert_allclose(ours, expected(images.astype(np.float32)), atol=1e-4)


def test_turns_whole_numbers_into_floats(images):
    result = ImageNormalization(scale=(2.0, 2.0, 2.0))(images)
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    np.testing.assert_array_equal(result, images.astype(np.float32) / 2)


def test_does_not_depend_on_the_dtype_of_the_images(images):
    layer = ImageNormalization(**CAFFE)
    np.testing.assert_array_equal(layer(images), layer(images.astype(np.float32)))


def test_brings_the_mean_to_zero_and_the_scale_to_one():
    mean, scale = (10.0, 20.0, 30.0), (2.0, 3.0, 4.0)
    layer = ImageNormalization(mean, scale)
    np.testing.assert_array_equal(layer(np.array([[[mean]]])), np.zeros((1, 1, 1, 3)))
    above = np.array([[[np.add(mean, scale)]]])
    np.testing.assert_array_equal(layer(above), np.ones((1, 1, 1, 3)))


def test_reversing_turns_the_channels_of_the_same_result(images):
    forward = np.asarray(ImageNormalization(**{**CAFFE, "reverse": False})(images))
    np.testing.assert_array_equal(ImageNormalization(**CAFFE)(images), forward[..., ::-1])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param({"mean": (1.0,)}, r"must have 3 numbers, got \(1.0,\)", id="short-mean"),
        pytest.param({"scale": (1.0,) * 4}, "must have 3 numbers", id="long-scale"),
        pytest.param({"scale": (1.0, 0.0, 1.0)}, "scale must be above 0, got", id="zero"),
        pytest.param({"scale": (1.0, -2.0, 1.0)}, "scale must be above 0, got", id="negative"),
    ],
)
def test_refuses_what_makes_no_sense(settings, words):
    with pytest.raises(ValueError, match=words):
        ImageNormalization(**settings)
