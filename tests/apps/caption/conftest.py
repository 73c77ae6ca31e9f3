"""Drawn pictures with captions, and a model that knows them by heart."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from dlapps.apps.caption.data import read_dataset
from dlapps.cli import cli
from tests.apps.caption.shapes import BY_HEART, TINY, write_captioned
from tests.trainings import train


@pytest.fixture
def shapes(tmp_path):
    """A folder of twelve pictures with two captions each."""
    return write_captioned(tmp_path / "shapes")


@pytest.fixture
def dlapps():
    """Runs a command line; returns what `CliRunner.invoke` does."""

    def run(*words, **settings):
        return CliRunner().invoke(cli, [str(word) for word in words], **settings)

    return run


@pytest.fixture(scope="session")
def trained(made_once):
    """A run folder of a captioner that knows pictures by heart, and a folder of those."""

    def fill(root):
        data = write_captioned(root / "shapes", copies=1)
        train(root, "caption", "--train", data, *TINY, *BY_HEART)
        learnt = [Path(each.name).stem.split("-") for each in read_dataset(str(data)).train]
        write_captioned(root / "learnt", 1, kinds=[(k, c) for c, k, _ in learnt])

    root = made_once("captioner", fill)
    return root / "run", root / "learnt"


@pytest.fixture
def tell(trained, dlapps):
    """Captions with the trained model; returns what `CliRunner.invoke` does."""

    def run(*words, **settings):
        return dlapps("caption", "--model", trained[0], *words, **settings)

    return run
