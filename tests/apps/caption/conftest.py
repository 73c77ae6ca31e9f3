"""Drawn pictures with captions, and a model that knows them by heart."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from dlapps.apps.caption.data import read_dataset
from dlapps.cli import cli
from tests.apps.caption.shapes import TINY, write_captioned


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
def trained(tmp_path_factory):
    """A run folder of a captioner that knows pictures by heart, and a folder of those."""
    root = tmp_path_factory.mktemp("trained")
    data = write_captioned(root / "shapes", copies=1)
    # Small batches, for an epoch costs more than a step.
    by_heart = ["--batch-size", 4, "--overfit-batches", 3]
    words = ["caption", "--train", data, *TINY, *by_heart, "--run", root / "run"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DLAPPS_CACHE", str(root / "cache"))
        result = CliRunner().invoke(cli, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    learnt = [Path(each.name).stem.split("-") for each in read_dataset(str(data)).train]
    return root / "run", write_captioned(root / "learnt", 1, kinds=[(k, c) for c, k, _ in learnt])


@pytest.fixture
def tell(trained, dlapps):
    """Captions with the trained model; returns what `CliRunner.invoke` does."""

    def run(*words, **settings):
        return dlapps("caption", "--model", trained[0], *words, **settings)

    return run
