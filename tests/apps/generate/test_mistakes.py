import keras
import numpy as np
import pytest

from tests.apps.generate.tiny import CYCLE, TINY


@pytest.fixture
def files(tmp_path):
    """Texts that cannot be learnt from, each for its own reason, and one that can."""
    for name, content in {
        "cycle.txt": CYCLE.encode(),
        "empty.txt": b"",
        "short.txt": b"abcd\nabcd",
        "picture.png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        "latin.txt": b"abc\xe9" + CYCLE.encode(),
    }.items():
        (tmp_path / name).write_bytes(content)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        pytest.param(["empty.txt"], 1, "empty.txt is empty", id="empty"),
        pytest.param(["short.txt"], 1, "8 characters to learn from, fewer than", id="short"),
        pytest.param(["picture.png"], 1, "picture.png is a binary file", id="binary"),
        pytest.param(["latin.txt"], 1, "byte 0xe9 at offset 3", id="not UTF-8"),
        pytest.param(["cycl.txt"], 1, "Did you mean 'cycle.txt'?", id="missing"),
        pytest.param(["no/*.txt"], 1, "no/*.txt matches no file", id="glob"),
        pytest.param(["cycle.txt", "--encoding", "utf8x"], 1, "no such encoding", id="encoding"),
        pytest.param(["cycle.txt", "--tied"], 1, "--tied needs --embedding", id="tied"),
        pytest.param(["cycle.txt", "--model", "x"], 2, "--train begins anew", id="model"),
        pytest.param(["cycle.txt", "--prompt", "a"], 2, "--prompt is for predict", id="prompt"),
        pytest.param(["cycle.txt", "-o", "out.txt"], 2, "-o is for prediction", id="output"),
        pytest.param(["cycle.txt", "--cell", "lstn"], 2, "Did you mean 'lstm'?", id="cell"),
        pytest.param(["cycle.txt", "--window", "1"], 2, "--window", id="window"),
        pytest.param(
            ["cycle.txt", "--validation-text", "cycl.txt"], 1, "Did you mean 'cycle.txt'?",
            id="missing second text",
        ),
    ],
)  # fmt: skip
def test_mistakes_in_training_get_one_line_and_leave_no_run(
    files, words, status, said, dlapps, tmp_path
):
    result = dlapps("generate", "--train", *words)
    assert result.exit_code == status, result.output
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        pytest.param(["--temperature", "0"], 2, "--temperature", id="temperature 0"),
        pytest.param(["--temperature", "-1"], 2, "--temperature", id="temperature below 0"),
        pytest.param(["--top-k", "0"], 2, "--top-k", id="top-k"),
        pytest.param(["--top-p", "1.5"], 2, "--top-p", id="top-p"),
        pytest.param(["--length", "0"], 2, "--length", id="length"),
        pytest.param(["--epochs", "3"], 2, "--epochs is for training: add --train", id="epochs"),
        pytest.param(["--strict"], 2, "no prompt is", id="strict"),
        pytest.param(["--unknown", "dorp"], 2, "Did you mean 'drop'?", id="unknown"),
        pytest.param(["picture.png"], 1, "picture.png is a binary file", id="binary"),
        pytest.param(["latin.txt"], 1, "byte 0xe9 at offset 3", id="not UTF-8"),
        pytest.param(["cycl.txt"], 1, "Did you mean 'cycle.txt'?", id="missing"),
        pytest.param(["--prompt", "FILE:cycl.txt"], 1, "Did you mean 'cycle.txt'?", id="FILE:"),
        pytest.param(["--prompt", "a", "-o", "cycle.txt/b"], 1, "cannot be written", id="output"),
    ],
)
def test_mistakes_in_use_get_one_line(files, words, status, said, write):
    result = write(*words)
    assert result.exit_code == status, result.output
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


def test_a_model_that_is_none_is_refused(dlapps, tmp_path):
    (tmp_path / "a.keras").write_bytes(b"PK no zip")
    for name, said in (
        ("nowhere", "There is no model 'nowhere'"),
        (tmp_path / "a.keras", "is not a model that dlapps saved"),
        (tmp_path, "is not a run: it holds no run.json"),
    ):
        result = dlapps("generate", "--model", name, "--prompt", "a")
        assert result.exit_code == 1
        assert said in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_a_model_of_another_app_is_refused(dlapps, tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.save(tmp_path / "pictures.keras")
    result = dlapps("generate", "--model", tmp_path / "pictures.keras", "--prompt", "a")
    assert result.exit_code == 1
    assert "holds a Sequential, not the CharRNN needed" in result.stderr


@pytest.mark.parametrize("encoding", ["rot13", "hex", "punycode"])
def test_an_encoding_that_no_text_is_in_is_one_line(files, encoding, dlapps):
    result = dlapps("generate", "--train", "cycle.txt", "--encoding", encoding)
    assert result.exit_code == 1
    assert f"--encoding {encoding}" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(
            ["--train", "cycle.txt", *TINY, "--on-divergence", "warn", "--clip", "none",
             "--learning-rate", "1e38", "--optimizer", "sgd"],
            id="a loss that is no number in every epoch",
        ),
        pytest.param(["--train", "one.txt", *TINY], id="one character repeated"),
    ],
)  # fmt: skip
def test_nothing_ends_in_a_traceback(files, words, dlapps, tmp_path):
    (tmp_path / "one.txt").write_text("a" * 500)
    result = dlapps("generate", *words)
    assert result.exception is None or isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_prompt_that_is_no_utf_8_is_written_or_refused(write, form):
    """Bytes of an argument that are no UTF-8 come as lone surrogates."""
    result = write("--prompt", "a\udcffb", "--unknown", "drop", "--format", form, "--length", 3)
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_a_run_on_a_glob_is_called_after_its_folder(dlapps, tmp_path):
    (tmp_path / "poems").mkdir()
    (tmp_path / "poems/a.txt").write_text(CYCLE)
    result = dlapps("generate", "--train", "poems/*.txt", *TINY, "--fast-dev-run")
    assert result.stdout == "runs/generate/poems-1\n"


def test_a_second_text_that_is_empty_is_named(files, dlapps):
    result = dlapps("generate", "--train", "cycle.txt", "--validation-text", "empty.txt")
    assert result.exit_code == 1
    assert "empty.txt" in result.stderr


def test_finetuning_does_not_pass_over_options_of_the_network(trained, cycle, dlapps):
    words = ("--finetune", cycle, "--model", trained[0], *TINY, "--fast-dev-run")
    result = dlapps("generate", *words, "--units", 99, "--cell", "gru")
    assert result.exit_code != 0 or "--units" in result.stderr


def test_random_bytes_are_never_a_traceback(dlapps, tmp_path):
    rng = np.random.default_rng(0)
    for number in range(5):
        (tmp_path / "noise").write_bytes(rng.integers(0, 256, 300).astype(np.uint8).tobytes())
        result = dlapps("generate", "--train", "noise")
        assert result.exit_code == 1, number
        assert len(result.stderr.splitlines()) == 1
