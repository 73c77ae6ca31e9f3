"""Records written down as they come."""

import csv
import io
import json

import pytest

from dlapps.output import csv_lines, json_lines, json_list

RECORDS = [{"path": "ä, b.jpg", "boxes": [{"label": "cat"}]}, {"path": 'a "b"', "boxes": []}]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_list_is_what_json_makes_of_all_at_once(count):
    records = RECORDS[:count]
    written = "\n".join(json_list(records))
    assert json.loads(written) == records
    if records:
        assert written == json.dumps(records, indent=2, ensure_ascii=False)


def test_every_line_is_a_record():
    assert [json.loads(line) for line in json_lines(RECORDS)] == RECORDS


def test_csv_survives_commas_quotes_and_ends_of_lines():
    rows = [["a, b", 'the "dog"'], ["two\nlines", "1"], ["\r", "\r\n"]]
    text = "\n".join(csv_lines(["x", "y"], rows))
    assert [*csv.reader(io.StringIO(text, newline=""))] == [["x", "y"], *rows]


@pytest.mark.parametrize("write", [json_list, json_lines])
def test_nothing_waits_for_the_last_record(write):
    def endless():
        yield from RECORDS
        raise AssertionError("asked for more than was read")

    lines = write(endless())
    assert next(lines)
