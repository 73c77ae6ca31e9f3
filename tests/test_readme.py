"""The README's commands run as they stand there, in order, on drawn pictures."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from dlapps.cli import cli
from tests.apps.classify.shapes import draw, write_folder

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
    for name in ("photo.jpg", "dlapps-demo/bus.jpg", "holiday/a/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        draw("disc", 1).save(tmp_path / name)
    write_folder(tmp_path / "flowers")
    (tmp_path / "tinyshakespeare.txt").write_text("First Citizen:\nSpeak, speak.\n" * 200)
    for command in COMMANDS:
        words = shlex.split(command)[1:]
        if {"--train", "--finetune"} & {*words}:  # A step of everything; the rest takes longer.
            words.append("--fast-dev-run")
        if words[0] == "serve":  # It would not end; its own tests run it.
            words.append("--help")
        result = CliRunner().invoke(cli, words)
        assert result.exit_code == 0, f"{command}\n{result.output}"


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
