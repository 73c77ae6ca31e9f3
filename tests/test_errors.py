import pytest

from dlapps.errors import LONGEST, UserError, nearest, reason


def test_a_user_error_ends_with_status_one_and_its_words():
    error = UserError("No picture.")
    assert error.exit_code == 1
    assert error.format_message() == str(error) == "No picture."


def test_the_nearest_word_is_named():
    assert nearest("flowrs", ["pets", "flowers"]) == " Did you mean 'flowers'?"


@pytest.mark.parametrize("words", [[], ["pets"], iter(["pets"]), {"pets": 1}])
def test_nothing_is_named_where_nothing_is_near(words):
    assert nearest("flowers", words) == ""


def test_a_reason_leaves_number_and_path_out():
    assert reason(FileNotFoundError(2, "No such file or directory", "a/b")) == (
        "No such file or directory"
    )
    assert reason(ValueError("it ends.")) == "it ends"
    assert reason(ValueError()) == ""


def test_what_a_file_holds_neither_breaks_the_line_nor_speaks_to_the_terminal():
    error = UserError("labels/1.txt: 'a\nb\x1b[2J\u2028\ud800' is no class.")
    assert str(error) == r"labels/1.txt: 'a\nb\x1b[2J\u2028\ud800' is no class."


def test_a_value_without_end_is_cut_in_its_middle():
    said = str(UserError(f"a.csv: '{'9' * 100_000}' is no number."))
    assert len(said) == LONGEST + 3
    assert said.startswith("a.csv: '999")
    assert said.endswith("999' is no number.")
