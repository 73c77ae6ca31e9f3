import json
from dataclasses import dataclass, fields

import click
import pytest
from click.testing import CliRunner

from dlapps.errors import UserError
from dlapps.options import ClipBy, CountOr, NearChoice, named_options, option, options


@dataclass(frozen=True)
class Config:
    units: int = option(8, "Width.", click.IntRange(min=1))
    style: str = option("plain", "How it looks.", NearChoice(("plain", "fancy")))
    parts: int | str = option("auto", "How many parts.", CountOr("auto", "all", max=9))
    clip: str = option("none", "How to clip.", ClipBy())
    loud: bool = option(False, "Whether to shout.", section="Optimize")
    shout: float = option(0.0, "How loud.", click.FloatRange(min=0), "--shout-level")
    run: str | None = option(None, "Where to.")


@pytest.fixture
def invoke():
    """Runs a made-up command; returns the config that it got, or what was said."""
    seen = {}

    @click.command()
    @click.argument("words", nargs=-1)
    @options(Config)
    def app(words, config):
        seen.update(words=words, config=config, named=named_options(Config))

    def run(*words, name="config"):
        seen.clear()
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
        return seen[name]

    run.output = lambda *words: CliRunner().invoke(app, words)
    run.command = app
    return run


def test_every_field_is_an_option_with_its_default(invoke):
    assert invoke("a") == Config()
    help_text = invoke.output("--help").output
    for each in fields(Config):
        name = (each.metadata["names"] or ("--" + each.name.replace("_", "-"),))[0]
        assert f" {name} " in help_text.replace("\n", " "), name
        assert each.metadata["help"].split(".")[0][:20] in " ".join(help_text.split())


def test_options_become_the_fields_of_the_config(invoke):
    words = ["--units", "3", "--style", "fancy", "--parts", "2", "--loud", "--shout-level", "1.5"]
    expected = Config(units=3, style="fancy", parts=2, loud=True, shout=1.5, clip="norm:1")
    assert invoke("a", *words, "--clip", "norm:1") == expected


def test_an_option_knows_its_section(invoke):
    sections = {p.name: p.section for p in invoke.command.params if isinstance(p, click.Option)}
    assert (sections["units"], sections["loud"], sections["config"]) == (
        "Train",
        "Optimize",
        "Train",
    )


def test_help_shows_the_defaults(invoke):
    text = " ".join(invoke.output("--help").output.split())
    for default in ("8", "plain", "auto", "none", "0.0"):
        assert f"default: {default}" in text


def test_the_options_that_were_named_are_told_from_those_that_were_not(invoke, tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"options": {"style": "fancy"}}))
    words = ["--units", "8", "--shout-level", "2", "--config", "run.json"]
    assert invoke(*words, name="named") == {"units": "--units", "shout": "--shout-level"}
    assert invoke("a", name="named") == {}


def test_the_nearest_choice_is_named(invoke):
    done = invoke.output("--style", "plan")
    assert done.exit_code == 2
    assert "'plan' is not one of plain, fancy. Did you mean 'plain'?" in done.output


@pytest.mark.parametrize("value", ["1.5", "none", ""])
def test_a_count_is_a_number_or_a_word(invoke, value):
    done = invoke.output("--parts", value)
    assert done.exit_code == 2
    assert f"'{value}' is neither a number nor 'auto' or 'all'." in done.output


@pytest.mark.parametrize("value", ["0", "-3", "10"])
def test_a_count_is_in_its_range(invoke, value):
    done = invoke.output("--parts", value)
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


@pytest.mark.parametrize("value", ["none", "auto", "value:0.5", "norm:1", "global-norm:1e-3"])
def test_a_way_to_clip_is_taken_as_it_stands(invoke, value):
    assert invoke("--clip", value).clip == value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        pytest.param("nrm:1", "'nrm:1' is none of none, auto, value:THRESHOLD,", id="way"),
        pytest.param("nrm:1", "Did you mean 'norm'?", id="near-way"),
        pytest.param("globalnorm:1", "Did you mean 'global-norm'?", id="near-long-way"),
        pytest.param("aut", "Did you mean 'auto'?", id="near-word"),
        pytest.param("norm", "norm:THRESHOLD, global-norm:THRESHOLD.", id="no-threshold"),
        pytest.param("1", "'1' is none of none, auto,", id="number-alone"),
        pytest.param("norm:", "'' is no threshold above 0, as in norm:1.", id="empty"),
        pytest.param("norm:x", "'x' is no threshold above 0, as in norm:1.", id="word"),
        pytest.param("value:0", "'0' is no threshold above 0, as in value:1.", id="zero"),
        pytest.param("value:-1", "'-1' is no threshold above 0", id="negative"),
        pytest.param("value:nan", "'nan' is no threshold above 0", id="nan"),
        pytest.param("value:inf", "'inf' is no threshold above 0", id="infinite"),
    ],
)
def test_a_way_to_clip_that_is_none_is_told_with_the_nearest(invoke, value, said):
    done = invoke.output("--clip", value)
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())


def test_a_recorded_config_is_taken_but_for_what_is_named(invoke, tmp_path):
    kept = {"units": 5, "style": "fancy", "parts": 4, "loud": True, "run": "there", "more": 1}
    (tmp_path / "run.json").write_text(json.dumps({"options": kept}))
    config = invoke("a", "--config", "run.json", "--units", "6")
    assert config == Config(units=6, style="fancy", parts=4, loud=True)


@pytest.mark.parametrize("kept", [{"units": 0}, {"clip": "nrm:1"}])
def test_a_recorded_value_out_of_range_is_refused(invoke, tmp_path, kept):
    (tmp_path / "run.json").write_text(json.dumps({"options": kept}))
    done = invoke.output("a", "--config", "run.json")
    assert done.exit_code == 2
    assert f"--{next(iter(kept))}" in done.output


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
    done = invoke.output("a", "--config", "run.json")
    assert done.exit_code == UserError.exit_code
    assert "--config run.json is not the run.json of a run." in done.output


def test_a_config_that_does_not_exist_is_named(invoke):
    done = invoke.output("a", "--config", "no.json")
    assert done.exit_code == UserError.exit_code
    assert "--config no.json cannot be read: No such file or directory." in done.output
