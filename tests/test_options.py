import json
from dataclasses import dataclass, fields

import click
import pytest
from click.testing import CliRunner

from dlapps.errors import UserError
from dlapps.options import (
    AppCommand,
    CountOr,
    NearChoice,
    Option,
    TrainingConfig,
    app_arguments,
    option,
    options,
)


@dataclass(frozen=True)
class Config(TrainingConfig):
    units: int = option(8, "Width.", click.IntRange(min=1))
    style: str = option("plain", "How it looks.", NearChoice(("plain", "fancy")))
    parts: int | str = option("auto", "How many parts.", CountOr("auto", "all", max=9))
    loud: bool = option(False, "Whether to shout.")
    shout: float = option(0.0, "How loud.", click.FloatRange(min=0), "--shout-level")


@pytest.fixture
def invoke():
    """Runs a made-up app command; returns what it was called with, or what it said."""
    seen = {}

    @click.command(cls=AppCommand)
    @app_arguments
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


def test_every_field_is_an_option_with_its_default(invoke):
    assert invoke("a")["config"] == Config()
    help_text = invoke.output("--help").output
    for each in fields(Config):
        name = (each.metadata["names"] or ("--" + each.name.replace("_", "-"),))[0]
        assert f" {name} " in help_text.replace("\n", " "), name
        assert each.metadata["help"].split(".")[0][:20] in " ".join(help_text.split())


def test_options_become_the_fields_of_the_config(invoke):
    words = ["--units", "3", "--style", "fancy", "--parts", "2", "--loud", "--shout-level", "1.5"]
    config = invoke("--train", "a", *words)["config"]
    assert config == Config(units=3, style="fancy", parts=2, loud=True, shout=1.5)


def test_the_mode_is_train_finetune_or_none(invoke):
    assert invoke("a")["mode"] is None
    assert invoke("--train", "a")["mode"] == "train"
    assert invoke("--finetune", "a")["mode"] == "finetune"


def test_inputs_come_in_order(invoke):
    assert invoke("b", "a", "c")["inputs"] == ("b", "a", "c")


def test_help_sorts_the_options_by_what_they_are_for(invoke):
    text = invoke.output("--help").output
    use, train, output = (text.index(f"\n{name}:") for name in ("Use", "Train", "Output"))
    assert use < text.index("--top-k") < train < text.index("--units") < output
    assert train < text.index("--finetune") < output < text.index("--format")


def test_help_shows_the_defaults(invoke):
    text = " ".join(invoke.output("--help").output.split())
    for default in ("8", "plain", "auto", "0.2", "0.0"):
        assert f"default: {default}" in text


@pytest.mark.parametrize("value", ["1.5", "none", ""])
def test_a_count_is_a_number_or_a_word(invoke, value):
    done = invoke.output("--train", "a", "--parts", value)
    assert done.exit_code == 2
    assert f"'{value}' is neither a number nor 'auto' or 'all'." in done.output


@pytest.mark.parametrize("value", ["0", "-3", "10"])
def test_a_count_is_in_its_range(invoke, value):
    done = invoke.output("--train", "a", "--parts", value)
    assert done.exit_code == 2
    assert f"{value} is not in the range from 1 to 9." in done.output


def test_a_count_may_have_no_upper_end():
    kind = CountOr("auto", min=3)
    assert kind.convert("1000000", None, None) == 1000000
    with pytest.raises(click.BadParameter, match=r"2 is not in the range from 3\."):
        kind.convert("2", None, None)


def test_a_count_may_go_in_steps():
    kind = CountOr("auto", min=32, max=96, step=32)
    assert [kind.convert(text, None, None) for text in ("32", "96", "auto")] == [32, 96, "auto"]
    with pytest.raises(click.BadParameter, match=r"48 is not a multiple of 32\."):
        kind.convert("48", None, None)


def test_a_recorded_config_is_taken_but_for_what_is_named(invoke, tmp_path):
    kept = {"units": 5, "style": "fancy", "parts": 4, "loud": True, "run": "there", "more": 1}
    (tmp_path / "run.json").write_text(json.dumps({"options": kept}))
    config = invoke("--train", "a", "--config", "run.json", "--units", "6")["config"]
    assert config == Config(units=6, style="fancy", parts=4, loud=True)


def test_a_recorded_value_out_of_range_is_refused(invoke, tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"options": {"units": 0}}))
    done = invoke.output("--train", "a", "--config", "run.json")
    assert done.exit_code == 2
    assert "--units" in done.output


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("not json", id="text"),
        pytest.param("[1]", id="list"),
        pytest.param("{}", id="no-options"),
        pytest.param('{"options": 3}', id="number"),
    ],
)
def test_a_config_that_is_no_record_is_refused(invoke, tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    done = invoke.output("--train", "a", "--config", "run.json")
    assert done.exit_code == UserError.exit_code
    assert "--config run.json is not the run.json of a run." in done.output


def test_a_config_that_does_not_exist_is_named(invoke):
    done = invoke.output("--train", "a", "--config", "no.json")
    assert done.exit_code == UserError.exit_code
    assert "--config no.json cannot be read: No such file or directory." in done.output
