import json
import math
import shutil

import numpy as np
import pytest

from dlapps.apps.generate import data
from dlapps.apps.generate.evaluate import nats_per_char
from tests.apps.generate.tiny import CYCLE, TINY, made


def measured(dlapps, *words):
    result = dlapps("evaluate", *words, "--format", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def figures(run):
    return json.loads((run / "run.json").read_text())["figures"]


def test_a_run_is_measured_on_what_it_held_out(trained, dlapps):
    run, _ = trained
    result = dlapps("evaluate", run, "--format", "json")
    assert result.exit_code == 0, result.output
    measures = json.loads(result.stdout)
    assert "held out" in result.stderr
    assert measures["nats_per_char"] == pytest.approx(figures(run)["val_loss"], abs=1e-5)
    assert measures["bits_per_char"] == pytest.approx(figures(run)["val_bits_per_char"], abs=1e-5)
    assert measures["num_characters"] == 99
    assert measures["num_unknown"] == 0


def test_figures_say_the_same_in_other_words(trained, dlapps):
    measures = measured(dlapps, trained[0])
    nats = measures["nats_per_char"]
    assert measures["bits_per_char"] == pytest.approx(nats / math.log(2))
    assert measures["perplexity"] == pytest.approx(math.exp(nats))
    assert measures["baselines"]["uniform"] == pytest.approx(math.log(5))
    assert nats < measures["baselines"]["unigram"]


@pytest.mark.parametrize("words", [(), ("--stateful",)])
def test_however_much_is_held_out_the_figures_are_the_same(words, tmp_path, dlapps):
    """Easy text before hard text, so that batches of held-out text differ."""
    noise = "".join(np.random.default_rng(0).choice([*"abcd\n"], 9000))
    (tmp_path / "text.txt").write_text(CYCLE * 10 + noise)
    options = ("--validation", 0.9, "--cell", "rnn", "--epochs", 1, "--run", tmp_path / "run")
    result = dlapps("generate", "--train", tmp_path / "text.txt", *TINY, *options, *words)
    assert result.exit_code == 0, result.output
    measures = measured(dlapps, tmp_path / "run")
    assert measures["num_characters"] > 16384  # More than one batch.
    expected = figures(tmp_path / "run")["val_loss"]
    # Keras weighs all batches alike, though they differ by a character a row.
    assert measures["nats_per_char"] == pytest.approx(expected, abs=2e-4)


def test_a_held_out_zero_character_is_measured_too(tmp_path, dlapps):
    (tmp_path / "zeros.txt").write_bytes(b"ab\0c\n" * 100)
    words = ("--train", tmp_path / "zeros.txt", *TINY, "--encoding", "utf-8", "--epochs", 1)
    result = dlapps("generate", *words, "--run", tmp_path / "run")
    assert result.exit_code == 0, result.output
    expected = figures(tmp_path / "run")["val_loss"]
    measured_again = measured(dlapps, tmp_path / "run")["nats_per_char"]
    assert measured_again == pytest.approx(expected, abs=1e-5)


def test_a_text_is_brought_into_the_normal_form_that_was_learnt(tmp_path, dlapps):
    (tmp_path / "accents.txt").write_text("é\n" * 300, encoding="utf-8")
    words = ("--train", tmp_path / "accents.txt", *TINY, "--normalize", "NFD", "--fast-dev-run")
    result = dlapps("generate", *words, "--run", tmp_path / "run")
    assert result.exit_code == 0, result.output
    measures = measured(dlapps, tmp_path / "run", tmp_path / "accents.txt")
    assert measures["num_unknown"] == 0
    assert dlapps("generate", "--model", tmp_path / "run", "--prompt", "é").exit_code == 0


def test_another_text_is_used_whole(trained, dlapps, tmp_path):
    (tmp_path / "other.txt").write_text(CYCLE[:501])
    measures = measured(dlapps, trained[0], tmp_path / "other.txt")
    assert measures["num_characters"] == 500
    assert measures["perplexity"] < 1.2


def test_a_text_that_was_not_learnt_is_worse(trained, dlapps, tmp_path):
    (tmp_path / "other.txt").write_text("dcba\n" * 100)
    assert measured(dlapps, trained[0], tmp_path / "other.txt")["perplexity"] > 5


def test_unknown_characters_are_counted_and_told_or_stop_it(trained, dlapps, tmp_path):
    (tmp_path / "other.txt").write_text("abXcd\n" * 7 + "é")
    result = dlapps("evaluate", trained[0], tmp_path / "other.txt", "--format", "json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["num_unknown"] == 8
    assert "8 characters are unknown" in result.stderr
    assert "'X' 'é'" in result.stderr
    strict = dlapps("evaluate", trained[0], tmp_path / "other.txt", "--strict")
    assert strict.exit_code == 1
    assert "The text holds 'X' 'é', which the model does not know" in strict.stderr
    assert len(strict.stderr.splitlines()) == 1


def test_the_table_shows_simpler_means_too(trained, dlapps, tmp_path):
    result = dlapps("evaluate", trained[0], "-o", tmp_path / "table.txt")
    assert result.exit_code == 0, result.output
    for name in ("this model", "uniform", "unigram", "bigram", "gzip", "xz"):
        assert name in (tmp_path / "table.txt").read_text()


def test_a_text_that_changed_since_the_training_is_refused(trained, dlapps, tmp_path):
    run = shutil.copytree(trained[0], tmp_path / "run")
    record = json.loads((run / "run.json").read_text())
    (tmp_path / "mine.txt").write_text(CYCLE + "a")
    record["dataset"]["data"] = [str(tmp_path / "mine.txt")]
    (run / "run.json").write_text(json.dumps(record))
    result = dlapps("evaluate", run)
    assert result.exit_code == 1
    assert "has changed since the training" in result.stderr


def test_a_model_file_alone_can_be_measured_on_a_text(trained, dlapps, tmp_path):
    run, text = trained
    shutil.copy(run / "model.keras", tmp_path / "mine.keras")
    assert measured(dlapps, tmp_path / "mine.keras", text)["num_characters"] == len(CYCLE) - 1
    result = dlapps("evaluate", tmp_path / "mine.keras")
    assert result.exit_code == 1
    assert "DATA is needed" in result.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param("", "is empty", id="empty"),
        pytest.param("a", "The text has 1 characters that the model knows", id="one character"),
        pytest.param("XYZ", "The text has 0 characters that the model knows", id="all unknown"),
    ],
)
def test_too_little_text_is_refused(trained, dlapps, tmp_path, content, said):
    (tmp_path / "little.txt").write_text(content)
    result = dlapps("evaluate", trained[0], tmp_path / "little.txt")
    assert result.exit_code == 1
    assert said in result.stderr


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_short_text_is_foretold_as_in_one_reading(cell):
    model = made(cell=cell)
    ids = np.random.default_rng(0).integers(0, 5, data.CONTEXT)
    logits = np.array(model(ids[None].astype(np.int32)))[0, :-1].astype(np.float64)
    of_all = np.log(np.exp(logits).sum(axis=-1))
    expected = (of_all - logits[np.arange(len(logits)), ids[1:]]).mean()
    assert nats_per_char(model, ids) == pytest.approx(expected, abs=1e-5)


def test_it_names_no_folder_of_pictures_that_it_has_not_drawn(trained, dlapps):
    result = dlapps("evaluate", trained[0])
    assert "Pictures" not in result.stderr
