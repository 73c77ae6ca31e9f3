from dataclasses import fields

import click
import pytest
from click.testing import CliRunner

from dlapps.options import TRAINING, options
from dlapps.schedules import KINDS
from dlapps.training_config import OPTIMIZERS, PRECISIONS, RESUMABLE, TrainingConfig


@pytest.fixture
def read():
    """Returns the config that a command line makes, or what was said."""

    def run(*words):
        seen = []

        @click.command()
        @options(TrainingConfig)
        def app(config):
            seen.append(config)

        done = CliRunner().invoke(app, words)
        return seen[0] if seen else " ".join(done.output.split())

    return run


def test_the_defaults_of_the_class_are_those_of_the_command_line(read):
    assert read() == TrainingConfig()


def test_every_option_stands_under_a_heading_for_training():
    assert {each.metadata["section"] for each in fields(TrainingConfig)} == {*TRAINING}


def test_what_may_change_on_resuming_are_options():
    assert {*RESUMABLE} < {each.name for each in fields(TrainingConfig)}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        pytest.param("--optimizer", OPTIMIZERS, id="optimizer"),
        pytest.param("--schedule", KINDS, id="schedule"),
        pytest.param("--precision", PRECISIONS, id="precision"),
        pytest.param("--schedule-per", ("step", "epoch"), id="schedule-per"),
        pytest.param("--on-divergence", ("rollback", "stop", "warn"), id="on-divergence"),
        pytest.param("--clip", ("none", "auto", "norm:1"), id="clip"),
    ],
)
def test_every_value_that_the_help_names_is_taken(read, name, values):
    field = name.removeprefix("--").replace("-", "_")
    assert [getattr(read(name, value), field) for value in values] == [*values]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["--optimizer", "adm"], "Did you mean 'adam'?", id="optimizer"),
        pytest.param(["--schedule", "cosin"], "Did you mean 'cosine'?", id="schedule"),
        pytest.param(
            ["--precision", "mixed_float"], "Did you mean 'mixed_float16'?", id="precision"
        ),
        pytest.param(["--clip", "nrm:1"], "Did you mean 'norm'?", id="clip"),
        pytest.param(["--schedule-period", "0"], "0 is not in the range from 1.", id="period"),
        pytest.param(["--schedule-drop", "1"], "1.0 is not in the range 0<x<1.", id="drop"),
        pytest.param(["--warm-up", "1"], "1.0 is not in the range 0<=x<1.", id="warm-up"),
        pytest.param(["--learning-rate", "0"], "0.0 is not in the range x>0.", id="rate"),
        pytest.param(["--accumulate", "0"], "0 is not in the range x>=1.", id="accumulate"),
        pytest.param(["--patience", "-1"], "-1 is not in the range x>=0.", id="patience"),
        pytest.param(["--validation", "0"], "0.0 is not in the range 0<x<=0.9.", id="validation"),
    ],
)
def test_a_value_that_makes_no_sense_is_told(read, words, said):
    assert said in read(*words)


@pytest.mark.parametrize(
    ("schedule", "named", "expected"),
    [
        pytest.param("step", "auto", 10, id="three-steps"),
        pytest.param("step", 4, 4, id="named"),
        pytest.param("plateau", "auto", 3, id="patience-of-three"),
        pytest.param("cosine", "auto", 30, id="cosine"),
        pytest.param("cosine", 4, 30, id="cosine-ends-with-the-training"),
    ],
)
def test_the_period_suits_the_length_unless_it_is_named(schedule, named, expected):
    config = TrainingConfig(schedule=schedule, schedule_period=named)
    assert config.period(30) == pytest.approx(expected)
