import csv
import json
import string

import numpy as np
import pytest

from dlapps import training
from dlapps.apps.generate.model import load_model
from dlapps.errors import UserError
from tests.apps.generate.tiny import CYCLE, LEARN, TINY

CLOCKS = {"seconds", "input_seconds"}


def record(run):
    return json.loads((run / "run.json").read_text())


def rows(run):
    with (run / "history.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in CLOCKS} for row in csv.DictReader(file)]


def written(dlapps, run, *words):
    result = dlapps("generate", "--model", run, "--top-k", 1, *words)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_training_writes_a_whole_run(cycle, tmp_path, dlapps):
    result = dlapps("generate", "--train", cycle, *TINY, "--epochs", 2)
    assert result.exit_code == 0, result.output
    assert result.stdout == "runs/generate/cycle-1\n"
    run = tmp_path / "runs/generate/cycle-1"
    names = {path.name for path in run.iterdir()}
    assert {"model.keras", "run.json", "history.csv", "samples.txt", "checkpoint"} <= names
    assert "report.html" in names
    assert record(run)["state"] == "finished"
    assert record(run)["dataset"]["characters"] == "\nabcd"
    assert [row["epoch"] for row in rows(run)] == ["1", "2"]
    assert set((run / "samples.txt").read_text()) <= set(CYCLE)
    assert "900 characters to learn from, 100 held out; 5 different ones" in result.stderr
    assert f"{record(run)['figures']['val_loss']:.4f} nats a character" in result.stderr
    assert [path.name for path in run.rglob(".*")] == [".lock"]


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["--stateful"], id="stateful"),
        pytest.param(["--stateful", "--cell", "gru"], id="stateful gru"),
        pytest.param(["--cell", "gru"], id="gru"),
        pytest.param(["--cell", "rnn", "--depth", 2, "--residual"], id="rnn"),
        pytest.param(["--embedding", 16, "--tied", "--layer-norm"], id="tied"),
        pytest.param(["--average", 0.5, "--accumulate", 2, "--clip", "auto"], id="averaged"),
    ],
)
def test_each_kind_of_network_learns_a_text_by_heart(words, cycle, tmp_path, dlapps):
    run = tmp_path / "run"
    result = dlapps("generate", "--train", cycle, *TINY, "--epochs", 12, *words, "--run", run)
    assert result.exit_code == 0, result.output
    assert float(rows(run)[-1]["loss"]) < 0.2
    assert written(dlapps, run, "--prompt", "ab", "--length", 8) == "abcd\nabcd\n\n"


def test_a_trained_model_learns_on_from_a_text_with_new_characters(trained, tmp_path, dlapps):
    (tmp_path / "other.txt").write_text("abcxd\n" * 150)
    run = tmp_path / "run"
    words = ("--finetune", tmp_path / "other.txt", "--model", trained[0], "--run", run)
    rate = ("--learning-rate", 0.3)  # Fine-tuning learns at a tenth of it.
    result = dlapps("generate", *words, *LEARN, *rate)
    assert result.exit_code == 0, result.output
    assert "'x'" in result.stderr
    assert "New to the model" in result.stderr
    assert (record(run)["mode"], record(run)["model"]) == ("finetune", str(trained[0]))
    assert load_model(str(run)).characters == "\nabcdx"
    assert written(dlapps, run, "--prompt", "ab", "--length", 7) == "abcxd\nabc\n"


def test_what_it_begins_with_is_better_than_nothing(trained, cycle, tmp_path, dlapps):
    words = ("--finetune", cycle, "--model", trained[0], *LEARN, "--epochs", 1)
    result = dlapps("generate", *words, "--run", tmp_path / "run")
    assert result.exit_code == 0, result.output
    begun = float(rows(trained[0])[0]["loss"])
    assert float(rows(tmp_path / "run")[0]["loss"]) < begun / 5


def test_one_step_of_everything_is_a_whole_run(cycle, tmp_path, dlapps):
    for words in ((), ("--stateful",)):
        run = tmp_path / f"run{len(words)}"
        result = dlapps("generate", "--train", cycle, *TINY, *words, "--fast-dev-run", "--run", run)
        assert result.exit_code == 0, result.output
        assert len(rows(run)) == 1
        assert record(run)["state"] == "finished"
        assert (run / "model.keras").is_file()


def test_overfitting_one_batch_learns_it_by_heart(tmp_path, dlapps):
    letters = np.random.default_rng(0).permutation([*string.ascii_letters])
    (tmp_path / "letters.txt").write_text("".join(letters) * 10)
    words = ("--train", tmp_path / "letters.txt", *TINY, "--overfit-batches", 1, "--dropout", 0.5)
    more = ("--batch-size", 2, "--units", 32, "--epochs", 60, "--sample-every", 0)
    rate = ("--learning-rate", 0.1, "--run", tmp_path / "run")
    result = dlapps("generate", *words, *more, *rate)
    assert result.exit_code == 0, result.output
    assert "characters by heart; validation is the same" in result.stderr
    assert float(rows(tmp_path / "run")[-1]["loss"]) < 0.1
    assert not (tmp_path / "run/samples.txt").exists()


@pytest.mark.parametrize("count", [2, 3])
def test_so_many_batches_as_were_asked_for_are_learnt_by_heart(cycle, dlapps, monkeypatch, count):
    seen = []

    def fit(model, phase, run, config, data, *_, **__):
        seen.append((data.steps, data.signature[1].shape[0]))
        raise UserError("Seen.")

    monkeypatch.setattr(training, "fit", fit)
    dlapps("generate", "--train", cycle, *TINY, "--overfit-batches", count)
    assert seen == [(count, 8)]


def test_the_same_seed_gives_the_same_model(cycle, tmp_path, dlapps):
    texts = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        words = ("--epochs", 1, "--seed", seed, "--dropout", 0.3, "--run", tmp_path / name)
        result = dlapps("generate", "--train", cycle, *TINY, *words)
        assert result.exit_code == 0, result.output
        texts.append(written(dlapps, tmp_path / name, "--top-k", 5, "--seed", 1))
    assert texts[0] == texts[1] != texts[2]


def test_the_record_of_a_run_serves_as_config(trained, cycle, tmp_path, dlapps):
    words = ("--config", trained[0] / "run.json", "--epochs", 1, "--run", tmp_path / "again")
    result = dlapps("generate", "--train", cycle, *words)
    assert result.exit_code == 0, result.output
    options = record(tmp_path / "again")["options"]
    assert (options["units"], options["window"], options["epochs"]) == (16, 8, 1)


def test_a_second_text_is_validated_on(cycle, tmp_path, dlapps):
    (tmp_path / "hard.txt").write_text("dcba\n" * 30)
    words = ("--validation-text", tmp_path / "hard.txt", "--epochs", 3, "--run", tmp_path / "run")
    result = dlapps("generate", "--train", cycle, *TINY, *words)
    assert result.exit_code == 0, result.output
    assert "1000 characters to learn from, 150 held out" in result.stderr
    assert float(rows(tmp_path / "run")[-1]["val_loss"]) > 2
    assert float(rows(tmp_path / "run")[-1]["loss"]) < 1


def test_a_text_comes_from_standard_input(tmp_path, dlapps):
    words = ("generate", "--train", "-", *TINY, "--fast-dev-run")
    result = dlapps(*words, input=CYCLE)
    assert result.exit_code == 0, result.output
    assert "900 characters to learn from" in result.stderr


def test_a_text_in_another_encoding_and_another_normal_form(tmp_path, dlapps):
    (tmp_path / "latin.txt").write_bytes(("é\n" * 300).encode("latin-1"))
    words = ("--train", tmp_path / "latin.txt", *TINY, "--fast-dev-run", "--run", tmp_path / "run")
    result = dlapps("generate", *words, "--encoding", "latin-1", "--normalize", "NFD")
    assert result.exit_code == 0, result.output
    assert record(tmp_path / "run")["dataset"]["characters"] == "\ne\u0301"
