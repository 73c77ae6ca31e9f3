import re

import numpy as np
import pytest
from keras import ops

from dlapps import saving
from dlapps.darknet import DarknetDetector, image_size_of, network, num_classes
from dlapps.weights.darknet import load_weights, sections_of
from tests import darknet_models as drawn
from tests.darknet_models import conv, last, net, pool, route, section, yolo

CORE = {"yolov2", "yolov2-tiny", "yolov3-tiny", "yolov4-tiny"}
family = pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in CORE else pytest.mark.slow, id=n) for n in drawn.FAMILY],
)
TWO_ANCHORS = "8,8, 16,32"
YOLO = section("yolo", mask="0,1", anchors=TWO_ANCHORS, classes=3, num=2, thresh=0, nms_threshold=0)


def detector(text, folder, labels="abc"):
    """Returns a detector with random weights, and writes its files for OpenCV."""
    model = DarknetDetector(labels, text)
    drawn.write_weights(folder / "own.weights", model.network)
    (folder / "own.cfg").write_text(text)
    load_weights(model.network, folder / "own.weights")
    return model


def pictures(batch, height, width):
    """Returns smooth random pictures, as photos are smooth."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (batch, height // 8, width // 8, 3)).astype(np.float32)
    return ops.convert_to_numpy(ops.image.resize(coarse, (height, width))).astype(np.uint8)


def compare_with_opencv(model, folder, sides):
    images = pictures(2, *sides)
    boxes, scores = map(ops.convert_to_numpy, model.predictions(images))
    expected, sure, classes = drawn.opencv(folder / "own.cfg", folder / "own.weights", images)
    assert scores.std() > 1e-3, "nothing to tell apart"
    assert expected[..., 2].std() > 1, "nothing to tell apart"
    np.testing.assert_allclose(boxes, expected, atol=1e-3 * max(sides))
    # OpenCV always suppresses what overlaps in a region, and leaves zeros.
    region = "[region]" in model.cfg
    kept = classes > 0 if region else np.ones(classes.shape, bool)
    assert kept.any(axis=(1, 2)).all()
    np.testing.assert_allclose(scores[kept], classes[kept], atol=1e-3)
    if region:  # A softmax: the classes share how sure it is that something is there.
        np.testing.assert_allclose(scores.sum(axis=-1), sure, atol=1e-3)


@family
def test_every_family_sees_what_opencv_sees(tmp_path, name):
    model = detector(drawn.FAMILY[name](), tmp_path)
    compare_with_opencv(model, tmp_path, (96, 96))
    compare_with_opencv(model, tmp_path, (64, 128))


ODDITIES = {
    "padding": section("convolutional", filters=4, size=3, padding=2, activation="leaky"),
    "no-padding": section("convolutional", filters=4, size=3, stride=1, activation="leaky"),
    "even-size": section("convolutional", filters=4, size=2, stride=2, activation="leaky"),
    "wide-stride": section("convolutional", filters=4, size=5, stride=2, pad=1, activation="leaky"),
    "groups": conv(64) + section("convolutional", filters=6, size=3, pad=1, groups=2,
                                 activation="leaky", batch_normalize=1),
    "mish": conv(64, activation="mish"),
    "swish": conv(64, activation="swish"),
    "logistic": conv(64, activation="logistic"),
    "pool-3-2": conv(64) + pool(3, 2),
    "pool-3-1": conv(64) + pool(3, 1),
    "pool-4-2": conv(64) + pool(4, 2),
    "pool-2-1": conv(64) + pool(2, 1),
    "pool-unpadded": conv(64) + section("maxpool", size=2, stride=2, padding=0),
    "route-groups": conv(64) + section("route", layers=-1, groups=2, group_id=1),
    "route-first": conv(32) + route(0, 1),
    "shortcut": conv(64) + conv(64) + section("shortcut", activation="leaky", **{"from": 0}),
    "upsample-3": pool(3, 3) + section("upsample", stride=3),
}  # fmt: skip


@pytest.mark.parametrize("name", ODDITIES)
def test_every_layer_and_option_computes_what_opencv_computes(tmp_path, name):
    text = net(96) + conv(64, stride=2) + ODDITIES[name] + last(2) + YOLO
    compare_with_opencv(detector(text, tmp_path), tmp_path, (96, 96))


@pytest.mark.parametrize("squared", [0, 1])
def test_decoding_computes_what_opencv_computes(tmp_path, squared):
    head = last(2).replace("linear", "logistic") if squared else last(2)
    more = YOLO.strip() + f"\nscale_x_y=2.0\nnew_coords={squared}\n"
    text = net() + conv(64, stride=2) + conv(64, stride=2) + head + more
    compare_with_opencv(detector(text, tmp_path), tmp_path, (64, 96))


def test_survives_saving_and_has_all_that_it_needs(tmp_path):
    model = detector(drawn.yolov4_tiny(), tmp_path)
    images = pictures(1, 64, 96)
    before = model.predictions(images)
    saving.save(model, tmp_path / "a.keras")
    again = saving.load(str(tmp_path / "a.keras"), DarknetDetector, {})
    assert again.labels == [*"abc"]
    assert again.image_size == 96
    for one, other in zip(before, again.predictions(images), strict=True):
        np.testing.assert_array_equal(one, other)


def test_does_not_mind_the_dtype_of_the_images(tmp_path):
    model = detector(drawn.yolov2_tiny(), tmp_path)
    images = pictures(1, 64, 64)
    for one, other in zip(
        model.predictions(images), model.predictions(images.astype(np.float32)), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_half_a_precision_moves_nothing_far(tmp_path):
    model = detector(drawn.yolov3_tiny(), tmp_path)
    half = DarknetDetector("abc", drawn.yolov3_tiny(), dtype="mixed_float16")
    half.set_weights(model.get_weights())
    images = pictures(1, 64, 64)
    (boxes, scores), (ours, sure) = (
        map(ops.convert_to_numpy, each.predictions(images)) for each in (model, half)
    )
    assert ours.dtype == sure.dtype == np.float32
    np.testing.assert_allclose(ours, boxes, atol=0.02 * np.abs(boxes).max())
    np.testing.assert_allclose(sure, scores, atol=0.02)


def test_the_size_of_the_images_is_the_longer_side():
    assert image_size_of(sections_of("[net]\nwidth=64\nheight=96")) == 96
    assert image_size_of(sections_of("[net]")) == 416
    model = DarknetDetector("abc", drawn.yolov3_tiny(), image_size=64)
    assert DarknetDetector.from_config(model.get_config()).image_size == 64


def test_the_classes_are_those_of_the_sections_that_find_boxes():
    assert num_classes(sections_of(drawn.yolov2())) == drawn.CLASSES
    with pytest.raises(ValueError, match=r"no section \[yolo\] or \[region\]"):
        num_classes(sections_of(net() + conv(32)))


def test_what_finds_nothing_ends_in_a_grid():
    built = network(sections_of(net() + conv(64, stride=2) + conv(128)))
    assert built.output.shape == (None, None, None, 8)


MISTAKES = {
    "unknown-section": (conv(32) + "[convolution]\n", r"line \d+, \[convolution\] is no layer.* "
                        r"Did you mean 'convolutional'\? Known: convolutional, "),
    "no-layers": ("", "it has no layers"),
    "unknown-activation": (conv(32, activation="leeky"), r"\[convolutional\]: activation=leeky is "
                           r"not known. Did you mean 'leaky'\? Known: leaky, linear"),
    "route-far": (conv(32) + route(-2), "layers=-2 names no layer before it; there are 1"),
    "route-ahead": (conv(32) + route(1), "layers=1 names no layer before it; there are 1"),
    "route-nowhere": (conv(32) + "[route]\n", "layers= is missing"),
    "route-group": (conv(32) + section("route", layers=-1, groups=2, group_id=2),
                    "group_id must be below groups=2, got 2"),
    "route-uneven": (conv(48) + section("route", layers=-1, groups=2),
                     "groups=2 does not divide the channels"),
    "shortcut-far": (conv(32) + section("shortcut", **{"from": -3}), "from=-3 names no layer"),
    "shortcut-wide": (conv(32) + conv(64) + section("shortcut", **{"from": -2}),
                      "it adds 2 channels to 4"),
    "filters": (section("convolutional", filters=10**9), "filters must be at most 65536"),
    "no-filters": (section("convolutional", filters=0), "filters must be at least 1, got 0"),
    "size": (section("convolutional", filters=2, size="x"), "size=x is no number"),
    "groups": (section("convolutional", filters=4, groups=2), "groups=2 does not divide 3 chan"),
    "reorg": (conv(48) + section("reorg", stride=2), "it wants a multiple of 4 channels, got 3"),
    "option": (section("convolutional", filters=4, dilation=2), "dilation=2 is not supported"),
    "mask": (conv(32) + yolo("1,2", TWO_ANCHORS), "it wants anchor 2, counted from 0; "
             "anchors= has 2"),
    "anchors": (conv(32) + section("region", num=1, softmax=1), "anchors= has 0"),
    "softmax": (conv(32) + section("region", num=1, softmax=0), "softmax=0 is not supported"),
    "channels": (last(3) + YOLO, "it wants 16 channels, 2 anchors times 5 and the classes; the "
                 "layer before it has 24"),
    "classes": (last(2) + YOLO + conv(32) + section("convolutional", filters=12)
                + YOLO.replace("classes=3", "classes=1"), "different numbers of classes"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_its_line(name):
    text, words = MISTAKES[name]
    with pytest.raises(ValueError, match=words) as caught:
        network(sections_of(net() + text))
    if name not in ("no-layers", "classes"):
        line = int(re.search(r"line (\d+), \[", str(caught.value)).group(1))
        assert (net() + text).splitlines()[line - 1].startswith("[")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param({"width": 100}, "width and height must be multiples of 32, got 100 and 416",
                     id="odd"),
        pytest.param({"height": 0}, "height must be at least 32, got 0", id="zero"),
        pytest.param({"channels": 1}, "channels must be 3, red, green and blue", id="grey"),
    ],
)  # fmt: skip
def test_images_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        DarknetDetector("abc", section("net", **settings) + last(2) + YOLO)


def test_labels_are_as_many_as_the_classes():
    with pytest.raises(ValueError, match="labels must be 3, as cfg says, got 2"):
        DarknetDetector("ab", drawn.yolov2())
    with pytest.raises(ValueError, match="image_size must be a multiple of 32, got 100"):
        DarknetDetector("abc", drawn.yolov3_tiny(), image_size=100)
