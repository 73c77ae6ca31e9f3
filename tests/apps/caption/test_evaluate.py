import json
import shutil

import pytest

from dlapps.apps.caption import evaluate as module
from dlapps.apps.caption.evaluate import evaluate
from tests.apps.caption.shapes import TINY, write_captioned


@pytest.fixture(scope="module")
def measured(trained, tmp_path_factory):
    """What a model that knows its pictures by heart reaches on them, and the folder it filled."""
    folder = tmp_path_factory.mktemp("measured")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_meteor", lambda captions, truth: None)
        return evaluate(str(trained[0]), str(trained[1]), folder), folder


def test_what_is_known_by_heart_is_measured_so(measured):
    measures, _ = measured
    assert measures["num_pictures"] == 5
    assert measures["bleu4"] > 0.99
    assert measures["rouge_l"] > 0.99
    assert measures["distinct"] == 1
    assert measures["cider"] > 1
    assert measures["skipped"] == 0
    assert measures["mean_length"] > 3


def test_the_page_shows_the_best_and_the_worst(measured):
    _, folder = measured
    page = (folder / "examples.html").read_text()
    assert page.count("<figure>") == 10  # All five at both ends.
    assert "Best" in page
    assert 'src="data:image/jpeg;base64,' in page
    rows = json.loads((folder / "captions.json").read_text())
    assert [row["cider"] for row in rows] == sorted((r["cider"] for r in rows), reverse=True)
    assert rows[0].keys() == {"path", "caption", "cider", "references"}


def test_baselines_stand_beside_a_run_that_held_out_pictures(shapes, dlapps, tmp_path):
    words = [*TINY, "--epochs", 2, "--run", tmp_path / "run"]
    assert dlapps("caption", "--train", shapes, *words).exit_code == 0
    result = dlapps("evaluate", tmp_path / "run", "--format", "json")
    assert result.exit_code == 0, result.output
    measures = json.loads(result.stdout)
    held_out = json.loads((tmp_path / "run/run.json").read_text())["dataset"]["validation"]
    assert measures["num_pictures"] == held_out
    assert {*measures["baselines"]} == {"nearest_picture's_caption", "most_usual_caption"}
    # The nearest drawn shape is nearly always one of the same kind and colour.
    near = measures["baselines"]["nearest_picture's_caption"]
    assert near["bleu1"] >= measures["baselines"]["most_usual_caption"]["bleu1"]
    table = dlapps("evaluate", tmp_path / "run").stdout
    assert "BLEU-4" in table
    assert "nearest picture's caption" in table
    # On the whole dataset, too, only what it has not learnt from counts.
    again = dlapps("evaluate", tmp_path / "run", shapes, "--format", "json")
    assert json.loads(again.stdout)["num_pictures"] == held_out
    assert "It learnt from these" in again.stderr


def test_a_dataset_that_has_changed_must_be_named(shapes, dlapps, tmp_path):
    words = [*TINY, "--fast-dev-run", "--run", tmp_path / "run"]
    assert dlapps("caption", "--train", shapes, *words).exit_code == 0
    shutil.rmtree(shapes)
    result = dlapps("evaluate", tmp_path / "run")
    assert result.exit_code == 1
    assert "has changed since the training" in result.stderr
    other = write_captioned(tmp_path / "other", copies=1, first=999)
    assert dlapps("evaluate", tmp_path / "run", other).exit_code == 0


def test_a_file_without_a_run_needs_data(trained, dlapps, tmp_path):
    shutil.copy(trained[0] / "model.keras", tmp_path / "mine.keras")
    result = dlapps("evaluate", tmp_path / "mine.keras")
    assert result.exit_code == 1
    assert "is not a run, so DATA is needed" in result.stderr
    assert dlapps("evaluate", tmp_path / "mine.keras", trained[1]).exit_code == 0


def test_unreadable_pictures_are_counted_or_stop_it(trained, dlapps, tmp_path):
    data = write_captioned(tmp_path / "data", copies=1)
    (data / "red-disc-0.png").write_bytes(b"no picture")
    result = dlapps("evaluate", trained[0], data, "--format", "json")
    assert json.loads(result.stdout)["skipped"] == 1
    assert "red-disc-0.png" in result.stderr
    result = dlapps("evaluate", trained[0], data, "--strict")
    assert result.exit_code == 1
    assert "red-disc-0.png cannot be read" in result.stderr


def test_meteor_is_left_out_without_java(monkeypatch):
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    assert module._meteor([["a"]], [[["a"]]]) is None
