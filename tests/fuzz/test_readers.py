"""Files of all kinds, damaged at random: each is read, or refused in one line."""

import re
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.findings import FINDINGS
from tests.fuzz.readers import READERS, attempt

EXAMPLES = 60
# A file of some hundred bytes is read in some milliseconds; a machine may be busy.
SECONDS = 20
MEGABYTES = 200


@st.composite
def changes(draw, reader):
    """Draws which seed to take, and what to put where: places from the start, and words."""
    place, length = st.integers(0, 200), st.sampled_from([0, 1, 1, 2, 7, 200])
    piece = st.integers(0, len(reader.words) - 1) | st.binary(max_size=8)
    change = st.tuples(place, length, piece)
    return draw(st.integers(0, len(reader.seeds) - 1)), draw(st.lists(change, max_size=4))


def damaged(reader, seed, changes):
    """Returns a file with pieces put into it, or into the place of others."""
    pieces = re.findall(rb"[\w.]+|[^\w.]", reader.seeds[seed])
    for place, length, piece in changes:
        start = place % (len(pieces) + 1)
        pieces[start : start + length] = [
            piece if isinstance(piece, bytes) else reader.words[piece]
        ]
    return b"".join(pieces)


def peak():
    """Returns the most memory that this process had since `forget`, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024


def forget():
    """Begins to measure the peak anew; returns where it is now, in MB."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


@pytest.fixture
def bounded():
    """Ends what takes too long, and looks at how much memory it took."""

    def late(*_):
        raise AssertionError(f"It took more than {SECONDS} seconds.")

    before = signal.signal(signal.SIGALRM, late)
    start = forget()
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    assert peak() - start < MEGABYTES


@pytest.mark.parametrize("name", READERS)
def test_what_is_no_such_file_is_refused_in_one_line(name, bounded):
    reader = READERS[name]

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
        suppress_health_check=[*HealthCheck],
    )  # fmt: skip
    @given(changes(reader))
    def check(drawn):
        signal.alarm(SECONDS)
        attempt(reader, damaged(reader, *drawn))
        signal.alarm(0)

    check()


@pytest.mark.parametrize(("name", "data"), FINDINGS)
def test_what_was_once_found_stays_refused_in_one_line(name, data, bounded):
    signal.alarm(SECONDS)
    attempt(READERS[name], data)


@pytest.mark.parametrize("name", READERS)
def test_what_it_begins_with_is_read(name, tmp_path):
    for number, seed in enumerate(READERS[name].seeds):
        folder = tmp_path / str(number)
        folder.mkdir()
        READERS[name].read(folder, seed)
