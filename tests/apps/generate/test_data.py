import numpy as np
import pytest

from dlapps.apps.generate import data
from dlapps.data import texts
from dlapps.errors import UserError

LINES = "one two three\nfour five six\n" * 30


@pytest.fixture
def text(tmp_path):
    (tmp_path / "lines.txt").write_text(LINES)
    return tmp_path / "lines.txt"


def decoded(ids, corpus):
    return "".join(corpus.characters[k] for k in ids)


def test_the_end_of_the_text_is_held_out(text):
    corpus = data.read_corpus([str(text)], part=0.25)
    assert decoded(corpus.train, corpus) + decoded(corpus.validation, corpus) == LINES
    assert len(corpus.validation) == len(LINES) / 4
    assert corpus.characters == "".join(sorted(set(LINES)))
    assert corpus.name == "lines"
    assert not corpus.notes


def test_however_small_the_part_something_is_held_out(text):
    assert len(data.read_corpus([str(text)], part=1e-9).validation) == 1


def test_a_second_text_is_held_out_instead_and_its_characters_are_known(text, tmp_path):
    (tmp_path / "other.txt").write_text("ZEBRA")
    corpus = data.read_corpus([str(text)], held_out=str(tmp_path / "other.txt"))
    assert decoded(corpus.train, corpus) == LINES
    assert decoded(corpus.validation, corpus) == "ZEBRA"


def test_known_characters_keep_their_ids_and_new_ones_come_behind(text):
    corpus = data.read_corpus([str(text)], known="xwut")
    assert corpus.characters.startswith("xwut")
    assert sorted(corpus.characters) == sorted(set(LINES))
    assert decoded([*corpus.train, *corpus.validation], corpus) == LINES
    (note,) = corpus.notes
    assert "New to the model" in note
    assert "'\\n'" in note


def test_characters_that_are_all_known_need_no_note(text):
    known = "".join(sorted(set(LINES), reverse=True)) + "Q"
    corpus = data.read_corpus([str(text)], known=known)
    assert corpus.characters == known
    assert not corpus.notes


def test_the_fingerprint_changes_with_the_text_and_the_split_alone(text, tmp_path):
    def fingerprint(name, content=LINES, **settings):
        (tmp_path / name).write_text(content)
        return data.read_corpus([str(tmp_path / name)], **settings).fingerprint

    first = data.read_corpus([str(text)]).fingerprint
    assert fingerprint("renamed.txt") == first
    others = {
        fingerprint("edited.txt", LINES.replace("six", "sex", 1)),
        fingerprint("swapped.txt", LINES[::-1]),
        fingerprint("split.txt", part=0.2),
        fingerprint("second.txt", held_out=str(text)),
    }
    assert len({first, *others}) == 5


def test_several_files_are_one_text(text, tmp_path):
    for name, content in (("b10.txt", "END"), ("b9.txt", "BEGIN"), ("b.png", "no text")):
        (tmp_path / "folder" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "folder" / name).write_text(content)
    corpus = data.read_corpus([str(text), str(tmp_path / "folder")])
    assert decoded([*corpus.train, *corpus.validation], corpus) == LINES + "BEGINEND"


def test_characters_beyond_the_basic_plane_are_one_each(tmp_path):
    (tmp_path / "smile.txt").write_text("a😀é" * 20, encoding="utf-8")
    corpus = data.read_corpus([str(tmp_path / "smile.txt")])
    assert corpus.characters == "aé😀"
    assert len(corpus.train) + len(corpus.validation) == 60


@pytest.mark.parametrize("chunk", [7, 100_000])
def test_a_long_text_is_kept_on_disk_and_is_the_same(text, monkeypatch, chunk):
    monkeypatch.setattr(texts, "CHUNK", chunk)
    in_memory = data.read_corpus([str(text)])
    monkeypatch.setattr(data, "IN_MEMORY", 50)
    on_disk = data.read_corpus([str(text)])
    assert isinstance(on_disk.train, np.memmap)
    np.testing.assert_array_equal(on_disk.train, in_memory.train)
    np.testing.assert_array_equal(on_disk.validation, in_memory.validation)
    assert on_disk.fingerprint == in_memory.fingerprint
    assert not [*data.cache_folder().iterdir()]  # Its file has no name.


def test_more_characters_than_a_byte_counts_are_told_apart(tmp_path):
    content = "".join(map(chr, range(0x4E00, 0x4E00 + 700)))
    (tmp_path / "many.txt").write_text(content, encoding="utf-8")
    corpus = data.read_corpus([str(tmp_path / "many.txt")])
    assert decoded([*corpus.train, *corpus.validation], corpus) == content


def test_more_characters_than_two_bytes_count_are_told_apart_or_refused(tmp_path):
    content = "".join(map(chr, range(0x10000, 0x10000 + 70_000)))
    (tmp_path / "many.txt").write_text(content, encoding="utf-8")
    corpus = data.read_corpus([str(tmp_path / "many.txt")])
    assert decoded([*corpus.train, *corpus.validation], corpus) == content


def test_an_empty_text_is_refused(tmp_path):
    (tmp_path / "empty.txt").touch()
    with pytest.raises(UserError, match=r"empty\.txt is empty"):
        data.read_corpus([str(tmp_path / "empty.txt")])
    with pytest.raises(UserError, match="is empty"):
        data.read_text(str(tmp_path / "empty.txt"))


def test_a_text_is_read_whole(text):
    assert data.read_text(str(text)) == LINES


def test_the_sample_is_a_text_that_needs_no_file():
    corpus = data.read_corpus(["sample"])
    assert corpus.name == "sample"
    assert len(corpus.train) > 100_000
    assert {*"etaoin \n"} <= {*corpus.characters}


def test_unknown_characters_are_left_out_and_told_once_each():
    ids, unknown = data.encoded("cabbage", "abc")
    assert [*ids] == [2, 0, 1, 1, 0]
    assert unknown == "eg"
    ids, unknown = data.encoded("", "abc")
    assert len(ids) == 0
    assert unknown == ""


def test_shown_characters_can_be_told_apart():
    assert data.shown("é\t \n") == r"'é' '\t' ' ' '\n'"
    assert data.shown("abcdef", 2) == "'a' 'b' and 4 more"
    assert data.shown("ab", 2) == "'a' 'b'"
