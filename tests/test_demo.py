import pytest
from click.testing import CliRunner

from dlapps.cli import cli


@pytest.mark.slow
def test_the_demo_looks_learns_and_looks_again(tmp_path):
    result = CliRunner().invoke(cli, ["demo"])
    assert result.exit_code == 0, result.output
    assert "minibus" in result.stdout
    assert (tmp_path / "runs/classify/sample-1/model.keras").is_file()
    answers = [line.split() for line in result.stdout.splitlines() if ".png" in line]
    assert [(row[0], row[-1]) for row in answers] == [
        (f"dlapps-demo/{digit}.png", str(digit)) for digit in (3, 5, 8)
    ]


@pytest.mark.slow
def test_the_demo_can_be_seen_twice(tmp_path):
    for _ in range(2):
        assert CliRunner().invoke(cli, ["demo"]).exit_code == 0
    assert (tmp_path / "runs/classify/sample-2/model.keras").is_file()
