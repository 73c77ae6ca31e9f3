"""Trains through the command line, for tests that need a trained model."""

import pytest
from click.testing import CliRunner

from dlapps.cli import cli


def train(root, *words):
    """Runs a training that fills `root/run`, with a cache of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DLAPPS_CACHE", str(root / "cache"))
        result = CliRunner().invoke(cli, [*map(str, words), "--run", str(root / "run")])
    assert result.exit_code == 0, result.output
