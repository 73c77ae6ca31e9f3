import csv
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from dlapps import runs
from dlapps.apps.caption.model import load_model
from tests.apps.caption.shapes import TINY, write_captioned

CLOCKS = {"seconds", "input_seconds"}
STEADY = ("--schedule", "constant", "--warm-up", 0)
# Saves the state after every step, so that a kill comes within an epoch on any machine.
SCRIPT = """
import sys
from dlapps import training
from dlapps.cli import cli
plain = training.FullStateCheckpoint
training.FullStateCheckpoint = lambda *a, **more: plain(*a, **{**more, "seconds": 0.0})
cli(["caption", *sys.argv[1:]])
"""


def rows(run):
    with (run / "history.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in CLOCKS} for row in csv.DictReader(file)]


def record(run):
    return json.loads((run / "run.json").read_text())


def test_a_finished_run_is_given_more_epochs(shapes, dlapps, tmp_path):
    run = tmp_path / "run"
    words = [*TINY, *STEADY, "--epochs", 2, "--run", run]
    assert dlapps("caption", "--train", shapes, *words).exit_code == 0
    before = rows(run)
    result = dlapps("caption", "--resume", run)
    assert result.exit_code == 1
    assert "is finished, with 2 epochs" in result.stderr
    result = dlapps("caption", "--resume", run, "--epochs", 3)
    assert result.exit_code == 0, result.output
    assert rows(run)[:2] == before
    assert len(rows(run)) == 3
    assert record(run)["state"] == "finished"


def test_fine_tuning_and_the_reward_follow_the_decoder(shapes, dlapps, tmp_path):
    run = tmp_path / "run"
    words = [*TINY, "--decoder-epochs", 2, "--epochs", 1, "--reward", "cider"]
    words += ["--reward-epochs", 1, "--scheduled-sampling", 0.5, "--coverage", 1, "--run", run]
    result = dlapps("caption", "--finetune", shapes, *words)
    assert result.exit_code == 0, result.output
    assert [row["phase"] for row in rows(run)] == ["decoder", "decoder", "finetune", "reward"]
    assert "Fine-tuning the last" in result.stderr
    assert record(run)["state"] == "finished"
    assert {*record(run)["phases"]} == {"decoder", "finetune", "reward"}


def test_fine_tuning_goes_on_with_a_model_and_moves_its_backbone(trained, shapes, dlapps, tmp_path):
    run = tmp_path / "run"
    words = ["--epochs", 1, "--batch-size", 8, "--precision", "float32", "--run", run]
    words += ["--learning-rate", "1e-2", "--average", 0]
    result = dlapps("caption", "--finetune", shapes, "--model", trained[0], *words)
    assert result.exit_code == 0, result.output
    assert [row["phase"] for row in rows(run)] == ["finetune"]
    before, after = (load_model(str(place)) for place in (trained[0], run))
    assert before.vocabulary == after.vocabulary
    moved = [
        bool(np.any(np.asarray(one) != np.asarray(other)))
        for one, other in zip(before.network.weights, after.network.weights, strict=True)
    ]
    assert any(moved)
    assert not all(moved)  # The first blocks and the batch norms stay.


@pytest.mark.slow
def test_killed_within_an_epoch_and_resumed_it_ends_bit_for_bit_as_if_never_stopped(tmp_path):
    data = write_captioned(tmp_path / "shapes", copies=3)
    words = ["--train", data, *TINY, "--epochs", 3, "--deterministic", "--patience", 9, "--run"]
    environment = {**os.environ, "DLAPPS_CACHE": str(tmp_path / "cache")}

    def start(*arguments, errors=subprocess.DEVNULL):
        command = [sys.executable, "-W", "ignore", "-c", SCRIPT, *map(str, arguments)]
        return subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=errors)

    assert start(*words, "whole").wait() == 0
    process, path = start(*words, "killed"), tmp_path / "killed" / runs.CHECKPOINT
    while process.poll() is None and not _within_second_epoch(path):
        pass
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    again = start("--resume", "killed", errors=subprocess.PIPE)
    _, said = again.communicate()
    assert again.returncode == 0, said
    assert b"Going on with phase 'decoder' at epoch 2, step " in said
    assert rows(tmp_path / "whole") == rows(tmp_path / "killed")
    weights = [load_model(str(tmp_path / name)).get_weights() for name in ("whole", "killed")]
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def _within_second_epoch(path):
    from dlapps.states import read_state

    if not path.exists():
        return False
    state = read_state(path)
    return state["epoch"] == 1 and state["step"] > 1
