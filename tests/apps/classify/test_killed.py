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
from dlapps.states import read_state
from tests.apps.classify.shapes import write_folder

pytestmark = pytest.mark.slow

EPOCHS = 3
PATIENCE = 20
OPTIONS = [
    "--deterministic", "--precision", "float32", "--views", "1", "--head-epochs", "40",
    "--epochs", str(EPOCHS), "--batch-size", "4", "--unfreeze", "2", "--clip", "auto",
    "--patience", str(PATIENCE), "--image-size", "64",
]  # fmt: skip
# Saves the state after every step, so that a kill comes within an epoch on any machine.
SCRIPT = """
import sys
from dlapps import training
from dlapps.cli import cli
plain = training.FullStateCheckpoint
training.FullStateCheckpoint = lambda *a, **more: plain(*a, **{**more, "seconds": 0.0})
cli(["classify", *sys.argv[1:]])
"""
CLOCKS = {"seconds", "input_seconds", "spent"}


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Starts `dlapps classify` with some words in a process of its own."""
    folder = tmp_path_factory.mktemp("killed")
    write_folder(folder / "shapes", per_class=30)
    environment = {**os.environ, "DLAPPS_CACHE": str(folder / "cache")}

    def run(*words):
        command = [sys.executable, "-W", "ignore", "-c", SCRIPT, *words]
        return subprocess.Popen(
            command, cwd=folder, env=environment, stdout=-1, stderr=-1, text=True
        )

    run.folder = folder
    return run


def ended(process, status=0):
    """Waits for the end of a training; returns what it said."""
    _, errors = process.communicate(timeout=300)
    assert process.returncode == status, errors
    return errors


def stopped(process, run, reached, *signals):
    """Sends signals when a run has got somewhere; returns its state, and what was said."""
    path = run / runs.CHECKPOINT
    while process.poll() is None and not (path.exists() and reached(run, read_state(path))):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    for number in signals:
        process.send_signal(number)
    errors = ended(process, -signals[0] if signals[0] == signal.SIGKILL else 130)
    return read_state(path), errors


def in_head(run, state):
    return state["note"]["phase"] == "head" and state["epoch"] >= 3


def after_head(run, state):
    return "head" in runs.read(run).phases


def within_first_epoch(run, state):
    return state["note"]["phase"] == "finetune" and state["epoch"] == 0 < state["step"]


def within_second_epoch(run, state):
    return state["note"]["phase"] == "finetune" and state["epoch"] == 1 and state["step"] > 2


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
    assert PATIENCE < phases.count("head") < 40  # It lost its patience.
    assert phases[-EPOCHS:] == ["finetune"] * EPOCHS
    losses = [float(row["loss"]) for row in histories[0][-EPOCHS:]]
    assert len({*losses}) == EPOCHS  # It moved.
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


@pytest.mark.parametrize(
    ("kept_views", "places"),
    [
        pytest.param("2", [in_head, after_head, within_second_epoch], id="on-kept-grids"),
        pytest.param("0", [within_second_epoch], id="on-pictures"),
    ],
)
def test_killed_in_any_phase_and_resumed_it_ends_bit_for_bit_as_if_never_stopped(
    start, kept_views, places
):
    words = ["--finetune", "shapes", *OPTIONS, "--kept-views", kept_views, "--run"]
    whole, killed = f"whole-{kept_views}", f"killed-{kept_views}"
    assert "Going on" not in ended(start(*words, whole))
    run, arguments = start.folder / killed, [*words, killed]
    for place in places:
        state, _ = stopped(start(*arguments), run, place, signal.SIGKILL)
        assert place(run, state)
        assert state["note"]["phase"] == ("finetune" if "within" in place.__name__ else "head")
        arguments = ["--resume", killed]
    errors = ended(start(*arguments))
    assert "Going on with phase 'finetune' at epoch 2, step " in errors
    assert_same(start.folder / whole, run)
    assert [path.name for path in run.rglob(".*")] == [".lock"]


def test_told_to_stop_it_saves_and_says_how_to_go_on(start):
    run = start.folder / "told"
    words = ["--finetune", "shapes", *OPTIONS, "--run", "told"]
    go_on = "The state is saved in told. Go on: dlapps classify --resume told\n"
    for reached, number, name in (
        (in_head, signal.SIGTERM, "SIGTERM"),
        (within_first_epoch, signal.SIGINT, "Ctrl-C"),
    ):
        _, errors = stopped(start(*words), run, reached, number)
        assert f"{name}: stopping after this step. Once more to stop at once.\n" in errors
        assert errors.endswith(f"\nStopped by {name}. {go_on}")
        assert "Traceback" not in errors
        assert runs.read(run).record["state"] == f"stopped: by {name}"
        words = ["--resume", "told"]
    _, errors = stopped(start(*words), run, within_second_epoch, signal.SIGINT, signal.SIGTERM)
    assert errors.splitlines()[-1].startswith("Stopped by ")
    ended(start(*words))
    assert runs.read(run).record["state"] == "finished"
