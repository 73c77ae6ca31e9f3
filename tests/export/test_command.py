"""A trained model is exported, and the export is used as its users do."""

import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from dlapps.cli import cli
from dlapps.export import ask, gate
from tests.apps.classify.shapes import draw
from tests.apps.generate.tiny import CYCLE, TINY


def dlapps(*words):
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    """A run folder of a generator that knows its text by heart."""
    root = tmp_path_factory.mktemp("trained")
    (root / "cycle.txt").write_text(CYCLE)
    result = dlapps("generate", "--train", root / "cycle.txt", *TINY, "--run", root / "run")
    assert result.exit_code == 0, result.output
    return root / "run"


def answers(kind, folder, tmp_path, signature, inputs):
    """Asks an export in a process of its own."""
    ask.write_arrays(tmp_path / "questions.npz", [inputs])
    (tmp_path / "questions.npz.json").write_text(json.dumps([signature]))
    words = ["-P", ask.__file__, kind, folder, tmp_path / "questions.npz", tmp_path / "answers.npz"]
    subprocess.run([sys.executable, *map(str, words)], check=True, capture_output=True)
    return ask.read_arrays(tmp_path / "answers.npz")[0]


FILES = {
    "savedmodel": "saved_model.pb",
    "keras": "model.keras",
    "onnx": "model.onnx",
    "litert": "model.tflite",
}


@pytest.mark.parametrize(("kind", "file"), FILES.items())
def test_a_run_is_exported_and_checked(writer, tmp_path, kind, file):
    done = dlapps("export", writer, "--format", kind, "-o", tmp_path, "--inputs", "3")
    assert done.exit_code == 0, done.output
    folder = tmp_path / "run" / "1"
    assert done.stdout.strip() == str(folder)
    assert (folder / file).is_file()
    card = (folder / "README.md").read_text()
    assert "text held out in training" in card
    table = card[card.rindex("| signature") :].split("\n\n")[0]
    assert table in done.stderr
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["1"]


def test_an_export_never_goes_over_an_older_one(writer, tmp_path):
    for number in ("1", "2"):
        done = dlapps(
            "export", writer, "--format", "keras", "-o", tmp_path, "--inputs", "2", "--name", "mine"
        )
        assert done.stdout.strip() == str(tmp_path / "mine" / number)


def test_an_export_that_differs_is_not_kept(writer, tmp_path, monkeypatch):
    monkeypatch.setitem(gate.TOLERANCES, "keras", 1e-12)
    done = dlapps("export", writer, "--format", "keras", "-o", tmp_path, "--inputs", "2")
    assert done.exit_code == 1
    assert (
        "answers otherwise than the trained model: numeric, output 'logits', input" in done.stderr
    )
    assert done.stdout == ""
    assert [*tmp_path.iterdir()] == []


def test_a_savedmodel_needs_nothing_but_tensorflow(writer, tmp_path):
    dlapps("export", writer, "-o", tmp_path, "--inputs", "2")
    inputs = {
        "prompts": np.array([b"ab", b"d", b""], object), "length": np.array([6, 1, 2], np.int32),
        "temperature": np.full(3, 0.01, np.float32), "seed": np.arange(3),
    }  # fmt: skip
    found = answers("savedmodel", tmp_path / "run" / "1", tmp_path, "serving_default", inputs)
    assert found["texts"].tolist() == [b"cd\nabc", b"\n", b"ab"]
    script = f"""
import sys
sys.argv = ["ask"]
sys.path.insert(0, {str(ask.__file__.rsplit("/", 1)[0])!r})
import ask
ask._savedmodel({str(tmp_path / "run" / "1")!r})
assert not {{"keras", "dlapps"}} & set(sys.modules)
try:
    import dlapps
except ModuleNotFoundError:
    print("alone")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "alone\n", done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["savedmodel", "onnx", "litert"])
def test_a_classifier_is_exported_and_checked(tmp_path, kind):
    # Not here: a folder of the name of a built-in model would be taken for a run.
    exports = tmp_path / "exports"
    done = dlapps("export", "imagenet", "--format", kind, "-o", exports, "--inputs", "8")
    assert done.exit_code == 0, done.output
    folder = exports / "imagenet" / "1"
    if kind == "savedmodel":
        draw("disc", 1).save(tmp_path / "a.jpg")
        files = np.array([(tmp_path / "a.jpg").read_bytes(), None], object)[:-1]
        found = answers(kind, folder, tmp_path, "serving_default", {"images": files})
        asked = dlapps("classify", tmp_path / "a.jpg", "--format", "json")
        best = json.loads(asked.stdout)[0]["classes"]
        assert found["labels"][0, 0].decode() == best[0]["label"]
        assert found["probabilities"][0, 0] == pytest.approx(best[0]["probability"], abs=1e-4)
    else:
        about = json.loads((folder / "description.json").read_text())
        assert len(about["labels"]) == 1000


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["onnx", "litert"])
def test_int8_is_smaller_and_its_loss_is_measured(tmp_path, kind):
    file, sizes, exports = FILES[kind], [], tmp_path / "exports"
    for words in ((), ("--quantize",)):
        done = dlapps(
            "export", "shakespeare", "--format", kind, "-o", exports, "--inputs", "8", *words
        )
        assert done.exit_code == 0, done.output
        assert "accuracy" in done.stderr
        sizes.append((exports / "shakespeare" / str(len(sizes) + 1) / file).stat().st_size)
    assert sizes[1] < sizes[0] / 2


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        pytest.param(["nothing"], 1, "nothing does not exist", id="no-run"),
        pytest.param(["imagnet"], 1, "Did you mean 'imagenet'?", id="near"),
        pytest.param(["imagenet", "--format", "onx"], 2, "Did you mean 'onnx'?", id="format"),
        pytest.param(["imagenet", "--quantize"], 2, "--quantize is for --format onnx", id="int8"),
        pytest.param(["imagenet", "--name", "../a"], 1, "--name ../a must be letters", id="name"),
    ],
)
def test_a_mistake_is_one_line(words, status, message):
    done = dlapps("export", *words)
    assert done.exit_code == status
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_folder_that_cannot_be_written_to_is_named(writer, tmp_path):
    (tmp_path / "file").write_text("")
    done = dlapps("export", writer, "-o", tmp_path / "file" / "below", "--inputs", "2")
    assert done.exit_code == 1
    assert "below cannot be written to" in done.stderr
