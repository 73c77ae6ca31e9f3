import json

import numpy as np
import pytest

from dlapps.data.boxed import read_boxed
from dlapps.errors import UserError
from tests.data.boxed_files import coco_json, picture, write_coco

CAT = (3, [8, 6, 16, 24])
DOG = (7, [30, 10, 30, 30])


@pytest.fixture
def pets(tmp_path):
    return write_coco(tmp_path / "pets/boxes.json", [[CAT, DOG], [DOG], []])


def refusal(data):
    with pytest.raises(UserError) as caught:
        read_boxed(str(data))
    return str(caught.value)


def changed(path, part, number, **values):
    """Writes other values into a row of a list; `...` takes one away."""
    content = json.loads(path.read_text())
    row = content[part][number]
    row |= values
    for key in [key for key, value in values.items() if value is ...]:
        del row[key]
    path.write_text(json.dumps(content))


def test_boxes_become_corners_and_ids_become_places(pets):
    for data, name in ((pets, "boxes"), (pets.parent, "pets")):
        found = read_boxed(str(data))
        assert (found.name, found.labels) == (name, ["cat", "dog"])
        first, second, third = found.splits["train"]
        np.testing.assert_allclose(first.boxes, [[8, 6, 24, 30], [30, 10, 60, 40]])
        assert (first.labels.tolist(), second.labels.tolist()) == ([0, 1], [1])
        assert third.boxes.shape == (0, 4)


def test_classes_are_in_the_order_of_their_ids(tmp_path):
    rows = [(1, 90, [1, 1, 9, 9], 0), (1, 2, [20, 1, 9, 9], 0)]
    picture(tmp_path / "1.png")
    text = coco_json([(1, "1.png", (64, 48))], rows, categories=[(90, "toothbrush"), (2, "bus")])
    (tmp_path / "x.json").write_text(text)
    found = read_boxed(str(tmp_path / "x.json"))
    assert found.labels == ["bus", "toothbrush"]
    assert found.splits["train"][0].labels.tolist() == [1, 0]


def test_crowds_are_marked_and_counted(pets):
    changed(pets, "annotations", 1, iscrowd=1)
    found = read_boxed(str(pets))
    assert found.splits["train"][0].crowd.tolist() == [False, True]
    kind = "Boxes of crowds or difficult things, neither learnt nor counted"
    assert f"{kind}: 1, first {pets.parent}/0.png." in found.notes


@pytest.mark.parametrize(
    ("files", "pictures"),
    [
        pytest.param("annotations/instances_{}2017.json", "{}2017", id="as COCO lies"),
        pytest.param("annotations/instances_{}2017.json", "images/{}2017", id="below images"),
        pytest.param("annotations/{}.json", "images", id="all pictures together"),
        pytest.param("annotations/{}.json", "{}", id="by part"),
        pytest.param("{}/_annotations.coco.json", "{}", id="as Roboflow writes it"),
        pytest.param("{}.json", "images", id="beside"),
    ],
)
def test_the_layouts_that_people_have_are_read(tmp_path, files, pictures):
    for part in ("train", "val"):
        write_coco(
            tmp_path / files.format(part), [[CAT], [DOG]], folder=tmp_path / pictures.format(part)
        )
    (tmp_path / "annotations").mkdir(exist_ok=True)
    if "instances" in files:  # COCO keeps captions beside the boxes.
        captions = {"images": [], "annotations": [], "categories": []}
        (tmp_path / "annotations/captions_train2017.json").write_text(json.dumps(captions))
    splits = read_boxed(str(tmp_path)).splits
    assert {split: len(examples) for split, examples in splits.items()} == {
        "train": 2,
        "validation": 2,
    }


def test_parts_that_number_the_classes_in_other_ways_agree_by_name(tmp_path):
    write_coco(tmp_path / "train.json", [[CAT, DOG]])
    text = coco_json([(1, "0.png", (64, 48))], [(1, 1, [1, 1, 9, 9], 0)], [(1, "dog"), (2, "cat")])
    (tmp_path / "val.json").write_text(text)
    found = read_boxed(str(tmp_path))
    assert found.labels == ["cat", "dog"]
    assert found.splits["validation"][0].labels.tolist() == [1]


def test_the_name_of_a_project_is_no_class(pets):
    content = json.loads(pets.read_text())
    content["categories"].insert(0, {"id": 0, "name": "pets", "supercategory": "none"})
    for row in content["categories"][1:]:
        row["supercategory"] = "pets"
    pets.write_text(json.dumps(content))
    assert read_boxed(str(pets)).labels == ["cat", "dog"]
    changed(pets, "annotations", 0, category_id=0)
    assert read_boxed(str(pets)).labels == ["pets", "cat", "dog"]


def test_pictures_that_do_not_exist_are_counted_and_named(pets):
    (pets.parent / "1.png").unlink()
    found = read_boxed(str(pets))
    assert len(found.splits["train"]) == 2
    assert f"Pictures that do not exist, left out: 1, first 1.png in {pets}." in found.notes


@pytest.mark.parametrize("name", ["../outside.png", "/etc/outside.png", "a" * 5000, "..\\1.png"])
def test_a_name_cannot_leave_the_folder(pets, name):
    picture(pets.parent.parent / "outside.png")
    changed(pets, "images", 1, file_name=name)
    found = read_boxed(str(pets)).splits["train"]
    assert all(example.source.parent == pets.parent for example in found)
    assert len(found) == (3 if name.endswith("1.png") else 2)


@pytest.mark.parametrize(
    ("part", "values", "said"),
    [
        pytest.param(
            "annotations", {"image_id": 99}, "annotation 2: image_id 99 is not", id="image"
        ),
        pytest.param(
            "annotations", {"image_id": [1]}, "image_id [1] is not among", id="image list"
        ),
        pytest.param(
            "annotations", {"category_id": 4}, "category_id 4 is not among", id="category"
        ),
        pytest.param("annotations", {"bbox": ...}, "bbox must be four numbers", id="no box"),
        pytest.param("annotations", {"bbox": [1, 2, 3]}, "got [1, 2, 3]", id="three"),
        pytest.param("annotations", {"bbox": [1, 2, 3, "4"]}, "four numbers", id="word"),
        pytest.param("annotations", {"bbox": [1, 2, 3, 10**400]}, "four numbers", id="huge"),
        pytest.param("annotations", {"bbox": [1, 2, float("nan"), 4]}, "four numbers", id="nan"),
        pytest.param(
            "annotations", {"bbox": [9, 2, -4, 4]}, "annotation 2: the right", id="reversed"
        ),
        pytest.param("images", {"id": 10}, "two pictures have the id 10", id="same picture"),
        pytest.param("images", {"file_name": ...}, "needs an id and a file_name", id="no name"),
        pytest.param("categories", {"id": 3}, "two categories have the id 3", id="same class"),
        pytest.param("categories", {"name": "cat"}, "the name 'cat'", id="same name"),
        pytest.param("categories", {"name": 5}, "needs an id and a name", id="no word"),
    ],
)
def test_a_row_that_is_not_as_it_should_be_is_named(pets, part, values, said):
    changed(pets, part, 1, **values)
    message = refusal(pets)
    assert message.startswith(str(pets))
    assert said in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param('{"images": [],\n"annotations": [}', ", line 2: Expecting value", id="broken"),
        pytest.param('{"images": []}', "has no list 'annotations'", id="missing"),
        pytest.param("[1, 2]", "has no list 'images'", id="list"),
        pytest.param('{"images": [1], "annotations": [], "categories": []}', "'images'", id="rows"),
        pytest.param("[" * 100_000, "is no JSON", id="deep"),
        pytest.param("1" * 10_000, "is no JSON", id="long number"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_told(tmp_path, text, said):
    path = tmp_path / "boxes.json"
    path.write_text(text)
    assert said in refusal(path)


def test_bytes_that_are_no_text_are_told(tmp_path):
    path = tmp_path / "boxes.json"
    path.write_bytes(b"\x80\xff\x00")
    assert f"{path} is no JSON" in refusal(path)


def test_two_files_of_the_same_part_are_refused(tmp_path):
    write_coco(tmp_path / "one.json", [[CAT]])
    write_coco(tmp_path / "two.json", [[CAT]])
    assert "holds one.json and two.json" in refusal(tmp_path)


def test_a_test_part_whose_boxes_are_kept_secret_is_left_out(tmp_path):
    write_coco(tmp_path / "train.json", [[CAT], [DOG]])
    write_coco(tmp_path / "test.json", [[], []])
    found = read_boxed(str(tmp_path))
    assert [*found.splits] == ["train"]
    assert any(note.startswith("Pictures of a test part without any boxes") for note in found.notes)
