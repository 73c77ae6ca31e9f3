"""Drawn pictures and a model trained on them, shared by the tests of the classifier."""

import pytest
from click.testing import CliRunner

from dlapps.cli import cli
from tests.apps.classify.shapes import write_folder
from tests.trainings import train


@pytest.fixture
def shapes(tmp_path):
    """A folder of two classes of ten pictures."""
    return write_folder(tmp_path / "shapes")


@pytest.fixture
def dlapps():
    """Runs a command line; returns what `CliRunner.invoke` does."""

    def run(*words, **settings):
        return CliRunner().invoke(cli, [str(word) for word in words], **settings)

    return run


@pytest.fixture(scope="session")
def trained(made_once):
    """A run folder of a classifier trained on drawn shapes, and the folder it learnt from."""

    def fill(root):
        data = write_folder(root / "shapes")
        train(root, "classify", "--train", data, "--epochs", 8, "--views", 1)

    root = made_once("classifier", fill)
    return root / "run", root / "shapes"
