"""Trainings in processes of their own that are killed or told to stop, and resumed."""

import contextlib
import csv
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from dlapps import runs
from dlapps.apps.classify.model import load_model
from dlapps.callbacks.full_state_checkpoint import read_state
from tests.apps.classify.shapes import write_folder

pytestmark = pytest.mark.slow

HEAD_EPOCHS, EPOCHS = 80, 3
OPTIONS = [
    "--deterministic", "--precision", "float32", "--checkpoint-seconds", "1", "--views", "1",
    "--head-epochs", str(HEAD_EPOCHS), "--epochs", str(EPOCHS), "--batch-size", "1",
    "--unfreeze", "2", "--clip", "auto", "--patience", "70", "--image-size", "128",
]  # fmt: skip
CLOCKS = {"seconds", "input_seconds", "spent"}


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Starts `dlapps classify` with some words in a process of its own."""
    folder = tmp_path_factory.mktemp("killed")
    write_folder(folder / "shapes", per_class=40)
    environment = {**os.environ, "DLAPPS_CACHE": str(folder / "cache")}

    def run(*words):
        command = [sys.executable, "-m", "dlapps", "classify", *map(str, words)]
        return subprocess.Popen(
            command, cwd=folder, env=environment, stdout=-1, stderr=-1, text=True
        )

    run.folder = folder
    return run


@pytest.fixture(scope="module")
def never_stopped(start):
    _, errors = ended(start("--finetune", "shapes", *OPTIONS, "--run", "whole"))
    assert "Going on" not in errors
    return start.folder / "whole"


def ended(process, status=0):
    """Waits for the end of a training; returns what it wrote."""
    output, errors = process.communicate(timeout=300)
    assert process.returncode == status, errors
    return output, errors


def stopped(process, run, reached, *signals):
    """Sends signals when a run has got somewhere; returns its state, and what was said."""
    path = run / runs.CHECKPOINT
    while process.poll() is None and not (path.exists() and reached(run, read_state(path))):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    for number in signals:
        process.send_signal(number)
    _, errors = ended(process, -signals[0] if signals[0] == signal.SIGKILL else 130)
    return read_state(path), errors


def in_head(run, state):
    return state["note"]["phase"] == "head" and state["epoch"] >= 3


def after_head(run, state):
    return "head" in runs.read(run).phases


def within_first_epoch(run, state):
    return state["note"]["phase"] == "finetune" and state["epoch"] == 0 < state["step"]


def within_second_epoch(run, state):
    return state["note"]["phase"] == "finetune" and state["epoch"] == 1 and state["step"] > 0


def without_clocks(tree):
    if isinstance(tree, dict):
        return {k: without_clocks(value) for k, value in tree.items() if k not in CLOCKS}
    return tree


def assert_same(one, other):
    histories = []
    for run in (one, other):
        lines = (run / "history.csv").read_text().splitlines()
        histories.append([without_clocks(row) for row in csv.DictReader(lines)])
    assert histories[0] == histories[1]
    phases = [row["phase"] for row in histories[0]]
    assert 70 < phases.count("head") < HEAD_EPOCHS  # It lost its patience.
    assert phases[-EPOCHS:] == ["finetune"] * EPOCHS
    weights = [load_model(str(run)).get_weights() for run in (one, other)]
    for left, right in zip(*weights, strict=True):
        np.testing.assert_array_equal(left, right)
    states = [without_clocks(read_state(run / runs.CHECKPOINT)) for run in (one, other)]
    for state in states:
        del state["note"]  # It names the folder.
        del state["callbacks"]["recorder"]  # It holds clocks only.
    np.testing.assert_equal(*states)
    layers = [(run / "layers.csv").read_text() for run in (one, other)]
    assert layers[0] == layers[1]


def test_killed_in_every_phase_and_resumed_it_ends_bit_for_bit_as_if_never_stopped(
    start, never_stopped
):
    run = start.folder / "killed"
    process = start("--finetune", "shapes", *OPTIONS, "--run", "killed")
    state, _ = stopped(process, run, in_head, signal.SIGKILL)
    assert state["note"]["phase"] == "head"
    assert state["epoch"] < HEAD_EPOCHS
    for place in (after_head, within_first_epoch, within_second_epoch):
        process = start("--resume", "killed")
        state, _ = stopped(process, run, place, signal.SIGKILL)
        assert place(run, state)
        assert state["note"]["phase"] == ("head" if place is after_head else "finetune")
    _, errors = ended(start("--resume", "killed"))
    assert "Going on with phase 'finetune' at epoch 2, step " in errors
    assert_same(never_stopped, run)
    assert [path.name for path in run.rglob(".*")] == [".lock"]


def test_told_to_stop_it_saves_and_says_how_to_go_on(start, never_stopped):
    run = start.folder / "told"
    go_on = "The state is saved in told. Go on: dlapps classify --resume told\n"
    process = start("--finetune", "shapes", *OPTIONS, "--run", "told")
    _, errors = stopped(process, run, in_head, signal.SIGTERM)
    assert "SIGTERM: stopping after this step. Once more to stop at once.\n" in errors
    assert errors.endswith(f"Error: Stopped by SIGTERM. {go_on}")
    assert "Traceback" not in errors
    assert runs.read(run).record["state"] == "stopped: by SIGTERM"

    process = start("--resume", "told")
    state, errors = stopped(process, run, within_first_epoch, signal.SIGINT)
    assert errors.endswith(f"Error: Stopped by Ctrl-C. {go_on}")
    assert runs.read(run).record["state"] == "stopped: by Ctrl-C"
    assert state["epoch"] == 0

    process = start("--resume", "told")
    _, errors = stopped(process, run, within_second_epoch, signal.SIGINT, signal.SIGTERM)
    assert "Stopped by " in errors.splitlines()[-1]
    ended(start("--resume", "told"))
    assert_same(never_stopped, run)
