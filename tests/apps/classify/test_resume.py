import csv
import json
import shutil

import pytest

from dlapps import runs
from tests.apps.classify.shapes import draw, write_folder


@pytest.fixture
def finished(trained, tmp_path):
    """A copy of a finished run of eight epochs, with its own copy of what it learnt from."""
    run, data = (shutil.copytree(each, tmp_path / each.name) for each in trained)
    record = json.loads((run / "run.json").read_text())
    record["dataset"]["data"] = str(data)
    (run / "run.json").write_text(json.dumps(record))
    return run


def rows(run):
    return [*csv.DictReader((run / "history.csv").read_text().splitlines())]


def assert_refused(result, said, status=1):
    assert result.exit_code == status, result.output
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_finished_run_is_given_more_epochs(finished, dlapps):
    before, best = rows(finished), json.loads((finished / "run.json").read_text())["figures"]
    result = dlapps("classify", "--resume", finished, "--epochs", 10, "--tensorboard")
    assert result.exit_code == 0, result.output
    assert "Going on with phase 'head' at epoch 9 of 10 epochs." in result.stderr
    assert result.stdout == f"{finished}\n"
    assert rows(finished)[:8] == before
    assert [row["epoch"] for row in rows(finished)] == [str(k) for k in range(1, 11)]
    record = json.loads((finished / "run.json").read_text())
    assert (record["state"], record["options"]["epochs"]) == ("finished", 10)
    assert record["options"]["views"] == 1  # As the run was begun.
    assert record["figures"]["val_accuracy"] >= best["val_accuracy"]
    assert [*(finished / "tensorboard").iterdir()]


def test_a_finished_run_without_more_epochs_is_refused(finished, dlapps):
    said = "is finished, with 8 epochs. Name more in all, such as --epochs 16."
    assert_refused(dlapps("classify", "--resume", finished), said)
    assert_refused(dlapps("classify", "--resume", finished, "--epochs", 8), said)
    assert_refused(dlapps("classify", "--resume", finished, "--epochs", "auto"), said)


def test_a_run_goes_on_with_its_own_options_only(finished, dlapps):
    words = ("--epochs", 10, "--learning-rate", 0.1)
    said = "--learning-rate is 0.1 here, but 0.002 in"
    assert_refused(dlapps("classify", "--resume", finished, *words), said)


def test_what_is_no_run_of_this_app_is_refused(finished, dlapps, tmp_path):
    said = "is not a run: it holds no run.json"
    assert_refused(dlapps("classify", "--resume", tmp_path / "shapes"), said)
    assert_refused(dlapps("classify", "--resume", "run-2"), "run-2 does not exist.")
    record = json.loads((finished / "run.json").read_text())
    (finished / "run.json").write_text(json.dumps({**record, "app": "detect"}))
    said = f"is a run of detect. Go on with it: dlapps detect --resume {finished}"
    assert_refused(dlapps("classify", "--resume", finished), said)


@pytest.mark.parametrize("change", ["pixel", "label", "picture", "all"])
def test_a_dataset_that_has_changed_is_refused(finished, dlapps, tmp_path, change):
    data = tmp_path / "shapes"
    if change == "pixel":
        draw("disc", 4242).save(data / "disc/1.png")
    elif change == "label":
        (data / "disc/0.png").rename(data / "square/moved.png")
    elif change == "picture":
        draw("disc", 4242).save(data / "disc/more.png")
    else:
        shutil.rmtree(data)
        write_folder(data, first=500)
    result = dlapps("classify", "--resume", finished, "--epochs", 10)
    assert_refused(result, f"{data} is not what {finished} began with: a picture, a label or")


def test_a_dataset_that_is_gone_is_named(finished, dlapps, tmp_path):
    shutil.rmtree(tmp_path / "shapes")
    result = dlapps("classify", "--resume", finished, "--epochs", 10)
    assert_refused(result, f"{tmp_path / 'shapes'} does not exist.")


def test_a_damaged_checkpoint_is_refused(finished, dlapps):
    path = finished / runs.CHECKPOINT
    path.write_bytes(path.read_bytes()[:-100])
    result = dlapps("classify", "--resume", finished, "--epochs", 10)
    assert_refused(result, f"{path} is damaged, or no checkpoint. Train anew.")


def test_a_run_that_another_process_trains_is_refused(finished, dlapps):
    before, report = rows(finished), finished / "report.html"
    report.write_text("what the other process has written")
    with runs.held(runs.read(finished)):
        result = dlapps("classify", "--resume", finished, "--epochs", 10)
    assert report.read_text() == "what the other process has written"
    assert_refused(result, f"{finished} is being trained by another process.")
    assert rows(finished) == before


def test_a_run_that_was_stopped_before_it_had_a_state_begins_anew(shapes, dlapps, tmp_path):
    words = ("--epochs", 2, "--views", 1, "--run", tmp_path / "run")
    result = dlapps("classify", "--train", shapes, *words)
    assert result.exit_code == 0, result.output
    whole = rows(tmp_path / "run")
    for name in (runs.CHECKPOINT, runs.MODEL, "history.csv"):
        (tmp_path / "run" / name).unlink()
    result = dlapps("classify", "--resume", tmp_path / "run")
    assert result.exit_code == 0, result.output
    clocks = {"seconds", "input_seconds"}
    for one, other in zip(rows(tmp_path / "run"), whole, strict=True):
        assert {k: v for k, v in one.items() if k not in clocks} == {
            k: v for k, v in other.items() if k not in clocks
        }


@pytest.mark.slow
def test_the_precision_measured_first_is_kept_and_changes_nothing_else(shapes, dlapps, tmp_path):
    """Measuring draws random numbers, and only the first of two trainings measures."""
    words = ("--head-epochs", 2, "--epochs", 1, "--unfreeze", 1, "--batch-size", 8)
    for name in ("a", "b"):
        run = tmp_path / name
        assert dlapps("classify", "--finetune", shapes, *words, "--run", run).exit_code == 0
    one, other = (json.loads((tmp_path / name / "run.json").read_text()) for name in ("a", "b"))
    assert one["options"]["precision"] == other["options"]["precision"] != "auto"
    for name in ("loss", "val_loss"):
        losses = [[float(row[name]) for row in rows(tmp_path / run)] for run in ("a", "b")]
        assert losses[0] == pytest.approx(losses[1])
