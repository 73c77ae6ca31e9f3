import json

import numpy as np
import pytest
from PIL import Image

from dlapps.apps.classify import metrics, render
from dlapps.apps.classify.render import Prediction
from dlapps.data.inputs import Input


@pytest.fixture
def predictions():
    return [
        Prediction(Input("a, b.jpg", b""), [("cat", 0.75), ('the "dog"', 0.25)]),
        Prediction(Input("c.jpg", b""), [("dog", 0.9), ("cat", 0.1)]),
    ]


def test_json_has_the_shape_of_every_app(predictions):
    text = "\n".join(render.lines(predictions, "json", []))
    assert json.loads(text)[1] == {
        "path": "c.jpg",
        "classes": [
            {"label": "dog", "probability": 0.9},
            {"label": "cat", "probability": 0.1},
        ],
    }


def test_csv_survives_commas_and_quotes(predictions):
    import csv

    rows = [*csv.DictReader(render.lines(predictions, "csv", []))]
    assert rows[1] == {
        "path": "a, b.jpg",
        "rank": "2",
        "label": 'the "dog"',
        "probability": "0.250000",
    }


def test_lines_come_as_the_predictions_do(predictions):
    seen = []

    def watched():
        for prediction in predictions:
            seen.append(prediction.input.name)
            yield prediction

    next(render.lines(watched(), "jsonl", []))
    assert seen == ["a, b.jpg"]


def test_columns_of_the_table_stand_below_each_other(predictions):
    text = [*render.lines(predictions, "table", ["a, b.jpg", "c.jpg"])]
    assert len({line.index("%") for line in text}) == 1
    assert text[1].startswith(" ")


def test_labels_are_written_below_the_picture_not_on_it():
    image = Image.new("RGB", (300, 200), "green")
    drawn = render.labelled(image, [("a label much too long for the width " * 3, 0.5)])
    assert drawn.size[0] == 300
    assert drawn.size[1] > 200
    assert np.asarray(drawn.crop((0, 0, 300, 200))).reshape(-1, 3).tolist() == [[0, 128, 0]] * 60000


def test_a_tiny_picture_still_has_room_for_its_labels():
    assert render.labelled(Image.new("RGB", (8, 8)), [("cat", 0.5)]).size[0] >= 200


def test_heat_lies_over_the_centre_square_only():
    image = Image.new("RGB", (200, 100), "white")
    drawn = np.asarray(render.explained(image, np.ones((7, 7)), crop=0.8))
    changed = np.argwhere((drawn != 255).any(axis=-1))
    assert changed.min(axis=0).tolist() == [10, 60]
    assert changed.max(axis=0).tolist() == [89, 139]


def test_the_table_of_an_evaluation_shows_the_baselines():
    truth = np.array([0, 0, 0, 1])
    result = metrics.evaluation(np.eye(2)[[0, 0, 0, 0]], truth, ["cat", "dog"])
    text = render.evaluation_table({**result.measures, "classes": result.classes})
    assert "always the commonest class    0.7500" in text
    assert "by chance" in text
    assert text.splitlines()[-1].startswith("dog")
