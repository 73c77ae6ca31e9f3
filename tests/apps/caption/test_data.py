import numpy as np
import pytest

from dlapps.apps.caption.data import (
    Dataset,
    fitting_size,
    may_flip,
    read_dataset,
    read_examples,
    readable,
)
from dlapps.data.captioned import Described
from dlapps.errors import UserError
from tests.apps.caption.shapes import draw, write_captioned

PICTURES = [
    Described("a", np.zeros((40, 80, 3), np.uint8), ("A dog runs.", "A big dog!"), "0" * 64),
    Described("b", np.ones((64, 64, 3), np.uint8), ("A dog sits on a dog.",), "1" * 64),
]


def test_holds_out_a_part_by_what_pictures_show(tmp_path):
    data = write_captioned(tmp_path / "a", copies=3)
    one = read_dataset(str(data), 0.25, 1)
    assert (len(one.train), len(one.validation)) == (14, 4)
    assert not {e.digest for e in one.train} & {e.digest for e in one.validation}
    # Neither names nor the order in the file change what is held out.
    lines = (data / "captions.csv").read_text().splitlines()
    renamed = [line.replace("red", "RED") for line in lines[:0:-1]]
    for path in data.glob("red*"):
        path.rename(path.with_name(path.name.replace("red", "RED")))
    (data / "captions.csv").write_text("\n".join([lines[0], *renamed]))
    other = read_dataset(str(data), 0.25, 1)
    assert {e.digest for e in one.validation} == {e.digest for e in other.validation}
    another = read_dataset(str(data), 0.25, 2)
    assert {e.digest for e in one.validation} != {e.digest for e in another.validation}


def test_the_fingerprint_changes_with_captions_and_pictures_only(tmp_path):
    data = write_captioned(tmp_path / "a")
    first = read_dataset(str(data)).fingerprint
    assert read_dataset(str(data)).fingerprint == first
    table = data / "captions.csv"
    text = table.read_text()
    table.write_text(text.replace("There is one red disc", "There is a red disc", 1))
    assert read_dataset(str(data)).fingerprint != first
    table.write_text(text)
    assert read_dataset(str(data)).fingerprint == first
    draw("disc", "red", 99).save(data / "red-disc-0.png")
    assert read_dataset(str(data)).fingerprint != first


def test_one_picture_is_not_enough(tmp_path):
    (tmp_path / "captions.csv").write_text("a.png,A dog\n")
    draw("disc", "red", 1).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"has 1 picture with captions\. Two are needed"):
        read_dataset(str(tmp_path))


def test_measures_on_the_test_part_where_there_is_one(tmp_path):
    rows = ["image,caption,split"]
    for k, split in enumerate(("train", "val", "test")):
        draw("disc", "red", k).save(tmp_path / f"{k}.png")
        rows.append(f"{k}.png,A disc,{split}")
    (tmp_path / "captions.csv").write_text("\n".join(rows))
    pictures, notes = read_examples(str(tmp_path))
    assert [each.name[-5:] for each in pictures] == ["2.png"]
    assert notes == ["Only the test part is used."]


def test_captions_of_sides_forbid_mirrored_views():
    sided = Described("c", PICTURES[0].source, ("A dog left of a cat",))
    assert may_flip(PICTURES * 20)
    assert not may_flip([*PICTURES, sided])


def test_the_image_size_fits_the_pictures():
    assert fitting_size([each.source for each in PICTURES[1:]]) == 64
    assert fitting_size([np.zeros((90, 100, 3), np.uint8)]) == 96
    assert fitting_size([np.zeros((900, 1000, 3), np.uint8)]) == 224


def test_unreadable_pictures_are_left_out_counted_and_named(capsys):
    dataset = Dataset("x", PICTURES, PICTURES[:1])
    left = readable(dataset, [{1: "damaged"}, {}], strict=False)
    assert [each.name for each in left.train] == ["a"]
    assert "Skipped 1 file that cannot be read:\n  b: damaged" in capsys.readouterr().err
    with pytest.raises(UserError, match="b cannot be read: damaged"):
        readable(dataset, [{1: "damaged"}, {}], strict=True)
    with pytest.raises(UserError, match="No picture of the dataset can be read"):
        readable(dataset, [{}, {0: "damaged"}], strict=False)
