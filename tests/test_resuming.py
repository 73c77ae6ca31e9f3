import dataclasses
import json
import pickle

import pytest

from dlapps import runs
from dlapps.errors import UserError
from dlapps.resuming import resumed
from dlapps.states import write_state
from dlapps.training_config import RESUMABLE, TrainingConfig

KEPT = TrainingConfig(epochs=4, batch_size=8, patience=3)
OTHER = {
    "epochs": 40, "patience": 9, "min_improvement": 0.5, "patience_from": 7, "time_budget": 5.0,
    "on_divergence": "stop", "tensorboard": True, "checkpoint_seconds": 1,
}  # fmt: skip


def write_run(config=KEPT, state="stopped: by Ctrl-C", epoch=2, noted=None, app="classify", **kept):
    """Writes a run that was stopped; returns its folder."""
    options = dataclasses.asdict(config)
    run = runs.create(app, "pets", None, options=options, dataset={"data": "pets/"}, mode="train")
    run.update(state=state, **kept)
    stopping = {"waited": 0, "spent": 0.0}
    write_state(
        run.checkpoint,
        {
            "epoch": epoch,
            "note": {"phase": "head", "options": options | (noted or {})},
            "callbacks": {"stopping": stopping | kept.get("stopping", {})},
        },
    )
    return run.folder


def resume(folder, **named):
    given = TrainingConfig(**named)
    names = {field: "--" + field.replace("_", "-") for field in named}
    return resumed(str(folder), "classify", given, names)


def test_a_run_goes_on_with_its_own_options_and_its_state():
    run, config = resume(write_run())
    assert config == KEPT
    assert run.state["epoch"] == 2
    assert run.record["state"] == "stopped: by Ctrl-C"


def test_an_option_that_came_after_the_run_is_named_with_its_value(capsys):
    folder = write_run()
    resume(folder)
    assert capsys.readouterr().err == ""
    path = folder / "run.json"
    record = json.loads(path.read_text())
    del record["options"]["accumulate"], record["options"]["tensorboard"]
    path.write_text(json.dumps(record))
    assert resume(folder)[1] == KEPT
    said = f"{folder} knows no --accumulate: it goes on with {KEPT.accumulate}.\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("name", RESUMABLE)
def test_what_changes_nothing_of_what_is_done_may_change(name):
    _, config = resume(write_run(), **{name: OTHER[name]})
    assert config == dataclasses.replace(KEPT, **{name: OTHER[name]})


@pytest.mark.parametrize("name", RESUMABLE)
def test_such_a_change_does_not_make_it_another_configuration(name):
    run, _ = resume(write_run(noted={name: OTHER[name]}))
    assert run.state is not None


def test_auto_stands_for_what_the_run_has_made_of_it():
    assert resume(write_run(), epochs="auto")[1] == KEPT


def test_another_value_of_any_other_option_is_refused():
    folder = write_run()
    assert resume(folder, batch_size=8)[1] == KEPT
    with pytest.raises(UserError) as caught:
        resume(folder, batch_size=16)
    assert str(caught.value) == (
        f"--batch-size is 16 here, but 8 in {folder}. A run goes on with its own options; leave it "
        "out, or train anew."
    )


def test_a_state_of_another_configuration_is_refused_with_the_difference():
    folder = write_run(noted={"learning_rate": 0.25})
    with pytest.raises(UserError) as caught:
        resume(folder)
    assert str(caught.value) == (
        f"{folder}/checkpoint/state.npz is of another configuration: --learning-rate is 0.25 "
        f"there, but 0.0005 in {folder}/run.json."
    )


def test_a_run_of_another_app_is_refused_with_the_command_to_use():
    folder = write_run(app="detect")
    with pytest.raises(
        UserError, match=rf"is a run of detect\. .*: dlapps detect --resume {folder}"
    ):
        resume(folder)


def test_what_is_no_run_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    for name, said in (("empty", "is not a run: it holds no run.json"), ("no", "does not exist")):
        with pytest.raises(UserError, match=said):
            resume(name)


@pytest.mark.parametrize("name", ["options", "dataset", "mode"])
def test_a_record_that_tells_too_little_is_refused(name):
    folder = write_run()
    record = json.loads((folder / "run.json").read_text())
    del record[name]
    (folder / "run.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match=rf"run\.json names no {name}, so .*pets-1 cannot go on\."):
        resume(folder)


def test_options_of_another_version_are_left_out():
    folder = write_run(noted={"later": 3})
    record = json.loads((folder / "run.json").read_text())
    record["options"]["later"] = 3
    del record["options"]["clip"]
    (folder / "run.json").write_text(json.dumps(record))
    assert resume(folder)[1] == KEPT


@pytest.mark.parametrize(
    ("ended", "named", "more"),
    [
        pytest.param({"epoch": 4}, {}, "--epochs 8", id="whole"),
        pytest.param({"epoch": 4}, {"epochs": 3}, "--epochs 8", id="with-fewer"),
        pytest.param({"epoch": 4}, {"tensorboard": True}, "--epochs 8", id="with-others"),
        pytest.param({"stopping": {"waited": 3}}, {}, "--patience 6", id="patience"),
        pytest.param({"stopping": {"waited": 3}}, {"epochs": 9}, "--patience 6", id="still"),
        pytest.param({"stopping": {"spent": 61.0}}, {"time_budget": 1.0}, "budget 2", id="time"),
    ],
)
def test_a_finished_run_needs_more_of_what_has_ended_it(ended, named, more):
    folder = write_run(state="finished", **ended)
    epochs = ended.get("epoch", 2)
    said = f"is finished, with {epochs} epochs. Name more in all, such as "
    with pytest.raises(UserError, match=rf"pets-1 {said}.*{more}\.$"):
        resume(folder, **named)


@pytest.mark.parametrize(
    ("ended", "named"),
    [
        pytest.param({"epoch": 4}, {"epochs": 5}, id="epochs"),
        pytest.param({"stopping": {"waited": 3}}, {"patience": 4}, id="patience"),
        pytest.param({"stopping": {"waited": 3}}, {"patience": 0}, id="without-patience"),
        pytest.param({"stopping": {"spent": 61.0}}, {"time_budget": 2.0}, id="time"),
    ],
)
def test_a_finished_run_goes_on_with_more(ended, named):
    _, config = resume(write_run(state="finished", **ended), **named)
    assert config == dataclasses.replace(KEPT, **named)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"text", id="text"),
        pytest.param(pickle.dumps({"epoch": 3}), id="pickle"),
    ],
)
def test_a_damaged_checkpoint_is_one_line(data):
    folder = write_run()
    (folder / runs.CHECKPOINT).write_bytes(data)
    with pytest.raises(UserError) as caught:
        resume(folder)
    path = folder / "checkpoint/state.npz"
    assert str(caught.value) == f"{path} is damaged, or no checkpoint. Train anew."


def test_a_checkpoint_that_holds_something_else_is_one_line():
    folder = write_run()
    write_state(folder / runs.CHECKPOINT, {"epoch": 3})
    with pytest.raises(UserError, match=r"state\.npz is no state of a run\. Train anew\."):
        resume(folder)


def test_a_run_that_had_no_state_yet_begins_anew():
    folder = write_run()
    (folder / runs.CHECKPOINT).unlink()
    run, config = resume(folder)
    assert run.state is None
    assert config == KEPT


def test_a_model_without_a_checkpoint_is_not_trained_over():
    folder = write_run(state="finished")
    (folder / runs.CHECKPOINT).unlink()
    (folder / runs.MODEL).write_bytes(b"precious")
    with pytest.raises(UserError, match=r"state\.npz is missing, so .* cannot go on\. Train anew"):
        resume(folder, epochs=9)
