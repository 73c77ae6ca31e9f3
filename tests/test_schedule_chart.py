import dataclasses
import io
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dlapps import schedule_chart
from dlapps.cli import cli
from dlapps.errors import UserError
from dlapps.schedules import KINDS
from dlapps.training_config import TrainingConfig

PLAIN = TrainingConfig(schedule="constant", warm_up=0.0)


def heights(text):
    """Returns the height of each column of a chart, in eighths of a row."""
    lines = text.splitlines()
    bars = [line[11:].ljust(schedule_chart.WIDTH) for line in lines[: schedule_chart.HEIGHT]]
    return [sum(map(schedule_chart.EIGHTHS.index, column)) for column in zip(*bars, strict=True)]


def drawn(capsys, config, rate=0.1, epochs=10):
    schedule_chart.draw(config, rate, epochs, None)
    return capsys.readouterr().out


TOP = 8 * schedule_chart.HEIGHT


def test_a_constant_rate_is_as_high_as_the_chart(capsys):
    text = drawn(capsys, PLAIN)
    assert heights(text) == [TOP] * schedule_chart.WIDTH
    assert text.splitlines()[0].startswith("      0.1 │")
    assert text.splitlines()[-1].split() == ["0", "10", "epochs"]


@pytest.mark.parametrize("kind", sorted({*KINDS} - {"constant", "plateau"}))
def test_a_rate_that_falls_is_drawn_falling(capsys, kind):
    columns = heights(drawn(capsys, dataclasses.replace(PLAIN, schedule=kind)))
    assert columns == sorted(columns, reverse=True)
    assert columns[0] > 0.9 * TOP
    assert columns[-1] < TOP / 5


def test_a_warm_up_is_drawn_rising(capsys):
    columns = heights(drawn(capsys, dataclasses.replace(PLAIN, warm_up=0.5)))
    half = schedule_chart.WIDTH // 2
    assert columns[:half] == sorted(columns[:half])
    assert columns[0] < TOP / 8
    assert set(columns[half:]) == {TOP}


def test_a_warm_up_by_epochs_does_not_begin_with_an_epoch_of_nothing(capsys):
    config = dataclasses.replace(PLAIN, warm_up=0.5, schedule_per="epoch")
    columns = heights(drawn(capsys, config, epochs=4))
    assert columns[0] == TOP / 2
    assert set(columns) == {TOP / 2, TOP}


def test_rates_that_are_set_for_an_epoch_are_drawn_as_steps(capsys):
    config = dataclasses.replace(PLAIN, schedule="exponential", schedule_per="epoch")
    assert len(set(heights(drawn(capsys, config, epochs=4)))) == 4
    config = dataclasses.replace(config, schedule_per="step")
    assert len(set(heights(drawn(capsys, config, epochs=4)))) > 20


def test_no_line_is_wider_than_a_terminal(capsys):
    assert max(map(len, drawn(capsys, PLAIN, rate=1.23e-7, epochs=1000).splitlines())) <= 80


def test_draws_to_a_picture(tmp_path, capsys):
    for name, config in (("a.png", PLAIN), ("b.PNG", TrainingConfig())):
        path = tmp_path / "made/on/the/way" / name
        schedule_chart.draw(config, 0.1, 10, path)
        assert capsys.readouterr().out == f"{path}\n"
    pictures = [np.asarray(Image.open(path.with_name(name))) for name in ("a.png", "b.PNG")]
    assert pictures[0].shape[1] > 800
    assert (pictures[0] != pictures[1]).any()


@pytest.mark.parametrize("name", ["x.txt", "x", "png", "x.jpg"])
def test_a_file_that_is_no_png_is_refused(tmp_path, name):
    with pytest.raises(UserError, match=rf"-o .*{name}: the schedule is drawn as PNG\."):
        schedule_chart.draw(PLAIN, 0.1, 10, tmp_path / name)
    assert not [*tmp_path.iterdir()]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/x\.png cannot be written: "):
        schedule_chart.draw(PLAIN, 0.1, 10, tmp_path / "file/x.png")


@pytest.mark.parametrize("more", [[], ["-o", "a.png"]], ids=["terminal", "picture"])
def test_the_command_draws_without_keras(tmp_path, more):
    words = ["classify", "--train", "nowhere/", "--show-schedule", "--epochs", "7", *more]
    script = f"""
import sys
from dlapps.cli import cli
cli({words!r}, standalone_mode=False)
heavy = {{"keras", "tensorflow"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    if more:
        assert done.stdout == b"a.png\n"
        Image.open(io.BytesIO((tmp_path / "a.png").read_bytes())).verify()
    else:
        assert b"7 epochs" in done.stdout


@pytest.mark.parametrize(
    ("mode", "rate", "epochs"),
    [
        pytest.param("--train", "0.002", "30 epochs", id="train"),
        pytest.param("--finetune", "0.0002", "14 epochs", id="finetune"),
    ],
)
def test_each_mode_has_its_own_rate_and_length(mode, rate, epochs):
    words = ["classify", mode, "--show-schedule", "--warm-up", "0", "--schedule", "constant"]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
    assert result.stdout.split()[0] == rate
    assert epochs in result.stdout
    refused = CliRunner().invoke(cli, [*words, "-o", "x.txt"])
    assert refused.exit_code == 1
    assert len(refused.stderr.splitlines()) == 1
