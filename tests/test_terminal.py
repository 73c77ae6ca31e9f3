import contextlib
import io
import os
import sys
import warnings

import pytest

from dlapps import terminal


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_a_note_goes_to_standard_error(capsys):
    terminal.note("work")
    assert capsys.readouterr() == ("", "work\n")


def test_without_a_terminal_there_is_no_bar(capsys):
    with terminal.progress("Reading", 3) as advance:
        advance(1)
        advance(2)
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_a_bar_counts_and_goes_away(monkeypatch, capsys):
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with terminal.progress("Reading", 3) as advance:
        advance(3)
    text = screen.getvalue()
    assert "Reading" in text
    assert "3/3" in text
    assert text.endswith("\x1b[2K")  # The line is erased.
    assert capsys.readouterr().out == ""


def test_an_error_takes_the_bar_away_too(monkeypatch):
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with pytest.raises(KeyboardInterrupt), terminal.progress("Reading", 3):
        raise KeyboardInterrupt
    assert "\x1b[?25h" in screen.getvalue()  # The cursor is back.


def test_quiet_hides_warnings_and_what_libraries_write(capfd):
    with terminal.quiet():
        os.write(2, b"from C++\n")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    os.write(2, b"later\n")
    assert capfd.readouterr() == ("", "later\n")


def test_quiet_shows_what_was_written_before_an_error(capfd):
    with contextlib.suppress(ZeroDivisionError), terminal.quiet():
        os.write(2, b"the reason\n")
        raise ZeroDivisionError
    assert capfd.readouterr().err == "the reason\n"


def test_quiet_stays_quiet_when_it_is_stopped(capfd):
    with contextlib.suppress(KeyboardInterrupt), terminal.quiet():
        os.write(2, b"from C++\n")
        raise KeyboardInterrupt
    assert capfd.readouterr().err == ""


def test_quiet_leaves_standard_output_alone(capfd):
    with terminal.quiet():
        os.write(1, b"result\n")
    assert capfd.readouterr().out == "result\n"


def test_quiet_leaves_no_files_open():
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with terminal.quiet():
            pass
    assert len(os.listdir("/proc/self/fd")) == before


def test_nothing_skipped_is_nothing_said(capsys):
    terminal.skipped({})
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("count", "head", "last"),
    [
        pytest.param(1, "Skipped 1 file that", "  0.jpg: damaged", id="one"),
        pytest.param(5, "Skipped 5 files that", "  4.jpg: damaged", id="all"),
        pytest.param(9, "Skipped 9 files that", "  and 4 more", id="more"),
    ],
)
def test_skipped_files_are_counted_and_the_first_named(capsys, count, head, last):
    terminal.skipped({f"{k}.jpg": "damaged" for k in range(count)})
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(head)
    assert lines[1] == "  0.jpg: damaged"
    assert lines[-1] == last
    assert len(lines) <= 7
