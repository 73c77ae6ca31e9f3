import csv
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from dlapps import runs, training
from dlapps.apps.generate import phases
from dlapps.apps.generate.model import load_model
from dlapps.callbacks.full_state_checkpoint import FullStateCheckpoint
from tests.apps.generate.tiny import CYCLE, TINY

CLOCKS = {"seconds", "input_seconds"}
# A rate that does not depend on how many epochs there are.
STEADY = ("--schedule", "constant", "--warm-up", 0)


def record(run):
    return json.loads((run / "run.json").read_text())


def rows(run):
    with (run / "history.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in CLOCKS} for row in csv.DictReader(file)]


@pytest.fixture
def finished(trained, tmp_path):
    """A copy of a finished run of six epochs, with its own copy of the text."""
    run = shutil.copytree(trained[0], tmp_path / "run")
    text = shutil.copy(trained[1], tmp_path / "mine.txt")
    about = record(run)
    about["dataset"]["data"] = [str(text)]
    (run / "run.json").write_text(json.dumps(about))
    return run


def test_a_finished_run_is_given_more_epochs(finished, dlapps):
    before, best = rows(finished), record(finished)["figures"]
    result = dlapps("generate", "--resume", finished, "--epochs", 8)
    assert result.exit_code == 0, result.output
    assert "at epoch 7 of 8 epochs" in result.stderr
    assert result.stdout == f"{finished}\n"
    assert rows(finished)[:6] == before
    assert [row["epoch"] for row in rows(finished)] == [str(k) for k in range(1, 9)]
    assert record(finished)["state"] == "finished"
    assert record(finished)["figures"]["val_loss"] <= best["val_loss"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param([], "is finished, with 6 epochs", id="nothing left"),
        pytest.param(
            ["--epochs", "9", "--units", "99"], "--units is 99 here, but 16 in", id="units"
        ),
        pytest.param(["--epochs", "9", "--model", "x"], "leave them out", id="model"),
    ],
)
def test_a_run_goes_on_with_its_own_options_only(finished, dlapps, words, said):
    before = rows(finished)
    result = dlapps("generate", "--resume", finished, *words)
    assert result.exit_code in (1, 2)
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert rows(finished) == before


def test_a_text_that_has_changed_is_refused(finished, dlapps, tmp_path):
    (tmp_path / "mine.txt").write_text(CYCLE.replace("d", "e", 1))
    result = dlapps("generate", "--resume", finished, "--epochs", 8)
    assert result.exit_code == 1
    assert f"mine.txt is not what {finished} began with" in result.stderr


def test_a_run_of_another_app_is_refused(finished, dlapps):
    (finished / "run.json").write_text(json.dumps({**record(finished), "app": "classify"}))
    result = dlapps("generate", "--resume", finished, "--epochs", 8)
    assert result.exit_code == 1
    assert f"is a run of classify. Go on with it: dlapps classify --resume {finished}" in (
        result.stderr
    )


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), ("--stateful",)])
def test_stopped_after_every_step_it_ends_as_if_never_stopped(words, tmp_path, dlapps, monkeypatch):
    def stopping(*args, **settings):
        return FullStateCheckpoint(*args, **{**settings, "stop": lambda: "a test"})

    monkeypatch.setattr(phases, "STEPS_AT_ONCE", 1)
    (tmp_path / "short.txt").write_text(CYCLE[:130])
    options = (*TINY, "--epochs", 2, "--dropout", 0.2, "--batch-size", 4, *words)
    whole = dlapps("generate", "--train", tmp_path / "short.txt", *options, "--run", "whole")
    assert whole.exit_code == 0, whole.output
    monkeypatch.setattr(training, "FullStateCheckpoint", stopping)
    words = ("--train", tmp_path / "short.txt", *options, "--run", "broken")
    stops = 0
    while (result := dlapps("generate", *words)).exit_code == 130:
        words = ("--resume", "broken")
        stops += 1
    assert result.exit_code == 0, result.output
    assert stops >= 4
    assert rows(tmp_path / "whole") == rows(tmp_path / "broken")
    one, other = (load_model(str(tmp_path / name)).get_weights() for name in ("whole", "broken"))
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)


SCRIPT = """
import sys
from click.testing import CliRunner
from dlapps.cli import cli
for line in sys.stdin:
    result = CliRunner().invoke(cli, line.split())
    assert result.exit_code == 0, result.output
"""


@pytest.mark.slow
def test_one_epoch_and_another_are_two_bit_for_bit(cycle, tmp_path):
    """In a process of its own, for there is no way back from `--deterministic`."""
    options = " ".join(map(str, (*TINY, *STEADY, "--deterministic", "--dropout", 0.3)))
    lines = [
        f"generate --train {cycle} {options} --epochs 2 --run whole",
        f"generate --train {cycle} {options} --epochs 1 --run halves",
        "generate --resume halves --epochs 2",
    ]
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT]
    text = "\n".join(lines)
    subprocess.run(command, input=text, text=True, cwd=tmp_path, check=True, env=os.environ)
    assert rows(tmp_path / "whole") == rows(tmp_path / "halves")
    states = [runs.read(tmp_path / name).record["figures"] for name in ("whole", "halves")]
    assert states[0] == states[1]
    one, other = (load_model(str(tmp_path / name)).get_weights() for name in ("whole", "halves"))
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)
