import pytest
from click.testing import CliRunner

from dlapps.cli import cli


@pytest.mark.slow
def test_the_demo_looks_learns_and_looks_again_as_often_as_one_likes(tmp_path):
    for number in (1, 2):
        result = CliRunner().invoke(cli, ["demo"])
        assert result.exit_code == 0, result.output
        assert "minibus" in result.stdout
        assert "ROMEO:" in result.stdout
        assert (tmp_path / "dlapps-demo/found/zidane.jpg").is_file()
        assert (tmp_path / f"runs/classify/sample-{number}/model.keras").is_file()
        answers = [line.split() for line in result.stdout.splitlines() if ".png" in line]
        assert [(row[0], row[-1]) for row in answers] == [
            (f"dlapps-demo/{digit}.png", str(digit)) for digit in (3, 5, 8)
        ]
