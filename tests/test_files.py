import contextlib
import os

import pytest

from dlapps.errors import UserError
from dlapps.files import (
    keep_apart,
    new_name,
    replacement,
    stem,
    writable_folder,
    write,
    write_lines,
)


def lines_and_then(error):
    yield "new"
    raise error


def test_writes_text_and_bytes(tmp_path):
    write(tmp_path / "a.txt", "grün\n")
    write(tmp_path / "b.bin", b"\x00\xff")
    write_lines(tmp_path / "c.txt", ["eins", "zwei"])
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "grün\n"
    assert (tmp_path / "b.bin").read_bytes() == b"\x00\xff"
    assert (tmp_path / "c.txt").read_text() == "eins\nzwei\n"


def test_makes_the_folders_on_the_way(tmp_path):
    write(tmp_path / "a/b/c.txt", "x")
    write_lines(tmp_path / "d/e/f.txt", ["x"])
    writable_folder(tmp_path / "g/h")
    assert (tmp_path / "a/b/c.txt").is_file()
    assert (tmp_path / "d/e/f.txt").is_file()
    assert (tmp_path / "g/h").is_dir()
    assert not [*(tmp_path / "g/h").iterdir()]


@pytest.mark.parametrize("error", [RuntimeError, OSError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_no_litter(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with contextlib.suppress(error), replacement(path) as beside:
        beside.write_text("new")
        raise error
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def test_an_error_between_lines_leaves_no_file(tmp_path):
    with pytest.raises(RuntimeError):
        write_lines(tmp_path / "a.txt", lines_and_then(RuntimeError()))
    assert not [*tmp_path.iterdir()]


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def watching():
        yield "new"
        assert path.read_text() == "old"

    write_lines(path, watching())
    assert path.read_text() == "new\n"


def test_the_file_beside_keeps_the_suffix_and_is_hidden(tmp_path):
    with replacement(tmp_path / "model.keras") as beside:
        assert beside.suffix == ".keras"
        assert beside.parent == tmp_path
        assert beside.name.startswith(".")


def test_others_may_read_what_the_mask_lets_them(tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "a.txt", "x")
    finally:
        assert os.umask(before) == 0o027
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "try_to_write",
    [
        pytest.param(lambda path: write(path, "x"), id="write"),
        pytest.param(lambda path: write_lines(path, ["x"]), id="write_lines"),
    ],
)
def test_a_place_that_cannot_be_written_is_the_users_matter(tmp_path, try_to_write):
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=r"file/a\.txt cannot be written: (Not a|File exists)"):
        try_to_write(tmp_path / "file" / "a.txt")
    with pytest.raises(UserError, match=r"folder cannot be written: Is a directory\."):
        try_to_write(tmp_path / "folder")
    assert (tmp_path / "file").read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_folder_that_cannot_be_made_is_the_users_matter(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(UserError, match=r"file cannot be written to: File exists\."):
        writable_folder(tmp_path / "file")


def test_a_folder_without_room_for_files_is_the_users_matter(tmp_path, monkeypatch):
    def full(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(UserError, match="cannot be written to: No space left on device"):
        writable_folder(tmp_path)


def test_a_pipe_or_device_stays_what_it_is(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    end = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        write(path, "x")
        assert path.is_fifo()
        assert os.read(end, 9) == b"x"
    finally:
        os.close(end)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a/b.c.jpg", "b.c"), ("../../etc/passwd", "passwd"), ("..", "picture"), (".x.jpg", "x")],
)
def test_a_stem_leads_nowhere(name, expected):
    assert stem(name) == expected


def test_a_number_tells_equal_names_apart():
    taken = set()
    names = [new_name(name, ".jpg", taken) for name in ("a", "a", "b", "a")]
    assert names == ["a.jpg", "a-2.jpg", "b.jpg", "a-3.jpg"]


def test_what_is_read_is_kept_apart_from_what_is_written(tmp_path):
    source = tmp_path / "in" / "a.jpg"
    write(source, "x")
    keep_apart("--save", tmp_path, [source, b"bytes", "-"])
    for folder in (tmp_path / "in", tmp_path / "in" / ".." / "in"):
        with pytest.raises(UserError, match=r"--save .* is where INPUTS are read from"):
            keep_apart("--save", folder, [b"bytes", source])
