import numpy as np
import pytest

from dlapps.apps.caption.data import (
    SPECIAL,
    UNKNOWN,
    Views,
    encoded,
    fitting_size,
    may_flip,
    numbered,
    read_dataset,
    read_examples,
    vocabulary,
)
from dlapps.data.captioned import Described
from dlapps.errors import UserError
from tests.apps.caption.shapes import draw, write_captioned

PICTURES = [
    Described("a", np.zeros((40, 80, 3), np.uint8), ("A dog runs.", "A big dog!"), "0" * 64),
    Described("b", np.ones((64, 64, 3), np.uint8), ("A dog sits on a dog.",), "1" * 64),
]


def test_words_are_counted_once_a_caption_and_rare_ones_left_out():
    assert vocabulary(PICTURES, 1)[: len(SPECIAL)] == [*SPECIAL]
    assert vocabulary(PICTURES, 1)[len(SPECIAL) :] == ["a", "dog", "big", "on", "runs", "sits"]
    assert vocabulary(PICTURES, 3)[len(SPECIAL) :] == ["a", "dog"]


def test_a_vocabulary_without_a_word_is_refused():
    with pytest.raises(UserError, match=r"at --min-count 4. The most frequent, 'a', stands in 3"):
        vocabulary(PICTURES, 4)


def test_words_that_are_not_known_become_one():
    index = {"a": 3, "dog": 4}
    assert encoded("A dog sees a ghost .", index, 10) == [3, 4, UNKNOWN, 3, UNKNOWN]
    assert encoded("A dog sees a ghost .", index, 2) == [3, 4]


def test_captions_are_numbered_with_their_ends():
    known = vocabulary(PICTURES, 1)
    captions = numbered(PICTURES, known, 4)
    assert captions.picture.tolist() == [0, 0, 1]
    assert captions.lengths.tolist() == [3, 3, 4]
    assert [known[k] for k in captions.ids[0]] == ["a", "dog", "runs", "<end>", "<end>"]
    assert captions.ids[2, -1] == 0


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
    with pytest.raises(UserError, match="has 1 picture with captions. Two are needed"):
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


def test_the_first_view_is_the_whole_picture():
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, 70:] = 255  # At the right edge, where a centre crop would not look.
    views = Views([Described("a", image, ("x",), "ab" * 32)], 32)
    assert views.draw(0).shape == (32, 32, 3)
    assert views.draw(0)[:, -2:].min() > 200
    assert views.draw(0)[:, :24].max() < 60


def test_views_are_the_same_for_the_same_seed_and_turn_and_mirrored_where_wanted():
    image = np.asarray(draw("disc", "red", 1))
    picture = [Described("a", image, ("x",), "ab" * 32)]
    one, same, other = (Views(picture, 32, True, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.draw(0, 1), same.draw(0, 1))
    assert (one.draw(0, 1) != other.draw(0, 1)).any()
    assert (one.draw(0, 1) != one.draw(0, 3)).any()
    plain = Views(picture, 32, False, 0)
    np.testing.assert_array_equal(plain.draw(0, 1)[:, ::-1], one.draw(0, 1))
    np.testing.assert_array_equal(plain.draw(0, 2), one.draw(0, 2))


def test_the_image_size_fits_the_pictures():
    assert fitting_size([each.source for each in PICTURES[1:]]) == 64
    assert fitting_size([np.zeros((90, 100, 3), np.uint8)]) == 96
    assert fitting_size([np.zeros((900, 1000, 3), np.uint8)]) == 224
