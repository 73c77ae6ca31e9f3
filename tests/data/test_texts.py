import codecs
import io
import types
import unicodedata
from pathlib import Path

import pytest

from dlapps.data import texts as module
from dlapps.data.texts import Text, texts
from dlapps.errors import UserError

SAMPLE = "Grüße,\n\tzwölf Äpfel: 日本 🐍\n"
CHUNKS = [1, 2, 3, 5, 1 << 24]


@pytest.fixture
def tree(tmp_path):
    """Files that hold their own names."""
    names = (
        "a/10.txt a/9.TXT a/b/1.md a/b/2.rst a/picture.png a/.hidden.txt a/.git/x.txt c.txt d.bin"
    )
    for name in names.split():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def characters(data, encoding="auto", normalization="none"):
    return "".join(Text("x.txt", data, encoding, normalization).pieces())


def refusal(data, encoding="auto"):
    with pytest.raises(UserError) as caught:
        characters(data, encoding)
    return str(caught.value)


def names(*words):
    return [each.name for each in texts(words)]


def refused(*words, **settings):
    with pytest.raises(UserError) as caught:
        texts(words, **settings)
    return str(caught.value)


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"],
)
def test_a_byte_order_mark_names_the_encoding_and_is_no_character(monkeypatch, chunk, encoding):
    monkeypatch.setattr(module, "CHUNK", chunk)
    assert characters(("\ufeff" + SAMPLE).encode(encoding)) == SAMPLE


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-7", "gb18030"])
def test_characters_survive_the_borders_of_chunks(monkeypatch, chunk, encoding):
    monkeypatch.setattr(module, "CHUNK", chunk)
    assert characters(SAMPLE.encode(encoding), encoding) == SAMPLE


def test_without_a_mark_a_text_is_utf_8():
    assert characters(SAMPLE.encode()) == SAMPLE


def test_a_mark_further_on_is_a_character():
    assert characters("a\ufeffb".encode()) == "a\ufeffb"


@pytest.mark.parametrize("chunk", CHUNKS)
def test_every_line_ends_with_a_line_feed(monkeypatch, chunk):
    monkeypatch.setattr(module, "CHUNK", chunk)
    assert characters(b"a\r\nb\rc\n\r\n\r\r\nd\r") == "a\nb\nc\n\n\n\nd\n"
    assert characters("\ufeffa\r\nb\r".encode("utf-16-le")) == "a\nb\n"


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize(
    ("data", "byte", "offset"),
    [
        pytest.param(b"ab\xffcd", "ff", 2, id="in the middle"),
        pytest.param("aé".encode() + b"\xffcd", "ff", 3, id="behind a character of two bytes"),
        pytest.param(b"ab\xe2\x82", "e2", 2, id="an end that is missing"),
        pytest.param(b"ab\xe2\x82c", "e2", 2, id="a part of a character"),
        pytest.param(b"abcdefg\xc3\xff", "c3", 7, id="two at the end"),
    ],
)
def test_what_is_no_utf_8_is_refused_with_the_place(monkeypatch, chunk, data, byte, offset):
    monkeypatch.setattr(module, "CHUNK", chunk)
    assert refusal(data) == (
        f"x.txt is not in UTF-8: byte 0x{byte} at offset {offset}. "
        "Bring it into UTF-8, or name its --encoding, such as latin-1."
    )


@pytest.mark.parametrize("chunk", CHUNKS)
def test_the_place_is_counted_from_the_start_of_a_file_with_a_mark(monkeypatch, chunk):
    monkeypatch.setattr(module, "CHUNK", chunk)
    assert "byte 0xff at offset 5." in refusal(codecs.BOM_UTF8 + b"ab\xffcd")


@pytest.mark.parametrize("chunk", CHUNKS)
def test_half_a_character_of_utf_16_is_refused_with_the_place(monkeypatch, chunk):
    monkeypatch.setattr(module, "CHUNK", chunk)
    assert refusal("\ufeffabc".encode("utf-16-le")[:-1]).startswith(
        "x.txt is not in UTF-16-LE: byte 0x63 at offset 6."
    )


def test_the_text_before_a_wrong_byte_can_be_read_again(monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 2)
    pieces = Text("x.txt", b"abcd\xff").pieces()
    assert [next(pieces), next(pieces)] == ["ab", "cd"]
    with pytest.raises(UserError, match="offset 4"):
        next(pieces)


def test_a_binary_file_is_refused_with_the_place_of_its_first_zero():
    message = refusal(b"PNG\0\1\0")
    assert message.startswith("x.txt is a binary file, no text: byte 3 is zero. ")
    assert "--encoding utf-16-le" in message


def test_a_zero_is_a_character_where_an_encoding_is_named():
    assert characters(b"a\0b", "utf-8") == "a\0b"
    assert characters("ab".encode("utf-16-le"), "utf-16-le") == "ab"


def test_a_named_encoding_is_taken():
    assert characters("Grüße".encode("latin-1"), "latin-1") == "Grüße"
    assert "is not in CP1252: byte 0x81 at offset 1." in refusal(b"a\x81", "cp1252")


@pytest.mark.parametrize(
    ("encoding", "hint"),
    [
        pytest.param("utf-88", " Did you mean 'utf-8'?", id="near"),
        pytest.param("latin-one", " Did you mean 'latin-1'?", id="worded"),
        pytest.param("klingon", "", id="far"),
    ],
)
def test_an_encoding_that_is_none_is_refused_with_the_nearest(tree, encoding, hint):
    known = "Try utf-8, latin-1 or cp1252."
    assert refused("c.txt", encoding=encoding) == (
        f"--encoding {encoding}: there is no such encoding.{hint} {known}"
    )


@pytest.mark.parametrize("encoding", ["rot13", "hex", "base64", "zlib", "undefined"])
def test_a_codec_that_makes_no_text_of_bytes_is_refused(tree, encoding):
    with pytest.raises(UserError, match=f"--encoding {encoding}: there is no such encoding"):
        [*texts(["c.txt"], encoding)[0].pieces()]


@pytest.mark.parametrize("normalization", ["none", "NFC"])
def test_an_empty_text_has_no_characters(tmp_path, normalization):
    (tmp_path / "empty.txt").touch()
    assert characters(tmp_path / "empty.txt", normalization=normalization) == ""
    assert characters(b"", normalization=normalization) == ""
    assert characters("", normalization=normalization) == ""
    assert characters(codecs.BOM_UTF8, normalization=normalization) == ""


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_a_normal_form_does_not_depend_on_the_borders_of_chunks(monkeypatch, chunk, form):
    monkeypatch.setattr(module, "CHUNK", chunk)
    text = "e\u0301a\u0323\u0302\n\u0301\r\nﬁ\u1100\u1161\u11a8"
    expected = unicodedata.normalize(form, text.replace("\r\n", "\n"))
    assert characters(text.encode(), normalization=form) == expected
    assert characters(("\ufeff" + text).encode("utf-16-be"), normalization=form) == expected


def test_without_a_normal_form_characters_stay_as_they_are():
    assert characters("e\u0301é".encode()) == "e\u0301é"
    assert characters("e\u0301é") == "e\u0301é"


def test_characters_may_be_given_as_they_are():
    assert characters(SAMPLE) == SAMPLE
    assert characters("e\u0301", normalization="NFC") == "é"


@pytest.mark.parametrize("chunk", CHUNKS)
def test_a_text_can_be_read_as_often_as_needed(monkeypatch, tmp_path, chunk):
    monkeypatch.setattr(module, "CHUNK", chunk)
    (tmp_path / "x.txt").write_text(SAMPLE, encoding="utf-8")
    text = Text("x.txt", tmp_path / "x.txt")
    assert ["".join(text.pieces()) for _ in range(2)] == [SAMPLE, SAMPLE]


def test_no_piece_is_larger_than_a_chunk(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "CHUNK", 4)
    (tmp_path / "x.txt").write_text("abcdefghij")
    assert [*Text("x.txt", tmp_path / "x.txt").pieces()] == ["abcd", "efgh", "ij"]


def test_a_file_that_is_gone_is_named(tmp_path):
    with pytest.raises(UserError, match=r"^x cannot be read: No such file or directory\.$"):
        [*Text("x", tmp_path / "x").pieces()]


def test_a_file_goes_by_the_name_it_was_given(tree):
    assert texts(["c.txt"]) == [Text("c.txt", Path("c.txt"))]
    assert names("./c.txt", str(tree / "c.txt")) == ["./c.txt", str(tree / "c.txt")]


def test_a_file_that_is_named_is_taken_whatever_its_suffix(tree):
    assert names("d.bin") == ["d.bin"]


def test_a_folder_is_searched_to_the_bottom_for_texts_as_people_count(tree):
    assert names("a") == ["a/9.TXT", "a/10.txt", "a/b/1.md", "a/b/2.rst"]
    assert names("a/") == names("a")
    assert [characters(text.source) for text in texts(["a"])] == names("a")


def test_what_is_hidden_is_not_searched_but_may_be_named(tree):
    assert not [name for name in names(".") if "hidden" in name or ".git" in name]
    assert names("a/.git", "a/.hidden.txt") == ["a/.git/x.txt", "a/.hidden.txt"]


def test_a_folder_that_is_named_like_a_text_is_searched_only(tree):
    (tree / "a/chapters.txt").mkdir()
    (tree / "a/chapters.txt/1.txt").touch()
    assert names("a/chapters.txt") == ["a/chapters.txt/1.txt"]
    assert "a/chapters.txt" not in names("a")


def test_a_folder_without_texts_is_refused(tree):
    (tree / "empty").mkdir()
    (tree / "empty/.x.txt").touch()
    assert refused("empty") == "empty holds no texts (.md .rst .tex .text .txt)."


def test_a_glob_is_sorted_as_people_count_and_leaves_folders_out(tree):
    assert names("a/*.[tT]*") == ["a/9.TXT", "a/10.txt"]
    assert names("a/*") == ["a/9.TXT", "a/10.txt", "a/picture.png"]
    assert names("**/*.md") == ["a/b/1.md"]


def test_a_name_that_reads_like_a_glob_is_itself(tree):
    (tree / "a[1].txt").touch()
    assert names("a[1].txt") == ["a[1].txt"]


def test_a_glob_without_a_match_is_refused(tree):
    assert refused("a/*.tex") == "a/*.tex matches no file."
    assert refused("?") == "? matches no file."


def test_words_keep_their_order_and_may_repeat(tree):
    assert names("c.txt", "a/b", "c.txt") == ["c.txt", "a/b/1.md", "a/b/2.rst", "c.txt"]
    assert names() == []


def test_standard_input_is_read_once_and_kept(monkeypatch):
    pipe = io.BytesIO(SAMPLE.encode("utf-16"))
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(buffer=pipe))
    (text,) = texts(["-"])
    assert text.name == "standard input"
    assert ["".join(text.pieces()) for _ in range(2)] == [SAMPLE, SAMPLE]


def test_a_standard_input_that_is_no_text_is_named(monkeypatch):
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(buffer=io.BytesIO(b"\xff")))
    (text,) = texts(["-"])
    with pytest.raises(UserError, match="standard input is not in UTF-8: byte 0xff at offset 0"):
        [*text.pieces()]


def test_encoding_and_normal_form_are_those_of_every_text(tree):
    found = texts(["c.txt", "a"], "latin-1", "NFC")
    assert {(text.encoding, text.normalization) for text in found} == {("latin-1", "NFC")}


def test_a_word_that_names_nothing_is_refused_with_the_nearest(tree):
    assert refused("cc.txt") == "cc.txt does not exist. Did you mean 'c.txt'?"
    assert refused("a/10.tx") == "a/10.tx does not exist. Did you mean '10.txt'?"
    assert refused("no/where/x.txt") == "no/where/x.txt does not exist."
    assert refused("c.txt", "zzz") == "zzz does not exist."


def test_a_word_that_is_longer_than_any_name_is_refused():
    assert "cannot be read: File name too long" in refused("x" * 300)
