import io
import random
import types

import numpy as np
import pytest
from PIL import Image

from dlapps.data.inputs import Input, natural, picture_inputs, pictures_in, text_lines
from dlapps.errors import UserError


@pytest.fixture
def tree(tmp_path):
    """Files of no content: listing pictures opens none of them."""
    names = (
        "a/10.jpg a/9.jpg a/b/1.PNG a/b/2.webp a/notes.txt a/.hidden.jpg a/.git/x.jpg "
        "a/__MACOSX/9.jpg a/movie.mp4 c.jpg d.bin"
    )
    for name in names.split():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


@pytest.fixture
def piped(monkeypatch):
    """Makes standard input hold some bytes."""

    def pipe(data):
        monkeypatch.setattr("sys.stdin", types.SimpleNamespace(buffer=io.BytesIO(data)))

    return pipe


def names(*words):
    return [each.name for each in picture_inputs(words)]


def refusal(*words):
    with pytest.raises(UserError) as caught:
        picture_inputs(words)
    return str(caught.value)


def test_a_file_goes_by_the_name_it_was_given(tree):
    assert picture_inputs(["c.jpg"]) == [Input("c.jpg", tree.relative_to(tree) / "c.jpg")]
    assert names("./c.jpg") == ["./c.jpg"]
    assert names(str(tree / "c.jpg")) == [str(tree / "c.jpg")]


def test_a_file_that_is_named_is_taken_whatever_its_suffix(tree):
    assert names("d.bin") == ["d.bin"]


def test_a_folder_is_searched_to_the_bottom_for_pictures(tree):
    assert names("a") == ["a/9.jpg", "a/10.jpg", "a/b/1.PNG", "a/b/2.webp"]
    assert names("a/") == names("a")


def test_what_is_hidden_is_not_searched_but_a_hidden_folder_may_be_named(tree):
    assert not [name for name in names(".") if "hidden" in name or ".git" in name]
    assert names("a/.git") == ["a/.git/x.jpg"]
    assert [path.name for path in pictures_in(tree / "a" / "__MACOSX")] == ["9.jpg"]


def test_a_glob_is_sorted_as_people_count(tree):
    assert names("a/*.jpg") == ["a/9.jpg", "a/10.jpg"]
    assert names("a/?.jpg") == ["a/9.jpg"]
    assert names("a/[0-9]*.jpg") == ["a/9.jpg", "a/10.jpg"]


def test_two_stars_reach_every_depth(tree):
    assert names("**/*.PNG") == ["a/b/1.PNG"]
    assert names("a/**/1.*", "a/**/9.*") == ["a/b/1.PNG", "a/9.jpg", "a/__MACOSX/9.jpg"]


def test_a_glob_leaves_folders_out(tree):
    assert names("a/*") == ["a/9.jpg", "a/10.jpg", "a/movie.mp4", "a/notes.txt"]


def test_a_name_that_reads_like_a_glob_is_itself(tree):
    (tree / "a[1].jpg").touch()
    assert names("a[1].jpg") == ["a[1].jpg"]


def test_words_keep_their_order_and_may_repeat(tree):
    assert names("c.jpg", "a/9.jpg", "c.jpg") == ["c.jpg", "a/9.jpg", "c.jpg"]
    assert names() == []


def test_a_list_names_paths_relative_to_itself(tree):
    text = "\ufeff# ten before nine\n10.jpg\n\n  9.jpg  \nb/1.PNG\n"
    (tree / "a/list.txt").write_text(text, encoding="utf-8")
    found = picture_inputs(["a/list.txt"])
    assert [each.name for each in found] == ["10.jpg", "9.jpg", "b/1.PNG"]
    assert all(each.source.is_file() for each in found)


def test_a_list_may_name_paths_as_seen_from_here(tree):
    (tree / "a/list.TXT").write_text("c.jpg\r\na/9.jpg\r\n")
    assert names("a/list.TXT") == ["c.jpg", "a/9.jpg"]


def test_a_list_that_names_a_missing_file_says_where(tree):
    (tree / "list.txt").write_text("c.jpg\n\ne.jpg\n")
    assert refusal("list.txt") == "list.txt, line 3: e.jpg does not exist."


def test_an_empty_list_is_refused(tree):
    (tree / "list.txt").write_text("# nothing\n")
    assert refusal("list.txt") == "list.txt names no picture. Write one path a line."


def test_a_list_that_is_no_text_is_refused(tree):
    (tree / "list.txt").write_bytes(b"ab\xff")
    assert refusal("list.txt") == "list.txt is not a text file in UTF-8 (byte 2)."


def test_a_text_that_cannot_be_read_is_named(tree):
    with pytest.raises(UserError, match=r"a cannot be read: Is a directory\."):
        text_lines(tree / "a")


def test_standard_input_may_be_a_list(tree, piped):
    piped(b"c.jpg\na/9.jpg\n")
    assert names("-") == ["c.jpg", "a/9.jpg"]
    piped(b"c.jpg\nnone.jpg\n")
    assert refusal("-") == "standard input, line 2: none.jpg does not exist."


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "GIF", "TIFF"])
def test_standard_input_may_be_one_picture(piped, format_):
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(noise).save(file, format_)
    piped(file.getvalue())
    assert picture_inputs(["-"]) == [Input("-", file.getvalue())]


def test_standard_input_may_be_a_picture_without_high_bytes(piped):
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "BMP", dpi=(72, 72))
    piped(file.getvalue())
    assert picture_inputs(["-"]) == [Input("-", file.getvalue())]


@pytest.mark.parametrize("data", [b"", b" \n"])
def test_an_empty_standard_input_is_refused(piped, data):
    piped(data)
    assert refusal("-").startswith("Standard input is empty. Pipe in one picture")


def test_a_word_that_names_nothing_is_refused_with_the_nearest(tree):
    assert refusal("a/9.jpgg") == "a/9.jpgg does not exist. Did you mean '9.jpg'?"
    assert refusal("cc.jpg") == "cc.jpg does not exist. Did you mean 'c.jpg'?"
    assert refusal("no/where/x.jpg") == "no/where/x.jpg does not exist."
    assert refusal("a/*.gif") == "a/*.gif matches no file."


def test_a_word_that_is_longer_than_any_name_is_refused():
    assert "cannot be read: File name too long" in refusal("x" * 300)


def test_a_folder_without_pictures_is_refused(tree):
    (tree / "empty").mkdir()
    assert refusal("empty").startswith("empty holds no pictures (.avif .bmp ")


def test_one_wrong_word_is_enough(tree):
    assert "e.jpg does not exist" in refusal("c.jpg", "e.jpg")


def test_natural_order_counts():
    ordered = ["1", "2", "10", "a1b2", "a1b10", "a2", "a10", "b", "é"]
    shuffled = random.Random(0).sample(ordered, len(ordered))
    assert sorted(shuffled, key=natural) == ordered
    assert natural("007") == natural("7")


def test_other_kinds_of_files_can_be_asked_for(tmp_path):
    for name in ("a.jpg", "b.mp4", "c.txt"):
        (tmp_path / name).touch()
    found = picture_inputs([str(tmp_path)], {".jpg", ".mp4"}, "pictures or videos")
    assert [one.source.name for one in found] == ["a.jpg", "b.mp4"]
    with pytest.raises(UserError, match=r"holds no films \(\.mov\)"):
        picture_inputs([str(tmp_path)], {".mov"}, "films")
