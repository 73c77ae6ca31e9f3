import numpy as np
import pytest
from PIL import Image

from dlapps.data.boxed import read_boxed
from dlapps.data.digit_scenes import PARTS
from dlapps.data.pictures import read_picture
from dlapps.errors import UserError
from tests.data.boxed_files import ORIENTATION, picture, voc_xml, write_voc, write_yolo

GOOD = ("cat", (8, 6, 24, 30))


def only(tmp_path, *things):
    """Returns the example of one picture with a good box and others, and the notes."""
    found = read_boxed(str(write_voc(tmp_path / "pets", [[GOOD, *things]])))
    return found.splits["train"][0], found.notes


def refusal(data):
    with pytest.raises(UserError) as caught:
        read_boxed(str(data))
    return str(caught.value)


@pytest.mark.parametrize(
    ("box", "kept", "note"),
    [
        pytest.param((50, -5, 80, 20), [50, 0, 64, 20], "reach beyond their picture", id="beyond"),
        pytest.param((50, 0, 64.3, 20), [50, 0, 64, 20], None, id="rounding"),
        pytest.param((30, 10, 30, 20), None, "without width or height", id="no width"),
        pytest.param((30, 10, 40, 10), None, "without width or height", id="no height"),
        pytest.param((70, 10, 90, 20), None, "outside their picture", id="outside"),
        pytest.param((64, 10, 90, 20), None, "outside their picture", id="at the edge"),
        pytest.param((8, 6, 24, 30), None, "that repeat another", id="twice"),
        pytest.param((8, 6, 24, 31), [8, 6, 24, 31], None, id="nearly twice"),
        pytest.param((0, 0, 64, 48), [0, 0, 64, 48], None, id="whole"),
    ],
)
def test_an_odd_box_is_mended_or_left_out_and_counted(tmp_path, box, kept, note):
    example, notes = only(tmp_path, ("cat", box))
    expected = [GOOD[1]] if kept is None else [GOOD[1], kept]
    np.testing.assert_allclose(example.boxes, expected)
    assert len(example.labels) == len(example.crowd) == len(expected)
    if note is None:
        assert notes == []
    else:
        (said,) = notes
        assert note in said
        assert said.endswith(f": 1, first {tmp_path}/pets/Annotations/0.xml, object 2.")


def test_the_same_place_may_hold_two_classes(tmp_path):
    example, notes = only(tmp_path, ("dog", GOOD[1]))
    assert example.labels.tolist() == [0, 1]
    assert notes == []


def test_oddities_are_counted_together_and_the_first_is_named(tmp_path):
    empty = ("cat", (5, 5, 5, 9))
    root = write_voc(tmp_path / "pets", [[GOOD], [GOOD, empty], [empty, empty]])
    notes = read_boxed(str(root)).notes
    first = f"{root}/Annotations/1.xml, object 2"
    assert f"Boxes without width or height, left out: 3, first {first}." in notes


def marked(path, orientation, size=(64, 48)):
    """Writes a grey picture with one white box, to be turned; returns the box as it lies there."""
    pixels = np.full((size[1], size[0], 3), 60, np.uint8)
    pixels[4:14, 30:54] = 255
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return 30, 4, 54, 14


@pytest.mark.parametrize("suffix", ["png", "webp"])
@pytest.mark.parametrize("orientation", range(5, 9))
def test_boxes_of_a_picture_as_it_lies_turn_upright_with_it(tmp_path, orientation, suffix):
    (tmp_path / "JPEGImages").mkdir()
    (tmp_path / "Annotations").mkdir()
    path = tmp_path / f"JPEGImages/0.{suffix}"
    box = marked(path, orientation)
    (tmp_path / "Annotations/0.xml").write_text(voc_xml(path.name, (64, 48), [("cat", box)]))
    found = read_boxed(str(tmp_path))
    (example,) = found.splits["train"]
    image = np.asarray(read_picture(path))
    assert example.size == (image.shape[1], image.shape[0]) == (48, 64)
    rows, columns = np.nonzero(image[..., 0] > 150)
    edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(example.boxes[0], edges)
    assert found.notes[0].startswith("Annotations of a picture not yet turned upright, turned")


def test_boxes_of_an_upright_picture_stay(tmp_path):
    root = write_voc(tmp_path / "pets", [[]])
    marked(root / "JPEGImages/0.jpg", 6)
    (root / "Annotations/0.xml").write_text(voc_xml("0.jpg", (48, 64), [GOOD]))
    found = read_boxed(str(root))
    np.testing.assert_allclose(found.splits["train"][0].boxes, [GOOD[1]])
    assert found.notes == []


def test_boxes_of_a_picture_since_resized_are_resized_with_it(tmp_path):
    root = write_voc(tmp_path / "pets", [[GOOD]])
    picture(root / "JPEGImages/0.jpg", size=(32, 24))
    found = read_boxed(str(root))
    np.testing.assert_allclose(found.splits["train"][0].boxes, [[4, 3, 12, 15]])
    assert found.notes == [
        "Annotations of a picture since resized, resized with it: 1, first "
        f"{root}/Annotations/0.xml (64 x 48, the picture 32 x 24)."
    ]


def test_boxes_of_a_picture_of_another_shape_are_left_out(tmp_path):
    root = write_voc(tmp_path / "pets", [[GOOD], [GOOD]])
    picture(root / "JPEGImages/0.jpg", size=(50, 24))
    found = read_boxed(str(root))
    assert [example.source.stem for example in found.splits["train"]] == ["1"]
    assert any(note.startswith("Annotations of a picture of another size") for note in found.notes)


@pytest.mark.parametrize("size", [(0, 0), ("", ""), ("wide", 48)])
def test_a_size_that_is_not_given_is_no_matter(tmp_path, size):
    root = write_voc(tmp_path / "pets", [[GOOD]])
    (root / "Annotations/0.xml").write_text(voc_xml("0.jpg", size, [GOOD]))
    found = read_boxed(str(root))
    assert found.notes == []
    np.testing.assert_allclose(found.splits["train"][0].boxes, [GOOD[1]])


def test_pictures_that_cannot_be_read_are_counted_and_named(tmp_path):
    root = write_voc(tmp_path / "pets", [[GOOD], [GOOD], [GOOD]])
    (root / "JPEGImages/0.jpg").write_text("no picture")
    (root / "JPEGImages/1.jpg").write_bytes(b"")
    found = read_boxed(str(root))
    assert len(found.splits["train"]) == 1
    assert found.notes == [
        "Pictures that cannot be read, left out: 2, first "
        f"{root}/JPEGImages/0.jpg (not a picture in a known format)."
    ]


def test_data_without_a_box_are_refused_with_what_was_seen(tmp_path):
    root = write_voc(tmp_path / "pets", [[("cat", (5, 5, 5, 9))]])
    message = refusal(root)
    assert message.startswith("pets holds no box. Boxes without width or height, left out: 1")


@pytest.mark.parametrize("name", ["nowhere", "empty", "empty/a.csv"])
def test_what_is_no_dataset_is_refused_with_what_is_expected(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/a.csv").write_text("x")
    said = "does not exist" if name == "nowhere" else "holds no boxes in a known format"
    message = refusal(name)
    assert message.startswith(f"{name} {said}. Give a YOLO data.yaml, a COCO .json")


def test_a_folder_described_by_a_yaml_file_is_read_so(tmp_path):
    write_voc(tmp_path, [[GOOD]])
    write_yolo(tmp_path, [[(1, (8, 6, 24, 30))]])
    assert read_boxed(str(tmp_path)).splits["train"][0].labels.tolist() == [1]


def test_the_sample_has_parts_that_share_no_handwriting():
    found = read_boxed("sample")
    assert found.labels == [*"0123456789"]
    counts = {split: len(examples) for split, examples in found.splits.items()}
    assert counts == {split: count for split, (count, _, _) in PARTS.items()}
    assert found.notes == []
