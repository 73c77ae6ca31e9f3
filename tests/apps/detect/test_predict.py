import itertools

import numpy as np
import pytest
from PIL import Image

from dlapps.apps.detect import predict as predicting
from dlapps.apps.detect.predict import Search, detections, indices, predict
from dlapps.data.inputs import Input
from dlapps.data.videos import Frame, Video, expanded, frames
from dlapps.errors import UserError
from tests.apps.detect.scenes import ColourDetector, painted
from tests.data.drawn_videos import write_video

SIZES = [(320, 240), (240, 320), (640, 200), (90, 90), (500, 375)]


@pytest.fixture(scope="module")
def model():
    return ColourDetector()


def pictures(count):
    """Returns pictures of many shapes, and the box of the red rectangle in each."""
    inputs, boxes = [], []
    for k, (width, height) in zip(range(count), itertools.cycle(SIZES)):
        box = [width // 4 + k % 7, height // 4, width // 2 + k % 7, 3 * height // 4]
        inputs.append(Input(str(k), np.asarray(painted((width, height), [box], ["red"]))))
        boxes.append(box)
    return inputs, boxes


@pytest.mark.parametrize("many", [False, True])
def test_boxes_come_in_order_in_pixels_of_their_pictures(model, many):
    inputs, boxes = pictures(12)
    found = [*predict(inputs, model, Search(), {}, many)]
    assert [one.input.name for one in found] == [one.name for one in inputs]
    for one, box in zip(found, boxes, strict=True):
        assert one.size == one.input.source.shape[1::-1]
        assert one.labels.tolist() == [0]
        assert one.scores == pytest.approx([0.9])
        step = 8 * max(one.size) / model.image_size
        np.testing.assert_allclose(one.boxes[0], box, atol=step)


@pytest.mark.parametrize("window", [1, 3, 32])
def test_how_many_are_looked_at_together_does_not_matter(model, window):
    inputs, _ = pictures(7)
    alone = [next(predict([one], model, Search(), {}, False)) for one in inputs]
    together = [*predict(inputs, model, Search(), {}, False, window)]
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-3)


def test_a_picture_without_anything_has_no_boxes(model):
    (one,) = predict([Input("a", np.full((90, 90, 3), 200, np.uint8))], model, Search(), {}, False)
    assert one.boxes.shape == (0, 4)
    assert one.boxes.dtype == np.float32


def test_unreadable_pictures_are_named_and_the_rest_goes_on(model):
    inputs, _ = pictures(2)
    bad = {}
    found = predict([inputs[0], Input("bad.jpg", b"x"), inputs[1]], model, Search(), bad, False)
    assert [one.input.name for one in found] == ["0", "1"]
    assert bad == {"bad.jpg": "not a picture in a known format"}


def test_nothing_readable_gives_nothing(model):
    bad = {}
    assert not [*predict([Input("bad.jpg", b"")], model, Search(), bad)]
    assert bad == {"bad.jpg": "the file is empty"}


@pytest.mark.parametrize("many", [False, True])
def test_only_what_is_wanted_is_found(model, many):
    picture = painted((320, 240), [(10, 10, 100, 100), (150, 100, 300, 200)], ["red", "blue"])
    one = Input("a", np.asarray(picture))
    names = {(): [0, 1], (1,): [1], (1, 0): [0, 1]}
    for classes, expected in names.items():
        (found,) = predict([one], model, Search(classes=classes), {}, many)
        assert sorted(found.labels) == expected
    (found,) = predict([one], model, Search(max_detections=1), {}, many)
    assert len(found.boxes) == 1
    (found,) = predict([one], model, Search(confidence=0.95), {}, many)
    assert len(found.boxes) == 0


def test_more_pixels_can_be_asked_for(model):
    picture = painted((1600, 1200), [(816, 616, 828, 628)], ["red"])
    one = Input("a", np.asarray(picture))
    (small,) = predict([one], model, Search(), {}, False)
    (large,) = predict([one], model, Search(image_size=1600), {}, False)
    assert len(small.boxes) == 0
    np.testing.assert_allclose(large.boxes, [[816, 616, 828, 628]], atol=4)


def test_tiles_find_what_is_small_in_a_large_picture(model):
    picture = painted((1600, 1200), [(816, 616, 828, 628)], ["red"])
    one = Input("a", np.asarray(picture))
    (found,) = predict([one], model, Search(tile=160), {}, False)
    np.testing.assert_allclose(found.boxes, [[816, 616, 828, 628]], atol=4)


def test_tiles_find_what_is_larger_than_a_tile_once(model):
    box = [200, 150, 1400, 1000]
    one = Input("a", np.asarray(painted((1600, 1200), [box], ["red"])))
    (found,) = predict([one], model, Search(tile=320), {}, False)
    assert len(found.boxes) == 1
    np.testing.assert_allclose(found.boxes[0], box, atol=8 * 1600 / 160)


def test_detections_are_those_of_predict(model):
    inputs, _ = pictures(3)
    sources = [inputs[0].source, b"no picture", inputs[2].source]
    bad = {}
    seen = dict(detections(sources, model, Search(), bad))
    assert [*seen] == [0, 2]
    assert [*bad] == [1]
    (one,) = predict([inputs[2]], model, Search(), {}, False)
    np.testing.assert_allclose(seen[2].boxes, one.boxes, atol=1e-3)


def test_an_endless_stream_is_looked_at_as_it_comes(model):
    taken = []

    def endless():
        for k in itertools.count():
            taken.append(k)
            yield Input(str(k), np.full((90, 90, 3), 200, np.uint8))

    stream = predict(endless(), model, Search(), {}, False, window=1)
    assert [next(stream).input.name for _ in range(3)] == ["0", "1", "2"]
    assert len(taken) <= 4
    stream.close()


def test_pictures_are_saved_with_their_boxes(model, tmp_path):
    inputs, _ = pictures(2)
    same = [Input("a/x.jpg", inputs[0].source), Input("../../x.png", inputs[1].source)]
    found = predict(same, model, Search(), {}, False)
    passed = [*predicting.saved(found, model.labels, tmp_path)]
    assert [one.input.name for one in passed] == ["a/x.jpg", "../../x.png"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x-2.jpg", "x.jpg"]
    with Image.open(tmp_path / "x.jpg") as image:
        assert image.size == (320, 240)


def test_videos_are_saved_with_their_boxes(model, tmp_path):
    clip = write_video(tmp_path / "clip.mp4", count=6)
    bad = {}
    inputs = expanded([Video("clip.mp4", clip)], 2, bad)
    found = predict(inputs, model, Search(), bad)
    passed = [*predicting.filmed(found, model.labels, tmp_path / "out.mp4")]
    assert [one.input.name for one in passed] == ["clip.mp4#0", "clip.mp4#2", "clip.mp4#4"]
    again = [*frames(Video("out", tmp_path / "out.mp4"))]
    assert len(again) == 3
    assert again[0].rate == pytest.approx(5)
    assert again[0].source.shape == (240, 320, 3)
    plain = next(frames(Video("clip", clip))).source.astype(int)
    assert (np.abs(again[0].source - plain).sum(axis=-1) > 150).sum() > 300


def test_frames_are_saved_under_their_numbers(model, tmp_path):
    picture = np.full((90, 90, 3), 200, np.uint8)
    frame = Frame("b/clip.mp4#7", picture, "b/clip.mp4", 7, 0.7, 10.0)
    found = predict([frame], model, Search(), {}, False)
    [*predicting.saved(predicting.written(found, tmp_path), model.labels, tmp_path)]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip-000007.jpg", "clip-000007.txt"]
    assert (tmp_path / "clip-000007.txt").read_text() == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("person, tie", (0, 27)),
        ("TIE", (27,)),
        ("27,0,tie", (27, 0)),
        ("traffic light", (9,)),
    ],
)
def test_classes_are_named_or_numbered(words, expected):
    labels = [f"class {k}" for k in range(80)]
    labels[0], labels[9], labels[27] = "person", "traffic light", "tie"
    assert indices(words, labels) == expected


def test_digits_that_are_names_are_names():
    assert indices("1", ["1", "0"]) == (0,)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param("persn", "Did you mean 'person'?", id="typo"),
        pytest.param("2", "does not know '2'. It knows person, tie; a number", id="number"),
        pytest.param("-1", "does not know '-1'", id="negative"),
        pytest.param(" , ", "names no class", id="nothing"),
    ],
)
def test_unknown_classes_get_one_line(words, said):
    with pytest.raises(UserError) as error:
        indices(words, ["person", "tie"])
    assert said in error.value.message
