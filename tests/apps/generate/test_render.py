import csv
import io
import json
import math

import numpy as np
import pytest

from dlapps.apps.generate import render
from dlapps.apps.generate.data import Corpus

PROMPT = 'He said, "é'


@pytest.fixture
def written():
    several = ["first\nsecond line", ' a "quoted", text\n']
    return [
        render.as_json(None, PROMPT, several),
        render.as_json("a, b.txt", "", ["x"]),
    ]


def test_json_names_the_file_only_where_there_is_one(written):
    assert [*written[0]] == ["prompt", "texts"]
    assert written[1] == {"path": "a, b.txt", "prompt": "", "texts": ["x"]}


def test_json_and_jsonl_hold_what_was_written(written):
    assert json.loads(render.lines(written, "json")) == written
    rows = render.lines(written, "jsonl").split("\n")
    assert [json.loads(row) for row in rows] == written
    assert "é" in rows[0]  # As a person reads it.


def test_csv_survives_new_lines_commas_and_quotes(written):
    rows = [*csv.DictReader(io.StringIO(render.lines(written, "csv"), newline=""))]
    assert [row["text"] for row in rows] == ["first\nsecond line", ' a "quoted", text\n', "x"]
    assert [row["sample"] for row in rows] == ["1", "2", "1"]
    assert [row["prompt"] for row in rows] == [PROMPT, PROMPT, ""]


def test_the_line_about_a_corpus_counts_what_is_in_it():
    ids = np.zeros(90, np.uint8), np.zeros(10, np.uint8)
    corpus = Corpus("poems", "\nabcdefgh", *ids, "")
    line = render.corpus_line(corpus, {"uniform": 2.1972, "unigram": 1.5})
    assert line.startswith("poems: 90 characters to learn from, 10 held out; 9 different ones")
    assert r"'\n' 'a'" in line
    assert "and 3 more" in line
    assert "uniform 2.197, unigram 1.500" in line
    assert "\n" not in line


def measures(**more):
    return {
        "num_characters": 1000,
        "num_unknown": 0,
        "nats_per_char": math.log(2),
        "bits_per_char": 1.0,
        "perplexity": 2.0,
        "baselines": {name: 2 * math.log(2) for name in render.ABOUT},
        **more,
    }


def test_an_evaluation_stands_beside_what_simpler_means_reach():
    text = render.evaluation_table(measures())
    model = next(line for line in text.splitlines() if line.startswith("this model"))
    assert model.split()[-2:] == ["0.6931", "1.0000"]
    for name, about in render.ABOUT.items():
        row = next(line for line in text.splitlines() if line.startswith(name))
        assert about in row
        assert row.split()[-2:] == ["1.3863", "2.0000"]
    assert "unknown" not in text


def test_numbers_of_an_evaluation_stand_below_each_other():
    text = render.evaluation_table(measures(num_unknown=3))
    rows = [line for line in text.splitlines() if line and "a character" not in line]
    assert {len(row) for row in rows[:3]} == {43}
    assert {len(row) for row in rows[3:]} == {52}
    assert "  unknown, left out" in text
