"""Trainings of the detector that are stopped and gone on with."""

import csv
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from dlapps import training
from dlapps.apps.detect.model import load_model
from dlapps.callbacks.full_state_checkpoint import FullStateCheckpoint
from tests.apps.detect.tiny import TINY, detect, record, stand_in, write_yolo

CLOCKS = {"seconds", "input_seconds"}
# A rate that does not depend on how many epochs there are.
STEADY = ("--schedule", "constant", "--warm-up", 0)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    stand_in(monkeypatch)


def rows(run):
    with (run / "history.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in CLOCKS} for row in csv.DictReader(file)]


def assert_same(one, other):
    assert rows(one) == rows(other)
    assert record(one)["figures"] == record(other)["figures"]
    weights = [load_model(str(run)).get_weights() for run in (one, other)]
    for left, right in zip(*weights, strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A run of two epochs of `--train`, and the data."""
    root = tmp_path_factory.mktemp("finished")
    data = write_yolo(root / "data")
    with pytest.MonkeyPatch.context() as patch:
        stand_in(patch)
        patch.setenv("DLAPPS_CACHE", str(root / "cache"))
        result = detect("--train", data, *TINY, *STEADY, "--epochs", 2, "--run", root / "run")
    assert result.exit_code == 0, result.output
    return root


@pytest.fixture
def finished(kept, tmp_path):
    """A copy of it, with its own copy of the data."""
    run, data = (shutil.copytree(kept / name, tmp_path / name) for name in ("run", "data"))
    about = record(run)
    about["dataset"]["data"] = str(data / "data.yaml")
    (run / "run.json").write_text(json.dumps(about))
    return run


def test_a_finished_run_is_given_more_epochs(finished):
    before, best = rows(finished), record(finished)["figures"]
    result = detect("--resume", finished, "--epochs", 3)
    assert result.exit_code == 0, result.output
    assert "Going on with phase 'head' at epoch 3 of 3 epochs." in result.stderr
    assert result.stdout == f"{finished}\n"
    assert rows(finished)[:2] == before
    assert [row["epoch"] for row in rows(finished)] == ["1", "2", "3"]
    assert record(finished)["figures"]["val_map50_95"] >= best["val_map50_95"]


def assert_refused(result, said, status=1):
    assert result.exit_code == status, result.output
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("change", ["box", "label", "picture"])
def test_data_that_have_changed_are_refused(finished, tmp_path, change):
    data, before = tmp_path / "data", rows(finished)
    text = data / "labels/train/1.txt"
    if change == "box":
        text.write_text(text.read_text().replace("0.", "0.1", 1))
    elif change == "label":
        text.write_text("".join(f"{1 - int(line[0])}{line[1:]}"
                                for line in text.open()))  # fmt: skip
    else:
        (data / "images/train/0.png").unlink()
    result = detect("--resume", finished, "--epochs", 3)
    assert_refused(result, f"is not what {finished} began with: a picture, a box or the split has")
    assert rows(finished) == before


def test_a_run_goes_on_with_its_own_options_only(finished):
    said = "--learning-rate is 0.1 here, but 0.003 in"
    assert_refused(detect("--resume", finished, "--epochs", 3, "--learning-rate", 0.1), said)
    assert_refused(detect("--resume", finished), "is finished, with 2 epochs.")
    assert_refused(
        detect("--resume", finished, "--width", 16, "--epochs", 3), "--width is 16 here, but 8 in"
    )


def stopped_after_steps(monkeypatch, steps, words, run):
    """Trains, stopping after some steps of the whole training and resuming."""
    left, done = [*steps], 0

    def asked():
        nonlocal done
        done += 1
        return "a test" if done in left else None

    def stopping(*args, **settings):
        return FullStateCheckpoint(*args, **{**settings, "stop": asked})

    monkeypatch.setattr(training, "FullStateCheckpoint", stopping)
    for _ in left:
        result = detect(*words)
        assert result.exit_code == 130, result.output
        words = ("--resume", run)
    result = detect(*words)
    assert result.exit_code == 0, result.output


def test_stopped_within_an_epoch_it_ends_as_if_never_stopped(tmp_path, monkeypatch):
    data = write_yolo(tmp_path / "data", train=12)
    words = ("--finetune", data, *TINY, "--head-epochs", 1, "--epochs", 1, "--multi-scale")
    words += ("--image-size", 96, "--augment", "standard", "--run")
    whole = detect(*words, "whole")
    assert whole.exit_code == 0, whole.output
    # After the first of three steps of the head, and the second of the finer tuning.
    stopped_after_steps(monkeypatch, (1, 5), (*words, "broken"), "broken")
    assert_same(tmp_path / "whole", tmp_path / "broken")


SCRIPT = """
import sys
import pytest
from click.testing import CliRunner
from dlapps.cli import cli
from tests.apps.detect.tiny import stand_in
stand_in(pytest.MonkeyPatch())
for line in sys.stdin:
    result = CliRunner().invoke(cli, line.split())
    assert result.exit_code == 0, result.output
"""


@pytest.mark.slow
def test_one_epoch_and_another_are_two_bit_for_bit(tmp_path, pytestconfig):
    """In a process of its own, for there is no way back from `--deterministic`."""
    data = write_yolo(tmp_path / "data")
    options = " ".join(map(str, (*TINY, *STEADY, "--deterministic", "--augment", "standard")))
    lines = [
        f"detect --train {data} {options} --epochs 2 --run whole",
        f"detect --train {data} {options} --epochs 1 --run halves",
        "detect --resume halves --epochs 2",
    ]
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT]
    environment = {**os.environ, "PYTHONPATH": str(pytestconfig.rootpath)}
    text = "\n".join(lines)
    subprocess.run(command, input=text, text=True, cwd=tmp_path, check=True, env=environment)
    assert_same(tmp_path / "whole", tmp_path / "halves")
