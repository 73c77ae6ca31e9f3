import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from dlapps.cli import Face, cli
from dlapps.errors import UserError

HEAVY = {"keras", "keras_cv", "matplotlib", "numpy", "PIL", "rich", "sklearn", "tensorflow"}


def commands(command, path=()):
    """Yields the words that reach every command below `command`."""
    yield path
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))


COMMANDS = [pytest.param(words, id=" ".join(("dlapps", *words))) for words in commands(cli)]


def invoke(*words):
    """Runs a command line; an exception that is not caught by the command fails the test."""
    return CliRunner().invoke(cli, words, catch_exceptions=False)


@pytest.mark.parametrize("words", COMMANDS)
def test_help_does_not_import_what_is_heavy(words):
    script = f"""
import sys
from dlapps.cli import cli
cli({[*words, "--help"]!r}, standalone_mode=False)
heavy = {HEAVY!r} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "Usage:" in done.stdout


def test_python_does_not_look_for_garbage_when_a_command_ends():
    script = """
import atexit, gc
atexit.register(lambda: print(gc.get_freeze_count() > 1000))  # The last to run.
from dlapps.cli import cli
cli(["--version"])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "True"


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_and_option_has_help(words):
    command = cli
    for word in words:
        command = command.commands[word]
    assert command.help
    for parameter in command.params:
        assert isinstance(parameter, click.Argument) or parameter.help, parameter.name


@pytest.mark.parametrize("words", COMMANDS)
def test_help_fits_a_hundred_columns(words):
    runner = CliRunner()
    done = runner.invoke(cli, [*words, "--help"], terminal_width=100, catch_exceptions=False)
    assert done.exit_code == 0
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_python_dash_m_is_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "dlapps", "--version"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stdout.startswith("dlapps, version ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(
            ["clasify"], "There is no command 'clasify'. Did you mean 'classify'?", id="command"
        ),
        pytest.param(["xyz"], "There is no command 'xyz'. 'dlapps --help' lists them.", id="far"),
        pytest.param(["--verson"], "'--verson'. Did you mean '--version'?", id="option"),
        pytest.param(["classify", "--finetun", "a"], "'--finetune', ", id="app-option"),
        pytest.param(
            ["classify", "a.jpg", "--format", "jsn"],
            "'jsn' is not one of table, json, jsonl, csv. Did you mean 'json'?",
            id="choice",
        ),
        pytest.param(
            ["classify", "--train", "a", "--augment", "stong"],
            "'stong' is not one of none, light, standard, strong. Did you mean 'strong'?",
            id="config-choice",
        ),
        pytest.param(
            ["classify", "--train", "a", "--unfreeze", "al"],
            "'al' is neither a number nor 'auto' or 'all'. Did you mean 'all'?",
            id="count-or-word",
        ),
        pytest.param(
            ["classify", "--train", "a", "--patience", "-1"],
            "-1 is not in the range x>=0",
            id="range",
        ),
        pytest.param(
            ["classify", "--train", "a", "--epochs", "0"],
            "0 is not in the range from 1.",
            id="count",
        ),
        pytest.param(["classify", "--train", "a", "--epochs", "ten"], "'ten'", id="number"),
        pytest.param(
            ["classify", "--train", "a", "--clip", "nrm:1"], "Did you mean 'norm'?", id="clip"
        ),
        pytest.param(
            ["classify", "--train", "a", "--epochs"], "requires an argument", id="no-value"
        ),
        pytest.param(
            ["classify", "a.jpg", "--epochs", "3"],
            "--epochs is for training: add --train or --finetune.",
            id="training-option-in-prediction",
        ),
        pytest.param(
            ["classify", "--train", "a", "--top-k", "3"],
            "--top-k is for prediction, not for --train.",
            id="prediction-option-in-training",
        ),
        pytest.param(
            ["classify", "--finetune", "a", "-o", "b.txt"],
            "-o is for prediction, not for --finetune; see --run.",
            id="output-option-in-training",
        ),
        pytest.param(
            ["classify", "a/", "--resume", "runs/a"],
            "--resume takes dataset and mode from the run; leave them out.",
            id="resumed-with-a-dataset",
        ),
        pytest.param(
            ["classify", "--train", "--resume", "runs/a"],
            "--resume takes dataset and mode from the run; leave them out.",
            id="resumed-in-a-mode",
        ),
        pytest.param(
            ["classify", "--resume", "runs/a", "--show-schedule"],
            "--show-schedule does not go with --resume.",
            id="resumed-and-drawn",
        ),
        pytest.param(
            ["classify", "--show-schedule"],
            "--show-schedule is for training: add --train or --finetune.",
            id="schedule-of-no-training",
        ),
        pytest.param(
            ["classify", "--train", "a", "b"],
            "--train takes one dataset, got 2.",
            id="two-datasets",
        ),
        pytest.param(["classify"], "INPUTS are missing", id="no-inputs"),
        pytest.param(
            ["classify", "a.jpg", "--explain"], "add --save-images DIR.", id="explain-nowhere"
        ),
        pytest.param(["evaluate"], "Missing argument 'RUN'", id="no-run"),
        pytest.param(["models", "more"], "unexpected extra argument (more)", id="extra-argument"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line_and_status_two(words, message):
    done = invoke(*words)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert message in done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


def test_a_recorded_config_is_for_training_too(tmp_path):
    (tmp_path / "run.json").write_text('{"options": {}}')
    done = invoke("classify", "a.jpg", "--config", "run.json")
    assert done.exit_code == 2
    assert done.stderr == "Error: --config is for training: add --train or --finetune.\n"


def test_without_a_command_the_help_is_shown():
    done = invoke()
    assert "Usage:" in done.output
    assert "Error" not in done.output


def raising(error):
    @click.group(cls=Face)
    def group():
        pass

    @group.command()
    def fail():
        click.echo("a result")
        raise error

    return group


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        pytest.param(UserError("No picture."), 1, "Error: No picture.\n", id="user"),
        pytest.param(click.UsageError("No option."), 2, "Error: No option.\n", id="usage"),
        pytest.param(KeyboardInterrupt(), 130, "Stopped.\n", id="control-c"),
        pytest.param(click.Abort(), 130, "Stopped.\n", id="abort"),
    ],
)
def test_the_exit_status_says_who_is_at_fault(error, status, message):
    done = CliRunner().invoke(raising(error), ["fail"], catch_exceptions=False)
    assert done.exit_code == status
    assert done.stderr.lstrip("\n") == message
    assert done.stdout == "a result\n"


def test_a_mistake_of_ours_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        CliRunner().invoke(raising(ZeroDivisionError()), ["fail"], catch_exceptions=False)


def test_a_reader_that_has_seen_enough_is_no_error():
    script = "from dlapps.cli import cli; cli(['models', '--format', 'json'])"
    with subprocess.Popen(
        [sys.executable, "-u", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0
