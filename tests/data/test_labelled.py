import os

import pytest

from dlapps.data.labelled import SPLITS, read_labelled
from dlapps.errors import UserError


@pytest.fixture
def touch(tmp_path):
    """Makes files of no content: reading labels opens no picture."""

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    return make


@pytest.fixture
def table(tmp_path, touch):
    """Writes a CSV file beside the pictures it may name."""
    touch("a.jpg", "b.jpg", "sub/c.jpg")

    def write(text, name="data.csv", encoding="utf-8"):
        (tmp_path / name).write_text(text, encoding=encoding)
        return name

    return write


def pairs(data):
    """Returns by split the (file, label) pairs, sorted."""
    _, labels, splits = read_labelled(data)
    return {
        split: sorted((os.path.relpath(each.source), labels[each.label]) for each in examples)
        for split, examples in splits.items()
    }


def refusal(data):
    with pytest.raises(UserError) as caught:
        read_labelled(data)
    return str(caught.value)


def test_class_folders_are_labels_in_natural_order(touch):
    touch("pets/10/a.jpg", "pets/9/b.png", "pets/9/deep/er/c.jpg", "pets/.git/x.jpg", "pets/d.jpg")
    name, labels, splits = read_labelled("pets")
    assert (name, labels) == ("pets", ["9", "10"])
    assert pairs("pets") == {
        "train": [("pets/10/a.jpg", "10"), ("pets/9/b.png", "9"), ("pets/9/deep/er/c.jpg", "9")]
    }
    assert [each.name for each in splits["train"]] == [str(e.source) for e in splits["train"]]


def test_a_folder_of_here_has_a_name_too(touch, monkeypatch):
    touch("pets/cat/a.jpg")
    monkeypatch.chdir("pets")
    assert read_labelled(".")[0] == "pets"


@pytest.mark.parametrize("word", SPLITS)
@pytest.mark.parametrize("style", [str.lower, str.title, str.upper])
def test_the_parts_of_a_dataset_have_several_names(touch, word, style):
    other = "train" if SPLITS[word] != "train" else "test"
    touch(f"d/{style(word)}/cat/a.jpg", f"d/{style(word)}/dog/b.jpg")
    touch(f"d/{other}/cat/c.jpg", f"d/{other}/dog/d.jpg")
    found = pairs("d")
    assert set(found) == {SPLITS[word], other}
    assert [label for _, label in found[SPLITS[word]]] == ["cat", "dog"]


def test_the_labels_are_those_of_the_training_part(touch):
    touch("d/train/cat/a.jpg", "d/train/dog/b.jpg", "d/train/emu/c.jpg", "d/val/emu/d.jpg")
    _, labels, splits = read_labelled("d")
    assert labels == ["cat", "dog", "emu"]
    assert [each.label for each in splits["validation"]] == [2]


def test_a_class_that_the_training_part_lacks_is_refused(touch):
    touch("d/train/cat/a.jpg", "d/val/cat/b.jpg", "d/val/yak/c.jpg")
    assert refusal("d") == "d/val holds the class 'yak', d/train not."


def test_a_test_part_alone_is_a_dataset(touch):
    touch("d/test/cat/a.jpg", "d/test/dog/b.jpg")
    assert pairs("d") == {"test": [("d/test/cat/a.jpg", "cat"), ("d/test/dog/b.jpg", "dog")]}


def test_a_class_may_be_called_test(touch):
    touch("d/test/a.jpg", "d/cat/b.jpg")
    assert pairs("d") == {"train": [("d/cat/b.jpg", "cat"), ("d/test/a.jpg", "test")]}


def test_two_folders_for_one_part_are_refused(touch):
    touch("d/train/cat/a.jpg", "d/val/cat/b.jpg", "d/validation/cat/c.jpg")
    with pytest.raises(UserError, match=r"d holds val/ and validation/\. Keep one\."):
        pairs("d")


def test_one_class_is_read_as_one(touch):
    touch("d/cat/a.jpg")
    assert read_labelled("d")[1] == ["cat"]


def test_a_folder_without_class_folders_is_refused_with_an_example(touch):
    touch("pets/a.jpg", "pets/cat/notes.txt")
    message = "pets holds no class folders with pictures. Put the pictures of each class in one,"
    assert refusal("pets") == f"{message} such as pets/cat/1.jpg."


def test_what_is_no_dataset_is_refused(touch):
    touch("a.jpg")
    assert refusal("a.jpg").startswith("a.jpg is no dataset. Give a folder of class folders, or a")
    assert refusal("nowhere").startswith("nowhere does not exist. Give a folder of class folders")


EXPECTED = {"train": [("a.jpg", "cat"), ("b.jpg", "dog"), ("sub/c.jpg", "cat")]}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a.jpg,cat\nb.jpg,dog\nsub/c.jpg,cat\n", id="plain"),
        pytest.param("path,label\na.jpg,cat\nb.jpg,dog\nsub/c.jpg,cat\n", id="header"),
        pytest.param("Class,More,File\ncat,1,a.jpg\ndog,2,b.jpg\ncat,3,sub/c.jpg", id="columns"),
        pytest.param("a.jpg;cat\nb.jpg;dog\nsub/c.jpg;cat\n", id="semicolon"),
        pytest.param("a.jpg\tcat\nb.jpg\tdog\nsub/c.jpg\tcat\n", id="tab"),
        pytest.param("\ufeffpath,label\na.jpg,cat\nb.jpg,dog\nsub/c.jpg,cat\n", id="bom"),
        pytest.param("a.jpg, cat \r\n\r\nb.jpg,dog\r\nsub/c.jpg,cat\r\n,\r\n", id="spaces"),
        pytest.param(
            "\na.jpg,cat\nb.jpg,dog\nsub/c.jpg,cat\n",
            id="blank-line-first",
        ),
        pytest.param('"a.jpg","cat"\n"b.jpg","dog"\n"sub/c.jpg","cat"\n', id="quotes"),
    ],
)
def test_a_table_is_read_however_it_is_written(table, text):
    assert pairs(table(text)) == EXPECTED
    assert read_labelled("data.csv")[:2] == ("data", ["cat", "dog"])


def test_a_table_may_have_tabs_and_the_suffix_for_them(table):
    assert pairs(table("a.jpg\tcat\nb.jpg\tdog\nsub/c.jpg\tcat\n", "data.TSV")) == EXPECTED


def test_a_comma_in_a_label_is_quoted(table):
    assert pairs(table('a.jpg,"cat, big"\n')) == {"train": [("a.jpg", "cat, big")]}


def test_a_table_may_tell_the_parts(table):
    text = "label,split,path\ncat,Train,a.jpg\ndog,,b.jpg\ncat,valid,sub/c.jpg\n"
    assert pairs(table(text)) == {
        "train": [("a.jpg", "cat"), ("b.jpg", "dog")],
        "validation": [("sub/c.jpg", "cat")],
    }


def test_paths_are_relative_to_the_table(tmp_path, touch):
    touch("deep/pictures/a.jpg")
    (tmp_path / "deep/data.csv").write_text("pictures/a.jpg,cat\n")
    assert pairs("deep/data.csv") == {"train": [("deep/pictures/a.jpg", "cat")]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "data.csv holds no rows. Write one path,label a line.", id="empty"),
        pytest.param("path,label\n", "data.csv holds no rows.", id="header-only"),
        pytest.param(
            "a.jpg,cat\nno.jpg,dog\nnor.jpg,dog\n",
            "data.csv names 2 pictures that do not exist, the first in line 2: no.jpg. Paths are",
            id="missing",
        ),
        pytest.param("a.jpg\n", "data.csv, line 1: a path and a label are needed, got", id="label"),
        pytest.param("a.jpg,cat\n,dog\n", "data.csv, line 2: a path and a label", id="path"),
        pytest.param(
            "a.jpg,cat,trian\n", "data.csv, line 1: split 'trian' is not train, val or", id="split"
        ),
        pytest.param(
            "name,label\na.jpg,cat\n",
            "data.csv, line 1: no column 'path' among name, label.",
            id="column",
        ),
        pytest.param(
            "a.jpg,cat,val\nb.jpg,dog,test\n",
            "data.csv has no row of the split 'train'.",
            id="no-train",
        ),
    ],
)
def test_a_table_at_fault_is_refused_with_the_line(table, text, message):
    assert refusal(table(text)).startswith(message)


def test_a_table_that_is_not_utf_8_is_refused(table):
    table("a.jpg,Müll\n", encoding="latin-1")
    assert refusal("data.csv") == "data.csv is not a text file in UTF-8 (byte 7)."


def test_the_sample_is_always_there():
    name, labels, splits = read_labelled("sample")
    assert (name, labels) == ("sample", [str(digit) for digit in range(10)])
    assert {each.label for each in splits["train"]} == set(range(10))
    assert len({each.name for each in splits["train"]}) == len(splits["train"]) == 1797


def test_datasets_of_tensorflow_are_read_by_name(monkeypatch):
    read = {"train": [(b"1", 0), (b"2", 1)], "test": [(b"3", 1)], "dev": [(b"4", 0)]}
    answer = ("pets-small", ["cat", "dog"], read)
    monkeypatch.setattr("dlapps.data.tfds.labelled_pictures", {"pets/small": answer}.get)
    name, labels, splits = read_labelled("tfds:pets/small")
    assert (name, labels) == answer[:2]
    assert {split: len(rows) for split, rows in splits.items()} == {
        "train": 2,
        "test": 1,
        "validation": 1,
    }
    assert splits["test"][0].source == b"3"
    assert splits["test"][0].name == "tfds:pets/small/test/0"


def test_no_part_of_a_dataset_of_tensorflow_gets_lost(monkeypatch):
    read = {"train": [(b"1", 0)], "extra": [(b"2", 1)]}
    monkeypatch.setattr(
        "dlapps.data.tfds.labelled_pictures", lambda _: ("digits", ["0", "1"], read)
    )
    sources = [each.source for each in read_labelled("tfds:digits")[2]["train"]]
    assert b"1" in sources
