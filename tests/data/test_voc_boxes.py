import numpy as np
import pytest

from dlapps.data.boxed import read_boxed
from dlapps.errors import UserError
from tests.data.boxed_files import picture, voc_xml, write_voc

CAT = ("cat", (8, 6, 24, 30))
DOG = ("dog", (30, 10, 60, 40))
HARD = ("dog", (30, 10, 60, 40), True)


@pytest.fixture
def pets(tmp_path):
    return write_voc(tmp_path / "pets", [[DOG, CAT], [DOG], []])


def refusal(data):
    with pytest.raises(UserError) as caught:
        read_boxed(str(data))
    return str(caught.value)


def names(splits):
    return {split: [e.source.stem for e in examples] for split, examples in splits.items()}


def test_boxes_are_read_with_the_classes_that_occur(pets):
    found = read_boxed(str(pets))
    assert (found.name, found.labels) == ("pets", ["cat", "dog"])
    first, second, third = found.splits["train"]
    np.testing.assert_allclose(first.boxes, [DOG[1], CAT[1]])
    assert (first.labels.tolist(), second.labels.tolist()) == ([1, 0], [1])
    assert len(third.boxes) == 0


def test_parts_of_things_are_no_things(pets):
    # `voc_xml` gives every thing a part, as the layouts of persons have them.
    assert "head" not in read_boxed(str(pets)).labels


def test_difficult_things_are_marked_and_counted(tmp_path):
    found = read_boxed(str(write_voc(tmp_path / "pets", [[CAT, HARD]])))
    assert found.splits["train"][0].crowd.tolist() == [False, True]
    assert any("difficult things" in note and ": 1, first" in note for note in found.notes)


def test_the_challenge_counts_pixels_from_one(tmp_path):
    root = write_voc(tmp_path / "pets", [[("cat", (1, 1, 64, 48))]])
    file = root / "Annotations/0.xml"
    plain = read_boxed(str(root)).splits["train"][0].boxes
    source = "<source><database>The VOC2007 Database</database></source>"
    file.write_text(file.read_text().replace("<size>", f"{source}<size>"))
    official = read_boxed(str(root)).splits["train"][0].boxes
    np.testing.assert_allclose(plain, [[1, 1, 64, 48]])
    np.testing.assert_allclose(official, [[0, 0, 64, 48]])


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        pytest.param({}, {"train": ["0", "1", "2", "3"]}, id="none"),
        pytest.param(
            {"train": [0, 1], "val": [2], "test": [3], "trainval": [0, 1, 2]},
            {"train": ["0", "1"], "validation": ["2"], "test": ["3"]},
            id="all",
        ),
        pytest.param(
            {"trainval": [0, 1, 2], "test": [3]},
            {"train": ["0", "1", "2"], "test": ["3"]},
            id="two",
        ),
        pytest.param(
            {"trainval": [0, 1, 2], "val": [1]},
            {"train": ["0", "2"], "validation": ["1"]},
            id="rest",
        ),
        pytest.param({"train": ["0  1", "1 -1"]}, {"train": ["0", "1"]}, id="with presence"),
        pytest.param({"train": ["0.jpg", "1.xml"]}, {"train": ["0", "1"]}, id="with endings"),
        pytest.param({"cat_train": [0]}, {"train": ["0", "1", "2", "3"]}, id="of one class"),
    ],
)
def test_lists_say_which_picture_is_for_what(tmp_path, lists, expected):
    root = write_voc(tmp_path / "pets", [[CAT], [DOG], [CAT], [DOG]], lists=lists)
    assert names(read_boxed(str(root)).splits) == expected


def test_what_lists_and_files_do_not_share_is_counted(tmp_path):
    root = write_voc(tmp_path / "pets", [[CAT], [DOG], [CAT]], lists={"train": [0, 1, 7]})
    (root / "JPEGImages/1.jpg").unlink()
    notes = read_boxed(str(root)).notes
    xml = root / "Annotations"
    assert f"Annotations in no list of ImageSets/Main, left out: 1, first {xml}/2.xml." in notes
    assert "Names in ImageSets/Main without an annotation, left out: 1, first 7." in notes
    assert f"Annotations without a picture, left out: 1, first {xml}/1.xml." in notes


@pytest.mark.parametrize("above", ["", "VOCdevkit"], ids=["beside", "devkit"])
def test_years_are_read_as_one(tmp_path, above):
    root = tmp_path / "set" / above
    write_voc(root / "VOC2007", [[CAT]], lists={"train": [0]})
    write_voc(root / "VOC2012", [[DOG], [CAT]], lists={"train": [0], "val": [1]})
    found = read_boxed(str(tmp_path / "set"))
    assert found.labels == ["cat", "dog"]
    assert names(found.splits) == {"train": ["0", "0"], "validation": ["1"]}


@pytest.mark.parametrize("parts", [["train", "valid"], ["train"], []], ids=["two", "one", "none"])
def test_files_beside_the_pictures_are_read(tmp_path, parts):
    for part in parts or ["."]:
        picture(tmp_path / part / "a b.jpg")
        (tmp_path / part / "a b.xml").write_text(voc_xml("a b.jpg", (64, 48), [CAT]))
    splits = names(read_boxed(str(tmp_path)).splits)
    expected = {"train": ["a b"]} | ({"validation": ["a b"]} if "valid" in parts else {})
    assert splits == expected


def test_a_picture_may_be_called_by_the_file_that_says_so(pets):
    (pets / "JPEGImages/1.jpg").rename(pets / "JPEGImages/other.jpg")
    file = pets / "Annotations/1.xml"
    file.write_text(file.read_text().replace("1.jpg", r"C:\Users\me\other.jpg"))
    assert names(read_boxed(str(pets)).splits) == {"train": ["0", "other", "2"]}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        pytest.param("</size>", "</sise>", ", line 1: mismatched tag", id="mismatched"),
        pytest.param("<annotation>", "<annotation>\n\n<", ", line 3: not well-formed", id="broken"),
        pytest.param("<name>dog</name>", "", ", object 1: it has no <name>", id="no name"),
        pytest.param("bndbox", "polygon", "object 1: it has no <bndbox> with <xmin>", id="no box"),
        pytest.param(">30<", ">x<", "object 1: xmin is 'x', not a number", id="word"),
        pytest.param(">30<", ">nan<", "object 1: a box of four numbers is needed", id="nan"),
        pytest.param(">60<", ">20<", "object 1: the right edge (20) lies left of", id="reversed"),
        pytest.param(">40<", ">5<", "the lower edge (5) lies above the upper (10)", id="upturned"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_named(pets, old, new, said):
    file = pets / "Annotations/1.xml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    message = refusal(pets)
    assert message.startswith(str(file))
    assert said in message


@pytest.mark.parametrize(
    "declared",
    ['<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">', '<!ENTITY a SYSTEM "file:///etc/passwd">'],
    ids=["growing", "fetching"],
)
def test_entities_are_not_read(pets, declared):
    file = pets / "Annotations/1.xml"
    file.write_text(f"<!DOCTYPE x [{declared}]><annotation>&a;</annotation>")
    assert "a document type (<!DOCTYPE>) is not read; remove it" in refusal(pets)


def test_an_empty_file_is_named(pets):
    (pets / "Annotations/1.xml").write_text("")
    assert refusal(pets).startswith(f"{pets}/Annotations/1.xml, line 1: no element found")


def test_a_list_that_is_no_text_is_named(pets):
    (pets / "ImageSets/Main").mkdir(parents=True)
    (pets / "ImageSets/Main/train.txt").write_bytes(b"\xff\xfe")
    assert "train.txt is not a text file in UTF-8" in refusal(pets)
