"""The README's commands run as they stand there, in order, on drawn pictures."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from dlapps.apps.detect.model import DarknetDetector
from dlapps.cli import cli
from tests.apps.caption.shapes import write_captioned
from tests.apps.classify.shapes import draw, write_folder
from tests.darknet.models import FAMILY, write_weights
from tests.data.boxed_files import picture, voc_xml

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
# Of a command with its output the first line counts, behind its prompt.
COMMANDS = re.findall(r"^(?:\$ )?(dlapps .*)$", README, flags=re.MULTILINE)
BOOTSTRAP = re.findall(r"^python3 (bootstrap\.py .*)$", README, flags=re.MULTILINE)


def test_the_readme_names_commands():
    assert len(COMMANDS) >= 6
    assert len(BOOTSTRAP) == 2


@pytest.mark.slow
def test_every_command_of_the_readme_runs(tmp_path):
    for name in (
        "photo.jpg", "bus.jpg", "street.jpg", "dlapps-demo/bus.jpg", "holiday/a/1.jpg"
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        draw("disc", 1).save(tmp_path / name)
    write_folder(tmp_path / "flowers")
    write_captioned(tmp_path / "flickr8k", copies=4)
    (tmp_path / "page.html").write_text('<img src="photo.jpg">')
    (tmp_path / "tinyshakespeare.txt").write_text("First Citizen:\nSpeak, speak.\n" * 200)
    _write_cells(tmp_path / "bccd")
    _write_darknet(tmp_path)
    for command in COMMANDS:
        words = shlex.split(command)[1:]
        if {"--train", "--finetune"} & {*words}:  # A step of everything; the rest takes longer.
            words.append("--fast-dev-run")
        if words[0] == "serve":  # It would not end; its own tests run it.
            words.append("--help")
        if words[0] == "export" and "--inputs" not in words:  # Fewer pictures to check it with.
            words += ["--inputs", "8"]
        result = CliRunner().invoke(cli, words)
        assert result.exit_code == 0, f"{command}\n{result.output}"


def _write_cells(folder):
    for number in range(4):
        name = f"{number}.jpg"
        picture(folder / "JPEGImages" / name, seed=number)
        text = voc_xml(name, (64, 48), [("RBC", (4, 4, 30, 30)), ("WBC", (32, 8, 60, 40))])
        (folder / "Annotations").mkdir(exist_ok=True)
        (folder / "Annotations" / f"{number}.xml").write_text(text)


def _write_darknet(folder):
    names = ["person", "bus", "tie"]
    (folder / "coco.names").write_text("\n".join(names))
    (folder / "yolov3.cfg").write_text(FAMILY["yolov3-tiny"]())
    model = DarknetDetector(names, FAMILY["yolov3-tiny"]())
    model.build((None, None, None, 3))
    write_weights(folder / "yolov3.weights", model.network)


def test_the_tree_of_the_readme_names_what_there_is():
    tree = README[README.index("bootstrap.py        makes") :].split("```")[0]
    named = set(re.findall(r"^\s*((?:[\w/]+(?:\.py|/)(?:\s{2}(?=\w+\.py))?)+)", tree, re.MULTILINE))
    names = {name for entry in named for name in entry.split()}
    top = {path.name for path in (ROOT / "dlapps").glob("*.py")} - {"__init__.py", "__main__.py"}
    assert top <= names
    for name in names:
        places = (ROOT / name, ROOT / "dlapps" / name)
        assert any(place.exists() for place in places), name


@pytest.mark.parametrize("words", BOOTSTRAP)
def test_bootstrap_knows_what_the_readme_asks_of_it(words):
    script, task, *rest = words.split()
    source = (ROOT / script).read_text()
    assert f'"{task}"' in source or (task == "dlapps" and rest[0] in cli.commands)
