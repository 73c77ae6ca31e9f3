import json
import subprocess
import sys
import zipfile

import pytest

from dlapps import files, runs
from dlapps.errors import UserError


def finished(folder, **record):
    folder.mkdir(parents=True)
    (folder / runs.MODEL).write_bytes(b"a model")
    text = json.dumps({"app": "classify", "state": "finished", **record})
    (folder / runs.RECORD).write_text(text)
    return folder


def record_in(run):
    return json.loads((run.folder / runs.RECORD).read_text(encoding="utf-8"))


def test_a_new_run_takes_the_next_free_number(tmp_path):
    made = [runs.create("classify", "pets", None).folder for _ in range(3)]
    assert [str(folder) for folder in made] == [f"runs/classify/pets-{n}" for n in (1, 2, 3)]
    assert runs.create("classify", "cars", None).folder.name == "cars-1"
    assert runs.create("detect", "pets", None).folder.name == "pets-1"


def test_a_new_run_is_never_over_an_older_one(tmp_path):
    older = tmp_path / "runs/classify/pets-1"
    finished(older)
    (tmp_path / "runs/classify/pets-3").mkdir()
    made = [runs.create("classify", "pets", None).folder.name for _ in range(2)]
    assert made == ["pets-2", "pets-4"]
    assert (older / runs.MODEL).read_bytes() == b"a model"


def test_a_run_can_be_put_where_the_user_says(tmp_path):
    assert str(runs.create("classify", "pets", "here/it/is").folder) == "here/it/is"
    (tmp_path / "empty").mkdir()
    assert str(runs.create("classify", "pets", "empty").folder) == "empty"


def test_a_folder_in_use_is_refused(tmp_path):
    (tmp_path / "used").mkdir()
    (tmp_path / "used/thesis.txt").write_text("precious")
    (tmp_path / "file").write_text("precious")
    for name in ("used", "file"):
        with pytest.raises(UserError, match=f"--run {name} is in use. Name a new folder."):
            runs.create("classify", "pets", name)
    assert (tmp_path / "used/thesis.txt").read_text() == "precious"
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["thesis.txt"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(UserError, match="runs/classify cannot be written to: Not a directory"):
        runs.create("classify", "pets", None)
    with pytest.raises(UserError, match="runs/mine cannot be written to: Not a directory"):
        runs.create("classify", "pets", "runs/mine")


def test_the_record_says_what_was_done_with_what(tmp_path):
    record = record_in(runs.create("classify", "pets", None, mode="train", options={"seed": 3}))
    assert record["app"] == "classify"
    assert record["state"] == "starting"
    assert record["mode"] == "train"
    assert record["options"] == {"seed": 3}
    assert set(runs.PACKAGES) < set(record["versions"])


def test_an_update_is_read_back(tmp_path):
    run = runs.create("classify", "pets", None)
    run.model.write_bytes(b"a model")
    run.update(state="finished", figures={"für": 0.5})
    loaded = runs.load(run.folder)
    assert loaded == run
    assert loaded.record["figures"] == {"für": 0.5}
    assert loaded.model.read_bytes() == b"a model"


def test_the_measures_of_the_phases_that_have_ended_are_kept(tmp_path):
    run = runs.create("classify", "pets", None)
    assert run.phases == {}
    run.update(phases={**run.phases, "head": {"val_loss": 0.5}})
    assert runs.read(run.folder).phases == {"head": {"val_loss": 0.5}}


@pytest.fixture(params=["model", "checkpoint"])
def half_done(request):
    """A run that has something to keep."""
    run = runs.create("classify", "pets", None)
    path = getattr(run, request.param)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"precious")
    return run


def test_a_run_that_fails_with_nothing_to_keep_leaves_nothing(tmp_path):
    run = runs.create("classify", "pets", None)
    with pytest.raises(ZeroDivisionError), runs.recorded(run):
        raise ZeroDivisionError
    assert not run.folder.exists()
    assert runs.create("classify", "pets", None).folder == run.folder


def test_a_run_that_fails_with_something_to_keep_says_why(half_done):
    with pytest.raises(UserError, match="disk is full"), runs.recorded(half_done):
        raise UserError("The disk is full.")
    assert record_in(half_done)["state"] == "stopped: UserError: The disk is full."
    kept = half_done.model if half_done.model.exists() else half_done.checkpoint
    assert kept.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("error", "how"),
    [
        pytest.param(lambda run: KeyboardInterrupt(), "Ctrl-C", id="control-c"),
        pytest.param(lambda run: KeyboardInterrupt("SIGTERM"), "SIGTERM", id="sigterm"),
        pytest.param(lambda run: runs.Stopped("SIGTERM", run), "SIGTERM", id="after-the-step"),
    ],
)
def test_a_run_that_the_user_stops_says_how_to_go_on(half_done, error, how):
    with pytest.raises(runs.Stopped) as caught, runs.recorded(half_done):
        raise error(half_done)
    saved = f"The state is saved in {half_done.folder}. " * half_done.checkpoint.is_file()
    go_on = f"Go on: dlapps classify --resume {half_done.folder}"
    assert str(caught.value) == f"Stopped by {how}. {saved}{go_on}"
    assert caught.value.exit_code == 130
    assert record_in(half_done)["state"] == f"stopped: by {how}"


def test_a_run_that_is_stopped_with_nothing_to_keep_says_so_too(tmp_path):
    run = runs.create("classify", "pets", None)
    with pytest.raises(runs.Stopped) as caught, runs.recorded(run):
        raise KeyboardInterrupt
    assert str(caught.value) == ("Stopped by Ctrl-C. There was no model yet, so nothing is left.")
    assert caught.value.exit_code == 130
    assert not run.folder.exists()


def test_a_run_that_another_process_trains_is_refused_and_left_alone(tmp_path):
    run = runs.create("classify", "pets", None)
    refused = pytest.raises(UserError, match=r"pets-1 is being trained by another process\.")
    with runs.held(run):
        with refused, runs.held(runs.read(run.folder)):
            pytest.fail("Both train.")
        assert record_in(run)["state"] == "starting"
    with runs.held(runs.read(run.folder)):
        pass  # Now it may.


def test_what_a_killed_process_left_half_written_is_cleared_away(half_done):
    with files.replacement(half_done.folder / "history.csv") as beside:
        (half_done.folder / "checkpoint").mkdir(exist_ok=True)
        for folder in (".", "checkpoint"):
            (half_done.folder / folder / beside.name).write_bytes(b"half")
    kept = {path for path in half_done.folder.rglob("*") if path.name != beside.name}
    (half_done.folder / ".notes").touch()
    with runs.held(half_done):
        pass
    found = {*half_done.folder.rglob("*")}
    assert found - {half_done.folder / ".lock"} == kept | {half_done.folder / ".notes"}


def test_a_process_that_is_killed_lets_go_of_its_run(tmp_path):
    run = runs.create("classify", "pets", None)
    script = """
import sys, time
from dlapps import runs
with runs.held(runs.read(sys.argv[1])):
    print("training", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script, run.folder], stdout=-1) as process:
        assert process.stdout.readline() == b"training\n"
        with pytest.raises(UserError, match="another process"), runs.held(run):
            pytest.fail("Both train.")
        process.kill()
    with runs.held(run):
        assert record_in(run)["state"] == "starting"


@pytest.mark.parametrize(
    ("begun", "finished", "past"),
    [
        pytest.param(None, [], False, id="new"),
        pytest.param("head", [], False, id="within-it"),
        pytest.param("head", ["head"], False, id="to-have-more-epochs"),
        pytest.param("finetune", ["head"], True, id="within-the-next"),
    ],
)
def test_a_phase_is_past_once_a_later_one_has_begun(begun, finished, past):
    run = runs.create("classify", "pets", None)
    run.update(phases={phase: {} for phase in finished})
    state = {"note": {"phase": begun}} if begun else None
    assert runs.Run(run.folder, run.record, state).is_past("head") is past


def test_a_run_that_ends_well_is_left_alone(tmp_path):
    run = runs.create("classify", "pets", None)
    with runs.recorded(run):
        assert record_in(run)["state"] == "running"
        run.update(state="finished")
    assert record_in(run)["state"] == "finished"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param({}, "a is not a run: it holds no run.json. Give the folder", id="empty"),
        pytest.param({"run.json": "{"}, "a/run.json cannot be read: ", id="not-json"),
        pytest.param({"run.json": "\udcff"}, "a/run.json cannot be read: ", id="not-utf-8"),
        pytest.param({"run.json": "[]"}, "a/run.json names no app", id="list"),
        pytest.param({"run.json": "{}"}, "a/run.json names no app", id="no-app"),
        pytest.param(
            {"run.json": '{"app": "classify", "state": "running"}'},
            "a holds no model.keras yet; its state is 'running'. "
            "Go on with it: dlapps classify --resume a",
            id="no-model",
        ),
    ],
)
def test_what_is_no_run_is_refused(tmp_path, files, message):
    (tmp_path / "a").mkdir()
    for name, text in files.items():
        (tmp_path / "a" / name).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError) as caught:
        runs.load("a")
    assert message in str(caught.value)


def test_a_run_that_does_not_exist_is_named_with_the_nearest(tmp_path):
    finished(tmp_path / "runs/classify/flowers-1")
    with pytest.raises(UserError, match=r"flowrs-1 does not exist\. Did you mean 'flowers-1'\?"):
        runs.load("runs/classify/flowrs-1")
    with pytest.raises(UserError, match=r"no/where does not exist\.$"):
        runs.load("no/where")


def test_a_file_is_no_run(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"a\.jpg is not a run"):
        runs.load("a.jpg")


def model_file(path, config):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", config)


def test_the_app_is_told_from_a_run_a_file_and_a_name(tmp_path):
    finished(tmp_path / "mine", app="caption")
    model_file(tmp_path / "b.keras", json.dumps({"module": "dlapps.apps.detect.model"}))
    assert runs.app_of("mine") == "caption"
    assert runs.app_of("b.keras") == "detect"
    assert runs.app_of("imagenet") == "classify"
    model_file(tmp_path / "c.keras", json.dumps({"module": "dlapps.darknet.detector"}))
    assert runs.app_of("c.keras") == "detect"


def test_a_folder_of_the_users_counts_before_a_built_in_model(tmp_path):
    finished(tmp_path / "imagenet", app="generate")
    assert runs.app_of("imagenet") == "generate"


@pytest.mark.parametrize(
    "config",
    [
        pytest.param("{", id="not-json"),
        pytest.param("[]", id="list"),
        pytest.param('{"module": null}', id="null"),
        pytest.param('{"module": "keras"}', id="short"),
        pytest.param('{"module": "keras.src.models.functional"}', id="of-others"),
        pytest.param('{"module": "keras.darknet.detector"}', id="alike"),
        pytest.param('{"module": "dlapps.layers.conv_block"}', id="of-no-app"),
    ],
)
def test_a_model_of_others_belongs_to_no_app(tmp_path, config):
    model_file(tmp_path / "a.keras", config)
    with pytest.raises(UserError, match=r"a\.keras is not a model that dlapps saved\."):
        runs.app_of("a.keras")


def test_a_damaged_model_file_belongs_to_no_app(tmp_path):
    (tmp_path / "a.keras").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(UserError, match="is not a model that dlapps saved"):
        runs.app_of("a.keras")
    with pytest.raises(UserError, match="does not exist"):
        runs.app_of("efficientnet_lite0")  # a backbone, not a model of an app


def test_a_misspelt_built_in_model_is_answered_with_the_right_name():
    with pytest.raises(UserError, match="Did you mean 'shakespeare'"):
        runs.app_of("shakspeare")
