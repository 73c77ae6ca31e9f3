import csv
import io
import json

import pytest


def test_a_text_learnt_by_heart_goes_on_from_a_prompt(write):
    result = write("--prompt", "ab", "--top-k", 1, "--length", 9)
    assert result.exit_code == 0, result.output
    assert result.stdout == "abcd\nabcd\na\n"
    assert result.stderr == ""


def test_without_a_prompt_it_begins_a_line(write):
    assert write("--top-k", 1, "--length", 4).stdout == "abcd\n"


def test_every_prompt_and_every_file_is_gone_on_from_in_turn(write, tmp_path):
    (tmp_path / "one.txt").write_text("bc")
    (tmp_path / "two.txt").write_text("c")
    words = ("--prompt", "a", "--prompt", f"FILE:{tmp_path / 'one.txt'}", tmp_path / "two.txt")
    result = write(*words, "--top-k", 1, "--length", 2)
    assert result.stdout == "abc\n---\nbcd\n\n---\ncd\n\n"


def test_escapes_of_a_prompt_are_read(write):
    assert write("--prompt", r"d\n", "--top-k", 1, "--length", 2).stdout == "d\nab\n"
    result = write("--prompt", r"a\tb\\nc", "--unknown", "drop", "--length", 1, "--top-k", 1)
    assert result.stdout == "a\tb\\ncd\n"
    assert r"'\t' '\\' 'n'" in result.stderr


def test_a_file_is_read_as_it_stands(write, tmp_path):
    (tmp_path / "a.txt").write_text(r"a\n")
    result = write(tmp_path / "a.txt", "--length", 1)
    assert result.exit_code == 1
    assert r"'\\' 'n'" in result.stderr


def test_a_stop_ends_the_text(write):
    result = write("--prompt", "a", "--top-k", 1, "--stop", r"d\n", "--length", 50)
    assert result.stdout == "abc\n"


def test_samples_stand_apart_and_differ(write):
    result = write("--prompt", "a", "--samples", 2, "--temperature", 9, "--length", 30)
    one, other = result.stdout.split("\n---\n")
    assert one.startswith("a")
    assert other.startswith("a")
    assert one != other.removesuffix("\n")


def test_the_seed_fixes_what_is_written(write):
    words = ("--temperature", 9, "--samples", 2, "--length", 30)
    one, same, other = (write(*words, "--seed", seed).stdout for seed in (1, 1, 2))
    assert one == same != other


def test_without_a_seed_chance_decides(write):
    words = ("--temperature", 50, "--length", 60)
    assert write(*words).stdout != write(*words).stdout


def test_formats_agree(write, tmp_path):
    (tmp_path / "b.txt").write_text("b")
    words = ("--prompt", "a", tmp_path / "b.txt", "--samples", 2, "--temperature", 5, "--seed", 3)
    outputs = {
        form: write(*words, "--length", 25, "--format", form).stdout
        for form in ("table", "json", "jsonl", "csv")
    }
    read = json.loads(outputs["json"])
    assert [each["prompt"] for each in read] == ["a", "b"]
    assert read[1]["path"] == str(tmp_path / "b.txt")
    assert "path" not in read[0]
    assert all(len(text) == 25 for each in read for text in each["texts"])
    assert [json.loads(line) for line in outputs["jsonl"].splitlines()] == read
    flat = [
        {"prompt": each["prompt"], "sample": str(number), "text": text}
        for each in read
        for number, text in enumerate(each["texts"], start=1)
    ]
    assert [*csv.DictReader(io.StringIO(outputs["csv"], newline=""))] == flat
    table = "---\n".join(f"{row['prompt']}{row['text']}\n" for row in flat)
    assert outputs["table"] == table


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv"])
def test_output_goes_to_a_file_whole(write, tmp_path, form):
    words = ("--prompt", "ab", "--top-k", 1, "--length", 5, "--format", form)
    out = tmp_path / "sub/out.txt"
    result = write(*words, "-o", out)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert out.read_text() == write(*words).stdout


def test_unknown_characters_of_a_prompt_are_named_with_the_known(write):
    result = write("--prompt", "aXbé")
    assert result.exit_code == 1
    assert "The prompt holds 'X' 'é'" in result.stderr
    assert r"'\n' 'a' 'b' 'c' 'd'" in result.stderr
    assert "--unknown drop" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


def test_unknown_characters_of_a_prompt_can_be_left_out(write):
    result = write("--prompt", "aXb", "--unknown", "drop", "--top-k", 1, "--length", 2)
    assert result.exit_code == 0, result.output
    assert "'X'" in result.stderr
    assert result.stdout == "aXbcd\n"


def test_a_prompt_that_is_too_long_is_refused(write, tmp_path, monkeypatch):
    monkeypatch.setattr("dlapps.apps.generate.command.MOST_PROMPT", 5)
    (tmp_path / "long.txt").write_text("abcd\na")
    for words, named in (
        (["--prompt", "abcdab"], "--prompt"),
        ([tmp_path / "long.txt"], "long.txt"),
        (["--prompt", f"FILE:{tmp_path / 'long.txt'}"], "long.txt"),
    ):
        result = write(*words)
        assert result.exit_code == 1
        assert f"{named} has 6 characters" in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert write("--prompt", "abcda", "--length", 1).exit_code == 0


def test_the_schedule_is_drawn_without_a_text(dlapps, tmp_path):
    result = dlapps("generate", "--train", "--show-schedule", "--epochs", 5)
    assert result.exit_code == 0, result.output
    assert result.stdout
    assert not (tmp_path / "runs").exists()


def test_numbers_of_a_seed_do_not_depend_on_the_format_of_the_prompt(write, tmp_path):
    (tmp_path / "a.txt").write_text("a")
    words = ("--temperature", 9, "--seed", 1, "--length", 30)
    given = ("a.txt",), ("--prompt", "a"), ("--prompt", "FILE:a.txt")
    assert len({write(*prompt, *words).stdout for prompt in given}) == 1
