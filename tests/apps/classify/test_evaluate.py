import json
import shutil

import pytest
from PIL import Image

from tests.apps.classify.shapes import draw, write_folder


def test_a_run_is_measured_on_what_it_held_out(trained, dlapps):
    run, _ = trained
    result = dlapps("evaluate", run, "--format", "json")
    assert result.exit_code == 0, result.output
    measures = json.loads(result.stdout)
    assert measures["num_pictures"] == 4
    assert "held out" in result.stderr
    assert Image.open(run / "evaluation/confusion.png").size[0] > 300


def test_the_held_out_part_is_used_when_the_training_data_are_named(trained, dlapps):
    run, data = trained
    measures = json.loads(dlapps("evaluate", run, data, "--format", "json").stdout)
    assert measures["num_pictures"] == 4


def test_other_data_are_used_whole(trained, dlapps, tmp_path):
    run, _ = trained
    data = write_folder(tmp_path / "other", per_class=7, first=700)
    result = dlapps("evaluate", run, data, "--format", "json")
    measures = json.loads(result.stdout)
    assert measures["num_pictures"] == 14
    assert measures["accuracy"] >= 13 / 14
    assert measures["classes"]["disc"]["num_pictures"] == 7


def test_figures_of_the_run_and_of_the_evaluation_are_the_same(trained, dlapps):
    run, _ = trained
    measures = json.loads(dlapps("evaluate", run, "--format", "json").stdout)
    figures = json.loads((run / "run.json").read_text())["figures"]
    assert measures["accuracy"] == pytest.approx(figures["val_accuracy"])
    assert measures["loss"] == pytest.approx(figures["val_calibrated_loss"], abs=1e-3)
    assert measures["loss"] < figures["val_loss"] + 1e-3
    assert figures["temperature"] != 1


def test_data_that_changed_since_the_training_are_refused(trained, dlapps, tmp_path):
    run, _ = trained
    moved = tmp_path / "run"
    shutil.copytree(run, moved)
    record = json.loads((moved / "run.json").read_text())
    other = write_folder(tmp_path / "other", per_class=5)
    record["dataset"]["data"] = str(other)
    (moved / "run.json").write_text(json.dumps(record))
    result = dlapps("evaluate", moved)
    assert result.exit_code == 1
    assert "has changed since the training" in result.stderr


def test_mistakes_are_drawn_with_what_they_were_taken_for(trained, dlapps, tmp_path):
    run, _ = trained
    data = write_folder(tmp_path / "wrong", per_class=3, first=800)
    for number in range(3):
        draw("disc", 900 + number).save(data / f"square/really-a-disc-{number}.png")
    result = dlapps("evaluate", run, data, "--images", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert Image.open(tmp_path / "out/worst.png").size[0] > 160


def test_broken_pictures_are_counted(trained, dlapps, tmp_path):
    run, _ = trained
    data = write_folder(tmp_path / "other", per_class=3)
    (data / "disc/broken.jpg").write_text("text")
    result = dlapps("evaluate", run, data, "--format", "json")
    assert json.loads(result.stdout)["skipped"] == 1
    assert "broken.jpg" in result.stderr
    strict = dlapps("evaluate", run, data, "--strict")
    assert strict.exit_code == 1
    assert "broken.jpg cannot be read" in strict.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["nowhere"], "nowhere does not exist", id="missing"),
        pytest.param(["imagenet"], "DATA is needed", id="built-in without data"),
        pytest.param(["."], "is not a run: it holds no run.json", id="no run"),
    ],
)
def test_mistakes_get_one_line(words, said, dlapps):
    result = dlapps("evaluate", *words)
    assert result.exit_code == 1
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_model_file_alone_can_be_measured(trained, dlapps, tmp_path):
    run, data = trained
    shutil.copy(run / "model.keras", tmp_path / "mine.keras")
    result = dlapps("evaluate", tmp_path / "mine.keras", data, "--format", "json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["num_pictures"] == 20
