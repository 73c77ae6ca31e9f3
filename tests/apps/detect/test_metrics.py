import io
import json

import numpy as np
import pytest

from dlapps.apps.detect.metrics import confusion_matrix, evaluation, map50
from dlapps.boxes.matching import Found
from tests.apps.detect.scenes import found, scattered, truth

ONE, TWO = [0, 0, 100, 100], [200, 200, 300, 300]
ELSEWHERE = [400, 0, 500, 100]


def measures(known, said, labels=("cat", "dog")):
    return evaluation(known, said, labels).measures


def test_rows_of_what_was_kept_are_measured_as_findings_are():
    known = [truth([ONE, TWO], [0, 1]), truth([ONE])]
    kept = {
        "boxes": np.array([[ONE, TWO], [ONE, ELSEWHERE]], np.float32),
        "scores": np.array([[0.9, 0.8], [0.7, 0]], np.float32),
        "classes": np.array([[0, 1], [0, -1]]),
    }
    assert map50(known, kept, ("cat", "dog")) == pytest.approx(1)
    kept["classes"][0] = [1, 0]
    said = [found([ONE, TWO], [0.9, 0.8], [1, 0]), found([ONE], [0.7])]
    assert map50(known, kept, ("cat", "dog")) == measures(known, said)["map50"] < 0.5


def test_all_found_is_one():
    seen = measures([truth([ONE, TWO], [0, 1])], [found([ONE, TWO], labels=[0, 1])])
    for name in ("map50", "map50_95", "map75", "ar100", "precision", "recall", "f1"):
        assert seen[name] == pytest.approx(1)


def test_a_wrong_box_between_two_right_ones_costs_what_it_costs_by_hand():
    said = found([ONE, ELSEWHERE, TWO], [0.9, 0.8, 0.7])
    seen = measures([truth([ONE, TWO])], [said])
    # Precision 1 up to a recall of 0.5 (51 of 101 points), then 2 of 3.
    assert seen["map50"] == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert seen["precision"] == pytest.approx(2 / 3)
    assert seen["recall"] == 1
    assert seen["f1"] == pytest.approx(0.8)
    assert seen["best_confidence"] == pytest.approx(0.35)


def test_half_of_the_boxes_found_is_half_of_the_recall():
    seen = measures([truth([ONE, TWO])], [found([ONE])])
    assert seen["map50"] == pytest.approx(51 / 101)
    assert seen["ar100"] == pytest.approx(0.5)


def test_a_box_found_twice_is_wrong_once():
    seen = measures([truth([ONE])], [found([ONE, ONE], [0.8, 0.9])])
    assert seen["map50"] == pytest.approx(1)
    assert measures([truth([ONE, TWO])], [found([ONE, ONE, TWO], [0.9, 0.8, 0.7])])[
        "map50"
    ] == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_the_mean_over_overlaps_counts_how_well_a_box_fits():
    # An IoU of 0.72 is enough at 0.5, 0.55, 0.6, 0.65 and 0.7.
    seen = measures([truth([ONE])], [found([[0, 0, 100, 72]])])
    assert seen["map50"] == pytest.approx(1)
    assert seen["map75"] == 0
    assert seen["map50_95"] == pytest.approx(0.5)


def test_sizes_are_measured_by_themselves():
    small, large = [0, 0, 20, 20], [100, 100, 300, 300]
    seen = measures([truth([small, ONE, large])], [found([ONE, large])])
    assert seen["map50_95_small"] == 0
    assert seen["map50_95_large"] == pytest.approx(1)
    assert seen["map50_95_medium"] is None
    assert "map50_95_small" not in evaluation([truth([ONE])], [found([ONE])], ["a"], False).measures


def test_a_class_without_boxes_has_no_figures_and_does_not_pull_the_mean_down():
    result = evaluation([truth([ONE])], [found([ONE])], ["cat", "dog"])
    assert result.measures["map50"] == pytest.approx(1)
    assert result.classes["dog"] == {
        "ap50": None, "ap50_95": None, "precision": None, "recall": None, "f1": None,
        "num_boxes": 0,
    }  # fmt: skip
    assert np.isnan(result.curves[1]).all()
    assert not np.isnan(result.curves[0]).any()


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(found([]), id="nothing found"),
        pytest.param(found([ELSEWHERE]), id="wrong place"),
        pytest.param(found([ONE], labels=[1]), id="wrong class"),
    ],
)
def test_nothing_right_is_zero(said):
    seen = measures([truth([ONE, TWO])], [said])
    for name in ("map50", "map50_95", "ar100", "precision", "recall", "f1"):
        assert seen[name] == 0
    assert seen["best_confidence"] is None


@pytest.mark.parametrize("said", [found([]), found([ONE])])
def test_nothing_to_find_is_no_figure(said):
    result = evaluation([truth([])], [said], ["cat", "dog"])
    assert result.measures["map50"] is None
    assert result.measures["num_boxes"] == 0
    json.dumps(result.measures, allow_nan=False)


def test_a_crowd_counts_neither_for_nor_against():
    known = [truth([ONE, TWO], crowd=[False, True])]
    inside = [210, 210, 250, 250]
    with_crowd = measures(known, [found([ONE, inside, inside], [0.5, 0.9, 0.8])])
    assert with_crowd["map50"] == pytest.approx(1)
    assert with_crowd["precision"] == 1
    assert with_crowd["num_boxes"] == 1
    assert measures(known, [found([ONE])])["recall"] == 1


def test_figures_of_a_class_are_those_at_the_best_confidence_of_all():
    known = [truth([ONE, TWO], [0, 1])]
    said = [found([ONE, ELSEWHERE, TWO], [0.9, 0.2, 0.8], [0, 1, 1])]
    result = evaluation(known, said, ["cat", "dog"])
    assert result.measures["best_confidence"] == pytest.approx(0.5)
    assert result.classes["dog"]["precision"] == 1


def test_equal_scores_are_believed_together():
    known = [truth([ONE])]
    seen = measures(known, [found([ONE, ELSEWHERE], [0.5, 0.5])])
    assert seen["precision"] == 0.5


def noisy(seed, pictures=20, classes=3):
    rng = np.random.default_rng(seed)
    known, said = [], []
    for k in range(pictures):
        boxes = scattered(int(rng.integers(0, 8)), seed=1000 * seed + k)
        labels = rng.integers(0, classes, len(boxes))
        crowd = rng.uniform(size=len(boxes)) < 0.2
        known.append(truth(boxes, labels, crowd))
        near = np.repeat(boxes, 3, axis=0) + rng.normal(0, 8, (3 * len(boxes), 4))
        far = scattered(5, seed=2000 * seed + k)
        all_boxes = np.concatenate([near, far])
        answers = np.concatenate([np.repeat(labels, 3), rng.integers(0, classes, 5)])
        said.append(found(all_boxes, rng.uniform(0.01, 1, len(all_boxes)), answers))
    return known, said


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_figures_are_those_of_pycocotools_called_directly(seed, capsys):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    known, said = noisy(seed)
    annotations, results = [], []
    for k, (one, answers) in enumerate(zip(known, said, strict=True)):
        for (x, y, x2, y2), label, crowd in zip(one.boxes, one.labels, one.crowd, strict=True):
            box = [float(v) for v in (x, y, x2 - x, y2 - y)]
            annotations.append(
                {"id": len(annotations) + 1, "image_id": k, "category_id": int(label),
                 "bbox": box, "area": box[2] * box[3], "iscrowd": int(crowd)}
            )  # fmt: skip
        for (x, y, x2, y2), label, score in zip(
            answers.boxes, answers.labels, answers.scores, strict=True
        ):
            box = [float(v) for v in (x, y, x2 - x, y2 - y)]
            results.append(
                {"image_id": k, "category_id": int(label), "bbox": box, "score": float(score)}
            )
    coco = COCO()
    coco.dataset = {
        "images": [{"id": k} for k in range(len(known))],
        "categories": [{"id": k} for k in range(3)],
        "annotations": annotations,
    }
    coco.createIndex()
    judge = COCOeval(coco, coco.loadRes(results), "bbox")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    capsys.readouterr()
    seen = evaluation(known, said, ["a", "b", "c"]).measures
    names = ["map50_95", "map50", "map75", *(f"map50_95_{s}" for s in ("small", "medium", "large"))]
    names += ["ar1", "ar10", "ar100", *(f"ar100_{s}" for s in ("small", "medium", "large"))]
    for name, value in zip(names, judge.stats, strict=True):
        assert (seen[name] if seen[name] is not None else -1) == pytest.approx(value, abs=1e-4), (
            name
        )


def test_pycocotools_is_silent(capsys):
    evaluation([truth([ONE])], [found([ONE])], ["cat"])
    assert capsys.readouterr() == ("", "")


def test_the_order_of_pictures_and_boxes_does_not_matter():
    known, said = noisy(5)
    shuffled = [
        Found(one.boxes[::-1], one.scores[::-1], one.labels[::-1]) for one in reversed(said)
    ]
    first, second = evaluation(known, said, "abc"), evaluation(known[::-1], shuffled, "abc")
    assert first.measures == pytest.approx(second.measures)
    np.testing.assert_array_equal(first.confusion, second.confusion)


def test_rows_of_the_confusion_matrix_are_the_truth_and_the_last_is_the_background():
    known = [truth([ONE, TWO], [0, 1])]
    said = [found([ONE, ELSEWHERE], [0.9, 0.9], [1, 1])]
    expected = [[0, 1, 0], [0, 0, 1], [0, 1, 0]]
    assert confusion_matrix(known, said, 2, 0.5).tolist() == expected


def test_the_confusion_matrix_counts_every_true_box_once():
    known, said = noisy(7)
    counts = confusion_matrix(known, said, 3, 0.5)
    number = sum(int((~one.crowd).sum()) for one in known)
    assert counts[:-1].sum() == number
    assert counts[-1, -1] == 0


def test_evaluations_hold_plain_numbers():
    known, said = noisy(8)
    result = evaluation(known, said, ["a", "b", "c"])
    file = io.StringIO()
    json.dump({**result.measures, "classes": result.classes}, file, allow_nan=False)
