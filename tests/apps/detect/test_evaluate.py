import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dlapps.apps.detect import evaluate as evaluating
from dlapps.cli import cli
from tests.apps.detect.scenes import ColourDetector, painted

BOXES = {"red": (40, 40, 140, 120), "blue": (180, 80, 300, 200)}


@pytest.fixture
def measured(monkeypatch):
    """Runs `dlapps evaluate coco DATA` with a stand-in for the model."""
    monkeypatch.setattr(evaluating, "load_model", lambda name: ColourDetector())

    def run(data, *words):
        words = ["evaluate", "coco", data, "--images", "out", *words]
        return CliRunner().invoke(cli, [str(word) for word in words])

    return run


@pytest.fixture
def data(tmp_path):
    """Four pictures with a red and a blue rectangle each, in YOLO's format."""
    folder = tmp_path / "data"
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for number in range(4):
        boxes = {k: np.add(box, 4 * number) for k, box in BOXES.items()}
        painted((320, 240), [*boxes.values()], boxes).save(folder / f"images/{number}.png")
        write_labels(folder, number, [*boxes.values()], [0, 1])
    (folder / "data.yaml").write_text("train: images\nval: images\nnames: [red, blue]\n")
    return folder


def write_labels(folder, number, boxes, labels):
    text = ""
    for label, (left, top, right, bottom) in zip(labels, boxes, strict=True):
        numbers = ((left + right) / 640, (top + bottom) / 480)
        numbers += ((right - left) / 320, (bottom - top) / 240)
        text += " ".join([str(label), *(f"{x:.6f}" for x in numbers)]) + "\n"
    (folder / f"labels/{number}.txt").write_text(text)


def test_what_is_found_where_it_is_counts_in_full(measured, data, tmp_path):
    result = measured(data / "data.yaml", "--format", "json")
    assert result.exit_code == 0, result.output
    measures = json.loads(result.stdout)
    assert measures["map50"] == pytest.approx(1)
    assert measures["map50_95"] > 0.6
    assert measures["classes"]["red"]["ap50"] == pytest.approx(1)
    assert measures["skipped"] == 0
    assert "explanation" not in measures
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "confusion.png", "precision_recall.png",
    }  # fmt: skip


def test_what_is_missed_is_drawn(measured, data, tmp_path):
    write_labels(data, 0, [*BOXES.values(), (10, 150, 60, 230)], [0, 1, 1])
    result = measured(data / "data.yaml")
    assert result.exit_code == 0, result.output
    assert "mAP50 " in result.stdout
    with Image.open(tmp_path / "out/worst.png") as sheet:
        assert sheet.width > 2 * 320


def test_an_map_of_0_is_explained(measured, data):
    for number in range(4):
        boxes = [np.add(box, 4 * number) for box in BOXES.values()]
        write_labels(data, number, boxes, [1, 0])
    result = measured(data / "data.yaml")
    assert result.exit_code == 0, result.output
    assert "mAP50                       0.0000" in result.stdout
    assert "are found in the right place, but called by another class" in result.stdout
    assert "names of the dataset in another order" in result.stdout
    said = json.loads(measured(data / "data.yaml", "--format", "json").stdout)["explanation"]
    assert len(said) == 2


def test_broken_pictures_are_counted(measured, data):
    picture = data / "images/2.png"
    picture.write_bytes(picture.read_bytes()[:200])
    result = measured(data / "data.yaml", "--format", "json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["skipped"] == 1
    assert "2.png" in result.stderr
    strict = measured(data / "data.yaml", "--strict")
    assert strict.exit_code == 1
    assert "2.png cannot be read" in strict.stderr


def test_data_are_needed_for_what_is_no_run():
    result = CliRunner().invoke(cli, ["evaluate", "coco"])
    assert result.exit_code == 1
    assert "coco is not a run, so DATA is needed" in result.stderr


def test_examples_right_and_wrong_are_drawn(data, tmp_path):
    from dlapps.apps.detect.data import read_examples

    write_labels(data, 0, [*BOXES.values(), (10, 150, 60, 230)], [0, 1, 1])
    examples, _ = read_examples(str(data / "data.yaml"), ColourDetector.labels)
    evaluating.draw_examples(ColourDetector(), examples, tmp_path)
    for name in ("right.png", "wrong.png"):
        with Image.open(tmp_path / name) as sheet:
            assert sheet.width > 2 * 320
