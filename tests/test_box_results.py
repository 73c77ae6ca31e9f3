import numpy as np
import pytest

from dlapps.box_results import COCO_IDS, coco_results, yolo_text

BOXES = np.array([[10.0, 20.0, 40.0, 60.0]])
SCORES, LABELS = np.array([0.9]), np.array([1])


def test_coco_has_left_top_width_height_and_classes_from_1():
    (one,) = coco_results("street", BOXES, SCORES, LABELS, ["cat", "dog"])
    assert one == {"image_id": "street", "category_id": 2, "bbox": [10, 20, 30, 40], "score": 0.9}


def test_a_file_named_after_a_number_is_known_by_it():
    assert coco_results("000000000139", BOXES, SCORES, LABELS, "ab")[0]["image_id"] == 139


def test_the_80_classes_of_coco_have_its_own_numbers():
    assert len(COCO_IDS) == 80
    names = ["person", *(f"class {k}" for k in range(78)), "toothbrush"]
    ids = [
        coco_results("a", BOXES, SCORES, np.array([k]), names)[0]["category_id"]
        for k in (0, 11, 12, 27, 79)
    ]
    assert ids == [1, 13, 14, 32, 90]  # person, stop sign, parking meter, tie, toothbrush


def test_pycocotools_takes_the_results(capsys):
    from pycocotools.coco import COCO

    coco = COCO()
    coco.dataset = {"images": [{"id": 7}], "categories": [{"id": 2}], "annotations": []}
    coco.createIndex()
    results = coco_results("0007", BOXES, SCORES, LABELS, ["cat", "dog"])
    loaded = coco.loadRes(results)
    capsys.readouterr()
    assert loaded.anns[1]["area"] == pytest.approx(1200)


def test_yolo_has_the_centre_and_sides_as_parts_of_the_picture():
    text = yolo_text((100, 200), BOXES, SCORES, LABELS)
    assert text == "1 0.250000 0.200000 0.300000 0.200000 0.900000\n"


def test_nothing_found_is_an_empty_text():
    assert yolo_text((100, 200), np.empty((0, 4)), np.empty(0), np.empty(0, int)) == ""
