import csv
import json

import numpy as np
import pytest
from PIL import Image

from dlapps.apps.detect import metrics, render
from dlapps.apps.detect.data import Dataset
from dlapps.apps.detect.render import Prediction
from dlapps.data.inputs import Input
from dlapps.data.videos import Frame, Video
from tests.apps.detect.scenes import found, truth

LABELS = ["cat", 'the "dog"']


@pytest.fixture
def predictions():
    boxes = np.array([[10.123, 20, 40, 60], [0, 0, 300, 200]], np.float32)
    frame = Frame("clip.mp4#12", b"", "clip.mp4", 12, 0.48, 25.0)
    none = (np.empty((0, 4), np.float32), np.empty(0), np.empty(0, int))
    return [
        Prediction(Input("a, b.jpg", b""), (320, 240), boxes, np.array([0.9, 0.5]), [0, 1]),
        Prediction(Input("empty.jpg", b""), (320, 240), *none),
        Prediction(frame, (320, 240), boxes[:1], np.array([0.25]), [1]),
    ]


def lines(predictions, form):
    return [*render.lines(predictions, form, [one.input for one in predictions], LABELS)]


def test_json_has_the_shape_of_every_app(predictions):
    first, second, third = json.loads("\n".join(lines(predictions, "json")))
    assert first == {
        "path": "a, b.jpg",
        "boxes": [
            {"label": "cat", "score": 0.9, "xyxy": [10.12, 20, 40, 60]},
            {"label": 'the "dog"', "score": 0.5, "xyxy": [0, 0, 300, 200]},
        ],
    }
    assert second == {"path": "empty.jpg", "boxes": []}
    assert (third["path"], third["seconds"]) == ("clip.mp4#12", 0.48)


@pytest.mark.parametrize("form", ["json", "coco"])
def test_no_predictions_are_an_empty_list(form):
    assert json.loads("\n".join(lines([], form))) == []


def test_json_lines_hold_what_json_holds(predictions):
    whole = json.loads("\n".join(lines(predictions, "json")))
    assert [json.loads(line) for line in lines(predictions, "jsonl")] == whole


def test_csv_has_a_row_for_each_box(predictions):
    rows = [*csv.DictReader(lines(predictions, "csv"))]
    assert len(rows) == 3
    assert rows[1]["label"] == 'the "dog"'
    assert [rows[0][name] for name in ("path", "left", "bottom", "seconds")] == [
        "a, b.jpg", "10.12", "60.0", "",
    ]  # fmt: skip
    assert rows[2]["seconds"] == "0.48"


def test_coco_results_name_pictures_by_their_files(predictions):
    results = json.loads("\n".join(lines(predictions, "coco")))
    assert [one["image_id"] for one in results] == ["a, b", "a, b", "clip-000012"]
    assert results[1]["bbox"] == [0, 0, 300, 200]
    assert [one["category_id"] for one in results] == [1, 2, 2]


def test_the_table_says_where_nothing_is_found(predictions):
    text = lines(predictions, "table")
    assert text[0] == "a, b.jpg      90.0%     10    20    40    60  cat"
    assert text[1].startswith("    ")
    assert text[2].split() == ["empty.jpg", "nothing", "found"]
    assert text[3].startswith("clip.mp4#12 (0.48 s)  ")


def test_columns_of_the_table_stand_below_each_other(predictions):
    video = Video("clip.mp4", b"")
    inputs = [Input("a, b.jpg", b""), video]
    text = [*render.lines([predictions[0], predictions[2]], "table", inputs, LABELS)]
    assert len({line.index("%") for line in text}) == 1
    long = Prediction(Input("x" * 90, b""), *[getattr(predictions[0], name) for name in (
        "size", "boxes", "scores", "labels")])  # fmt: skip
    text = lines([long], "table")
    assert len({line.index("%") for line in text}) == 1


def test_lines_come_as_the_predictions_do(predictions):
    seen = []

    def watched():
        for prediction in predictions:
            seen.append(prediction.input.name)
            yield prediction

    for form, ahead in (("jsonl", 1), ("table", 1), ("csv", 0), ("json", 0)):
        seen.clear()
        next(render.lines(watched(), form, [], LABELS))
        assert len(seen) == ahead


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a/b.c.jpg", "b.c"), ("../../etc/passwd", "passwd"), ("..", "picture"), (".x.jpg", "x")],
)
def test_no_name_leads_out_of_a_folder(name, expected):
    assert render.stem(Input(name, b"")) == expected


def test_frames_are_called_after_video_and_number():
    frame = Frame("../clip.mp4#7", b"", "../clip.mp4", 7, 0.1, 25.0)
    assert render.stem(frame) == "clip-000007"
    assert render.stem(Frame("webcam:0#7", b"", "webcam:0", 7, 0.1, 25.0)) == "webcam0-000007"


def test_what_was_found_is_drawn_on_the_picture(predictions):
    image = Image.new("RGB", (320, 240), "white")
    drawn = np.asarray(render.drawn(image, predictions[0], LABELS))
    assert (drawn != 255).any(axis=-1).sum() > 1000
    assert drawn.shape == (240, 320, 3)


def test_truth_and_answer_are_drawn_apart_on_a_picture_of_any_scale():
    image = Image.new("RGB", (320, 240), "white")
    known = truth([[100, 100, 200, 200]], [0])  # Of 640 x 480.
    there, said = render.compared(image, known, found([[400, 300, 600, 450]], [0.9]), LABELS, 0.5)
    for drawn, (left, right) in ((there, (50, 100)), (said, (200, 300))):
        columns = np.nonzero((np.asarray(drawn) != 255).any(axis=-1))[1]
        assert abs(columns.min() - left) < 5
        assert columns.max() >= right - 5
    nothing = render.compared(image, known, found([[0, 0, 90, 90]], [0.1]), LABELS, 0.5)[1]
    assert nothing.getextrema() == ((255, 255),) * 3


def test_only_faults_have_their_labels_written():
    image = Image.new("RGB", (640, 480), "white")
    known = truth([[100, 100, 300, 300]], [0])
    right = render.compared(image, known, found([[100, 100, 300, 300]]), LABELS, 0.5)
    wrong = render.compared(image, known, found([[100, 100, 300, 300]], None, [1]), LABELS, 0.5)
    for one, other in zip(right, wrong, strict=True):
        ink = [(np.asarray(x)[:95] != 255).any(axis=-1).sum() for x in (one, other)]
        assert ink[0] == 0
        assert ink[1] > 100


def test_the_table_of_an_evaluation_leaves_out_what_was_not_there():
    known = [truth([[0, 0, 100, 100]], [0])]
    result = metrics.evaluation(known, [found([[0, 0, 100, 100]])], ["cat", "dog"])
    measures = {**result.measures, "classes": result.classes, "explanation": ["Because."]}
    text = render.evaluation_table(measures).splitlines()
    assert "mAP50                       1.0000" in text
    assert "  small boxes                    -" in text
    assert not any(line.startswith("dog") for line in text)
    assert text[-1] == "Because."


def test_the_line_about_a_dataset_counts_boxes_and_pictures():
    examples = [truth([[0, 0, 9, 9]] * 3), truth([])]
    dataset = Dataset("cells", ["cat", "dog"], examples, examples[:1])
    line = render.dataset_line(dataset)
    assert line == "cells: 2 classes, 3 boxes in 2 pictures to learn from, 3 in 1 held out."
