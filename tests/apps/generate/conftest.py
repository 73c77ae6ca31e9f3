"""A model that knows a text by heart, shared by the tests of the generator."""

import pytest
from click.testing import CliRunner

from dlapps.cli import cli
from tests.apps.generate.tiny import CYCLE, TINY
from tests.trainings import train


@pytest.fixture
def dlapps():
    """Runs a command line; returns what `CliRunner.invoke` does."""

    def run(*words, **settings):
        return CliRunner().invoke(cli, [str(word) for word in words], **settings)

    return run


@pytest.fixture
def cycle(tmp_path):
    """A file in which each character tells the next one."""
    (tmp_path / "cycle.txt").write_text(CYCLE)
    return tmp_path / "cycle.txt"


@pytest.fixture(scope="session")
def trained(made_once):
    """A run folder of a generator that knows its text by heart, and the text."""

    def fill(root):
        (root / "cycle.txt").write_text(CYCLE)
        train(root, "generate", "--train", root / "cycle.txt", *TINY)

    root = made_once("generator", fill)
    return root / "run", root / "cycle.txt"


@pytest.fixture
def write(trained, dlapps):
    """Writes with the trained model; returns what `CliRunner.invoke` does."""

    def run(*words, **settings):
        return dlapps("generate", "--model", trained[0], *words, **settings)

    return run
