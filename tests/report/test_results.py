import math

import pytest

from dlapps.apps.classify.config import Config
from dlapps.errors import UserError
from dlapps.report import results
from tests.report.made import PICTURES, PIXEL, make_run


def rows(table):
    return [tuple(cell.text for cell in row) for row in table.rows]


def test_options_that_differ_stand_beside_their_defaults():
    default = Config()
    given = {"seed": default.seed, "dropout": 0.75, "class_weights": True, "init": None}
    section = results.options({"app": "classify", "options": given})
    assert rows(section.tables[0]) == [
        ("--dropout", "0.75", str(default.dropout)),
        ("--class-weights", "yes", "no"),
    ]
    assert section.tables[0].rows[0][0].small == "Part of the features dropped in --train."


def test_options_at_their_defaults_are_not_listed():
    section = results.options({"app": "classify", "options": {"dropout": Config().dropout}})
    assert section.text == "All options have their defaults."
    assert not section.tables


def test_an_option_of_another_version_is_listed_as_such():
    section = results.options({"app": "classify", "options": {"beard_size": 3}})
    assert rows(section.tables[0]) == [("--beard-size", "3", "no such option any more")]


@pytest.mark.parametrize("app", ["juggle", "../x", "", None, "a b"])
def test_options_of_an_unknown_app_are_all_listed(app):
    section = results.options({"app": app, "options": {"seed": 1}})
    assert "are not known here" in section.text
    assert rows(section.tables[0]) == [("--seed", "1")]


def tables(**record):
    return {table.title: table for table in results.results(record).tables}


def test_figures_stand_by_training_and_validation():
    figures = {"phase": "a", "epoch": 3, "loss": 0.5, "val_loss": math.nan, "val_bleu4": 0.25}
    assert rows(tables(figures=figures)["Measures of the best epoch"]) == [
        ("loss", "0.5", "not a number"),
        ("BLEU-4", "—", "0.25"),
    ]


def test_results_that_are_alike_make_a_table():
    classes = {name: {"precision": 0.5, "recall": 1.0} for name in ("cat", "<b>")}
    found = tables(figures={"results": {"macro_f1": 0.9, "classes": classes}})
    assert rows(found["Evaluation"]) == [("macro f1", "0.9")]
    assert found["Evaluation: classes"].head == ("", "precision", "recall")
    assert rows(found["Evaluation: classes"]) == [("cat", "0.5", "1"), ("<b>", "0.5", "1")]


def test_results_within_results_are_kept():
    found = tables(figures={"results": {"greedy": {"bleu1": 0.5}, "beam": {"cider": 0.7}}})
    assert rows(found["Evaluation: greedy"]) == [("BLEU-1", "0.5")]
    assert rows(found["Evaluation: beam"]) == [("CIDEr", "0.7")]


def test_a_fingerprint_is_shortened_and_labels_are_counted():
    dataset = {"fingerprint": "0123456789abcdef", "labels": [f"l{k}" for k in range(1000)]}
    found = dict(rows(tables(dataset=dataset)["Dataset"]))
    assert found["fingerprint"] == "0123456789ab"
    assert found["1000 labels"].endswith("l11 and 988 more")


def test_the_best_of_each_phase_is_listed_where_there_are_several():
    head, tail = {"phase": "head", "epoch": 2, "loss": 0.5}, {"phase": "tail", "bleu": 0.1}
    found = tables(phases={"head": head, "tail": tail})["Best of each phase"]
    assert found.head == ("phase", "epoch", "loss", "bleu")
    assert rows(found) == [("head", "2", "0.5", "—"), ("tail", "—", "—", "0.1")]
    assert "Best of each phase" not in tables(phases={"head": head})


def test_no_figures_are_explained():
    assert results.results({}).text.startswith("There are no figures: ")


@pytest.mark.parametrize(
    "record",
    [
        pytest.param({"baselines": {"majority": 0.3}}, id="in-the-record"),
        pytest.param({"figures": {"baselines": {"accuracy": {"majority": 0.3}}}}, id="by-measure"),
        pytest.param({"figures": {"majority_accuracy": 0.3}}, id="flat"),
        pytest.param({"figures": {"results": {"majority_accuracy": 0.3}}}, id="in-results"),
    ],
)
def test_baselines_are_found(record):
    assert results.baselines(record, "val_accuracy") == [("always the commonest class", 0.3)]


def test_baselines_of_another_measure_do_not_count():
    assert results.baselines({"figures": {"majority_accuracy": 0.3}}, "val_loss") == []


def test_pictures_are_shown_where_they_are(tmp_path):
    run = make_run(tmp_path / "a")
    assert not [*results.pictures(run)]
    assert results.examples(run) is None
    run = make_run(tmp_path / "a", pictures=PICTURES, samples="<Once>\n")
    assert [each.title for each in results.pictures(run)] == ["First-layer filters", "First batch"]
    examples = results.examples(run)
    assert [picture.title for picture in examples.pictures] == ["Right", "Wrong"]
    assert examples.samples == "<Once>"
    assert examples.pictures[0].uri.startswith("data:image/png;base64,iVBOR")
    assert (examples.pictures[0].width, examples.pictures[0].height) == (1, 1)
    assert examples.pictures[0].small


def test_a_damaged_picture_is_named(tmp_path):
    run = make_run(tmp_path / "a")
    for data in (PIXEL[:10], b"GIF89a" + PIXEL):
        (run.folder / "right.png").write_bytes(data)
        with pytest.raises(UserError, match=r"right\.png is not a PNG picture. Delete it"):
            results.examples(run)
    (run.folder / "right.png").unlink()
    (run.folder / "samples.txt").write_bytes(b"\xff")
    with pytest.raises(UserError, match=r"samples\.txt cannot be read: "):
        results.examples(run)
