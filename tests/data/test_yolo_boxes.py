import numpy as np
import pytest

from dlapps.data.boxed import read_boxed
from dlapps.errors import UserError
from tests.data.boxed_files import picture, write_yolo, yolo_line

CAT = (0, (8, 6, 24, 30))
DOG = (1, (30, 10, 60, 40))


@pytest.fixture
def pets(tmp_path):
    return write_yolo(tmp_path / "pets", [[CAT, DOG], [DOG], []])


def refusal(data):
    with pytest.raises(UserError) as caught:
        read_boxed(str(data))
    return str(caught.value)


def test_boxes_come_in_pixels_with_the_names_of_the_file(pets):
    for data in (pets, pets / "data.yaml"):
        found = read_boxed(str(data))
        assert (found.name, found.labels) == ("pets", ["cat", "dog"])
        first, second, third = found.splits["train"]
        np.testing.assert_allclose(first.boxes, [CAT[1], DOG[1]], atol=1e-3)
        assert first.labels.tolist() == [0, 1]
        assert second.labels.tolist() == [1]
        assert third.boxes.shape == (0, 4)
        assert (first.boxes.dtype, first.labels.dtype) == (np.float32, np.int32)
        assert first.size == (64, 48)
        assert first.name == str(pets / "images/0.png")


def test_a_picture_without_a_label_file_is_background(tmp_path):
    root = write_yolo(tmp_path / "pets", [[CAT], None, []])
    found = read_boxed(str(root))
    assert [len(example.boxes) for example in found.splits["train"]] == [1, 0, 0]
    assert found.notes == [
        f"Pictures without a label file, taken as background: 1, first {root}/images/1.png.",
        f"Pictures without boxes, taken as background: 2, first {root}/images/1.png.",
    ]


@pytest.mark.parametrize(
    "names",
    [
        pytest.param("names: [cat, dog]", id="list"),
        pytest.param("names:\n  0: cat\n  1: dog", id="numbered"),
        pytest.param("names:\n  1: dog\n  0: cat", id="in any order"),
        pytest.param("nc: 2\nnames: ['cat', \"dog\"]", id="counted"),
    ],
)
def test_names_may_be_a_list_or_numbered(pets, names):
    (pets / "data.yaml").write_text(f"train: images\n{names}\n")
    assert read_boxed(str(pets)).labels == ["cat", "dog"]


def test_a_class_may_be_called_no(pets):
    (pets / "data.yaml").write_text("train: images\nnames: [no, 1]\n")
    assert read_boxed(str(pets)).labels == ["no", "1"]


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param("train: ../train/images", id="as Roboflow writes it"),
        pytest.param("path: .\ntrain: train/images", id="below a path"),
        pytest.param("path: ../elsewhere/pets\ntrain: train/images", id="from elsewhere"),
        pytest.param("train: [train/images]", id="list"),
        pytest.param("train: train/all.txt", id="file"),
        pytest.param("path: {root}\ntrain: {root}/train/images", id="absolute"),
    ],
)
def test_pictures_are_found_from_wherever_paths_are_seen(tmp_path, entry):
    root = write_yolo(tmp_path / "pets/train", [[CAT], [DOG]]).parent
    (root / "train/data.yaml").unlink()
    (root / "train/all.txt").write_text("./images/0.png\n\nimages/1.png\n")
    (root / "data.yaml").write_text(f"{entry.format(root=root)}\nval: ''\nnames: [cat, dog]\n")
    found = read_boxed(str(root / "data.yaml")).splits
    assert [*found] == ["train"]
    assert [example.labels.tolist() for example in found["train"]] == [[0], [1]]


def test_the_parts_of_the_file_are_kept(tmp_path):
    for part in ("train", "valid", "test"):
        write_yolo(tmp_path / part, [[CAT], [DOG]])
        (tmp_path / part / "data.yaml").unlink()
    parts = "train: train/images\nval: valid/images\ntest: test/images\n"
    (tmp_path / "data.yaml").write_text(parts + "names: [cat, dog]")
    assert [*read_boxed(str(tmp_path)).splits] == ["train", "validation", "test"]


def test_a_polygon_becomes_the_box_around_it_and_is_counted(pets):
    (pets / "labels/2.txt").write_text("1 0.25 0.5 0.5 0.25 0.75 0.5 0.5 0.75\n")
    found = read_boxed(str(pets))
    np.testing.assert_allclose(found.splits["train"][2].boxes, [[16, 12, 48, 36]])
    place = pets / "labels/2.txt"
    assert f"Polygons, read as the boxes around them: 1, first {place}, line 1." in found.notes


def test_label_files_of_no_picture_are_counted(pets):
    (pets / "labels/9.txt").write_text("0 0.5 0.5 0.1 0.1")
    (pets / "labels/classes.txt").write_text("cat\ndog")
    assert any("9.txt" in note for note in read_boxed(str(pets)).notes)
    assert not any("classes.txt" in note for note in read_boxed(str(pets)).notes)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param("2 .5 .5 .1 .1", "class 2 is not among the 2 of 'names'", id="class"),
        pytest.param("-1 .5 .5 .1 .1", "class -1 is not among", id="negative class"),
        pytest.param("0.5 .5 .5 .1 .1", "class 0.5 is not among", id="half a class"),
        pytest.param("nan .5 .5 .1 .1", "class nan is not among", id="no class"),
        pytest.param("0 .5 .5 .1", "5 numbers (or a class and the corners", id="four"),
        pytest.param("0 .5 .5 .1 .1 .9", "of a polygon), got 6", id="six"),
        pytest.param("cat .5 .5 .1 .1", "'cat .5 .5 .1 .1' are not numbers", id="word"),
        pytest.param("0 320 240 50 60", "from 0 to 1, got 320 240 50 60", id="pixels"),
        pytest.param("0 .5 nan .1 .1", "from 0 to 1, got .5 nan .1 .1", id="no number"),
        pytest.param("0 .5 .5 -.1 .1", "lies left of the left", id="negative width"),
    ],
)
def test_a_line_that_is_not_as_it_should_be_is_named(pets, line, said):
    file = pets / "labels/1.txt"
    file.write_text(f"0 .5 .5 .1 .1\n\n{line}\n")
    message = refusal(pets)
    assert message.startswith(f"{file}, line 3: ")
    assert said in message


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param("train: images", "has no 'names'", id="no names"),
        pytest.param("train: images\nnames: []", "has no 'names'", id="empty names"),
        pytest.param("train: images\nnames: cat", "has no 'names'", id="one word"),
        pytest.param(
            "train: images\nnames: {0: a, 2: b}", "numbered from 0 to 1, got 0, 2", id="gap"
        ),
        pytest.param("train: images\nnames: [cat, cat]", "'cat' twice", id="twice"),
        pytest.param(
            "train: images\nnames: [cat, [dog]]", "holds ['dog'], which is no", id="nested"
        ),
        pytest.param(
            "train: images\nnc: 3\nnames: [a, b]", "nc is 3, but 'names' holds 2", id="nc"
        ),
        pytest.param("names: [cat, dog]", "has no 'train'", id="no parts"),
        pytest.param(
            "train: nowhere\nnames: [a, b]", "'train' names nowhere, which does", id="gone"
        ),
        pytest.param(
            "train: labels\nnames: [a, b]", "'train' (labels) holds no pictures", id="empty"
        ),
        pytest.param("train: {a: b}\nnames: [a, b]", "'train' must name a folder", id="mapping"),
        pytest.param("train: images\nval: images\nvalid: images\nnames: [a, b]", "twice", id="two"),
        pytest.param("train: images\nnames: [a", "data.yaml, line 2: ", id="unclosed"),
        pytest.param("just words", "is no description of a dataset", id="words"),
        pytest.param("[" * 9999, "is no YAML", id="deep"),
        pytest.param("train: &a [*a]\nnames: [a, b]", "data.yaml, line 1: ", id="endless"),
    ],
)
def test_a_description_that_is_not_as_it_should_be_is_told(pets, settings, said):
    (pets / "data.yaml").write_text(settings)
    message = refusal(pets / "data.yaml")
    assert said in message
    assert "\n" not in message


def test_nothing_in_a_description_is_run(pets):
    evil = "!!python/object/apply:os.mkdir [evil]"
    (pets / "data.yaml").write_text(f"train: images\nnames: [cat, dog]\nx: {evil}\n")
    read_boxed(str(pets))
    assert not (pets / "evil").exists()


def test_a_list_that_names_what_is_not_there_is_told_with_its_line(pets):
    (pets / "some.txt").write_text("images/0.png\nimages/77.png\n")
    (pets / "data.yaml").write_text("train: some.txt\nnames: [cat, dog]\n")
    assert refusal(pets) == f"{pets}/some.txt, line 2: images/77.png does not exist."


def test_labels_that_are_nowhere_are_looked_for_by_name(tmp_path):
    root = write_yolo(tmp_path / "pets", [None, None])
    assert f"are looked for in {root}/labels/0.txt" in refusal(root)


def test_parts_of_the_sides_are_of_the_picture_as_people_see_it(tmp_path):
    root = write_yolo(tmp_path / "pets", [[CAT]])
    picture(root / "images/1.jpg", size=(64, 48), orientation=6)
    (root / "labels/1.txt").write_text(yolo_line(1, (12, 16, 24, 48), (48, 64)))
    turned = read_boxed(str(root)).splits["train"][1]
    assert turned.size == (48, 64)
    np.testing.assert_allclose(turned.boxes, [[12, 16, 24, 48]], atol=1e-3)
