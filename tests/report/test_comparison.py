from dlapps.report import comparison
from dlapps.report.history import load_history
from tests.report.made import epochs, make_run


def compared(*runs):
    entries = comparison.entries(runs, [load_history(run.folder) for run in runs])
    return {each.title: each for each in comparison.sections(entries)}


def rows(section):
    return [tuple(cell.text for cell in row) for row in section.tables[0].rows]


def figures(**values):
    return {"phase": "head", "epoch": 1, **values}


def test_only_options_that_differ_are_listed(tmp_path):
    a = make_run(tmp_path / "a", options={"seed": 1, "dropout": 0.5, "units": 8})
    b = make_run(tmp_path / "b", options={"seed": 1, "dropout": 0.2})
    section = compared(a, b)["Options"]
    assert section.tables[0].head == ("option", "a", "b")
    assert rows(section) == [("--dropout", "0.5", "0.2"), ("--units", "8", "—")]
    assert compared(a, a)["Options"].text == "All runs have the same options."


def test_the_best_of_every_measure_is_marked_which_way_ever_it_goes(tmp_path):
    a = make_run(tmp_path / "a", figures=figures(val_loss=0.5, val_accuracy=0.9, val_pictures=1))
    b = make_run(tmp_path / "b", figures=figures(val_loss=0.4, val_accuracy=0.8, val_pictures=2))
    c = make_run(tmp_path / "c", figures=figures(val_loss=float("nan")))
    section = compared(c, a, b)["Best measures"]
    marked = [[cell.text for cell in row if cell.best] for row in section.tables[0].rows]
    assert marked == [[], ["0.9"], ["0.4"]]
    assert rows(section)[0] == ("c", "head\N{NO-BREAK SPACE}1", "not a number", "—", "—")


def test_measures_of_validation_come_first(tmp_path):
    run = make_run(tmp_path / "a", figures=figures(loss=0.1, val_loss=0.2))
    head = compared(run, run)["Best measures"].tables[0].head
    assert head == ("run", "best epoch", "validation loss", "training loss")


def test_runs_without_figures_are_explained(tmp_path):
    run = make_run(tmp_path / "a")
    assert compared(run, run)["Best measures"].text.startswith("No run has figures yet")
    assert "no curves" in compared(run, run)["Curves"].text


def test_runs_of_different_data_are_told_apart(tmp_path):
    a = make_run(tmp_path / "a")
    b = make_run(tmp_path / "b", dataset={"data": "cars/", "fingerprint": "1"})
    assert "learnt from different data" in compared(a, b)["Runs"].text
    assert compared(a, a)["Runs"].text == ""


def test_curves_lie_over_each_other_in_a_colour_a_run(tmp_path):
    a = make_run(tmp_path / "a", epochs(3, seconds=2), figures=figures())
    b = make_run(tmp_path / "b", epochs(9, learning_rate=0.1))
    c = make_run(tmp_path / "c")
    section = compared(a, b, c)["Curves"]
    charts = {figure.title: figure for figure in section.figures}
    assert [*charts] == ["Validation loss", "Training loss", "Learning rate", "Seconds per epoch"]
    keys = [(key.text, key.style) for key in charts["Validation loss"].legend]
    assert keys[:2] == [("a", "run0"), ("b", "run1")]
    assert [key.text for key in charts["Seconds per epoch"].legend] == ["a"]
    assert section.text.endswith("without curves: c.")


def test_runs_of_the_same_name_are_told_apart_by_their_path(tmp_path):
    runs = [make_run(tmp_path / name / "flowers-1") for name in ("a", "b")]
    names = [row[0] for row in rows(compared(*runs)["Runs"])]
    assert names == [str(run.folder) for run in runs]


def test_the_ninth_run_differs_from_the_first(tmp_path):
    runs = [make_run(tmp_path / f"run-{k}") for k in range(9)]
    entries = comparison.entries(runs, [None] * 9)
    assert len({(entry.style, entry.dashed) for entry in entries}) == 9
