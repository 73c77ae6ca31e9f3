import csv
import io
import json

import pytest
from click.testing import CliRunner

from dlapps.cli import cli
from dlapps.weights import builtin


@pytest.fixture
def listed():
    def run(*words):
        done = CliRunner().invoke(cli, ["models", *words], catch_exceptions=False)
        assert done.exit_code == 0
        assert done.stderr == ""
        return done.stdout

    return run


def test_the_table_names_every_model_with_its_licence(listed):
    lines = listed().splitlines()
    for model in builtin.MODELS:
        assert any(model.name in line.split() and model.licence in line for line in lines)
    assert max(map(len, lines)) <= 120


def test_the_table_tells_what_needs_a_network(listed):
    built_in, online = listed().split("Downloaded by Keras:")
    assert "no network needed" in built_in
    for model in builtin.MODELS:
        assert model.name in (online if model.online else built_in)


def test_every_format_says_the_same(listed):
    rows = builtin.rows()
    assert json.loads(listed("--format", "json")) == rows
    assert [json.loads(line) for line in listed("--format", "jsonl").splitlines()] == rows
    table = [*csv.DictReader(io.StringIO(listed("--format", "csv")))]
    assert table == [{name: str(value) for name, value in row.items()} for row in rows]


def test_the_list_can_be_written_to_a_file(listed, tmp_path):
    expected = listed("--format", "csv")
    assert listed("--format", "csv", "-o", "made/models.csv") == ""
    assert (tmp_path / "made/models.csv").read_text() == expected


def test_a_file_that_cannot_be_written_is_the_users_matter(tmp_path):
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(cli, ["models", "-o", "file/models.txt"])
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: file/models.txt cannot be written: ")
    assert done.stderr.count("\n") == 1
