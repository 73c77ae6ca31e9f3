from dataclasses import dataclass

import click
import pytest
from click.testing import CliRunner

from dlapps.commands import AppCommand, app_arguments, output_options, strictly
from dlapps.errors import UserError
from dlapps.options import Option, option, options


@dataclass(frozen=True)
class Config:
    units: int = option(8, "Width.", click.IntRange(min=1))
    rate: float = option(0.1, "How fast.", section="Optimize")
    patience: int = option(0, "How long.", section="Watch and resume")


@pytest.fixture
def invoke():
    """Runs a made-up app command; returns what it was called with, or what it said."""
    seen = {}

    @click.command(cls=AppCommand)
    @app_arguments()
    @click.option("--top-k", cls=Option, type=int, default=3, help="How many.")
    @options(Config)
    def app(config, **use):
        seen.update(use, config=config)

    def run(*words):
        seen.clear()
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
        return dict(seen)

    run.output = lambda *words: CliRunner().invoke(app, words)
    return run


def test_the_mode_is_train_finetune_or_none(invoke):
    assert invoke("a")["mode"] is None
    assert invoke("--train", "a")["mode"] == "train"
    assert invoke("--finetune", "a")["mode"] == "finetune"


def test_inputs_come_in_order(invoke):
    assert invoke("b", "a", "c")["inputs"] == ("b", "a", "c")


def test_every_app_gets_the_same_arguments(invoke):
    expected = {"inputs", "mode", "resume", "show_schedule", "model", "strict", "format_", "output"}
    assert invoke("a").keys() == expected | {"config", "top_k"}
    assert invoke("--resume", "runs/a")["resume"] == "runs/a"
    assert invoke("--train", "--show-schedule")["show_schedule"]


def test_help_sorts_the_options_by_what_they_are_for(invoke):
    text = invoke.output("--help").output
    places = [
        text.index(f"\n{words}")
        for words in (
            "Use:", "  --top-k", "Train:", "  --units", "Optimize:", "  --rate",
            "Watch and resume:", "  --patience", "Output:", "  --format",
        )
    ]  # fmt: skip
    assert places == sorted(places)
    train, optimize, watch, output = (
        text.index(f"\n{name}:") for name in ("Train", "Optimize", "Watch and resume", "Output")
    )
    assert train < text.index("--finetune") < optimize < text.index("--show-schedule") < watch
    assert watch < text.index("--resume") < output < text.index("-o, --output")


@pytest.mark.parametrize("name", ["--units", "--rate", "--patience"])
def test_an_option_for_training_needs_a_mode_or_a_run_to_resume(invoke, name):
    done = invoke.output("a", name, "1")
    assert done.exit_code == 2
    assert f"{name} is for training: add --train or --finetune." in done.output
    for mode in (["--train"], ["--finetune"], ["--resume", "runs/a"]):
        invoke(*mode, name, "1")


def test_what_a_config_says_of_training_is_no_mistake_in_prediction(invoke):
    assert invoke("a")["config"] == Config()


@pytest.mark.parametrize("mode", [["--train"], ["--finetune"], ["--resume", "runs/a"]])
def test_an_option_for_prediction_is_refused_in_training(invoke, mode):
    for words in (["--top-k", "1"], ["--model", "m"], ["--format", "json"]):
        done = invoke.output(*mode, *words)
        assert done.exit_code == 2
        assert f"{words[0]} is for prediction, not for {mode[0]}." in done.output
    assert invoke(*mode, "--strict")["strict"]


@pytest.mark.parametrize(
    "words", [["--show-schedule"], ["-o", "a.png"], ["--config", "run.json"]], ids=lambda w: w[0]
)
def test_what_means_nothing_to_a_run_that_is_resumed_is_refused(invoke, tmp_path, words):
    (tmp_path / "run.json").write_text('{"options": {}}')
    done = invoke.output("--resume", "runs/a", *words)
    assert done.exit_code == 2
    assert f"{words[0]} does not go with --resume." in done.output
    invoke("--train", *words)


def test_the_first_format_is_the_default():
    @click.command()
    @output_options(("table", "json"))
    def command(format_, output):
        click.echo(f"{format_} {output}")

    assert CliRunner().invoke(command, []).output == "table None\n"
    assert CliRunner().invoke(command, ["--format", "json", "-o", "a"]).output == "json a\n"
    done = CliRunner().invoke(command, ["--format", "jsn"])
    assert "'jsn' is not one of table, json. Did you mean 'json'?" in done.output


def test_an_app_may_have_formats_of_its_own_and_write_folders(tmp_path):
    @click.command()
    @output_options(("table", "yolo"), folder_for="yolo")
    def command(format_, output):
        click.echo(f"{format_} {output}")

    assert CliRunner().invoke(command, ["--format", "yolo", "-o", "."]).output == "yolo .\n"
    assert "with --format yolo to a folder" in " ".join(
        CliRunner().invoke(command, ["--help"]).output.split()
    )


def test_strictly_stops_at_the_first_that_cannot_be_read():
    bad = {}

    def predictions():
        yield 1
        bad["b.jpg"] = "damaged"
        yield 2

    stream = strictly(predictions(), bad)
    assert next(stream) == 1
    with pytest.raises(UserError, match=r"b\.jpg cannot be read: damaged\. Without --strict"):
        next(stream)


def test_strictly_sees_what_comes_last():
    with pytest.raises(UserError, match="damaged"):
        [*strictly(iter(()), {"b.jpg": "damaged"})]
    assert [*strictly(iter((1, 2)), {})] == [1, 2]
