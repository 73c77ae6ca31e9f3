import math

import pytest

from dlapps.report import curves
from dlapps.report.history import load_history, load_layers
from tests.report.made import epochs, make_full_run, make_run


def sections(folder):
    history = load_history(folder)
    layers = load_layers(folder, history)
    return {each.title: each for each in curves.sections(history, layers, best=1)}


def figures(section):
    return {figure.title: figure for figure in section.figures}


def texts(figure):
    return [key.text for key in figure.legend]


def test_a_full_history_has_every_section(tmp_path):
    make_full_run(tmp_path / "a")
    assert [*sections(tmp_path / "a")] == [
        "Curves", "Gradients", "Update ratios", "Activations", "Time",
    ]  # fmt: skip


def test_a_plain_history_has_curves_only(tmp_path):
    make_run(tmp_path / "a", epochs())
    assert [*sections(tmp_path / "a")] == ["Curves"]


def test_training_and_validation_share_a_chart(tmp_path):
    rows = epochs(val_top5=0.5, cider=0.2, val_cider=0.1, own=1)
    make_run(tmp_path / "a", rows)
    charts = figures(sections(tmp_path / "a")["Curves"])
    assert [*charts] == ["Loss", "Top5 (validation)", "CIDEr", "Own (training)"]
    assert texts(charts["CIDEr"])[:2] == ["training", "validation"]
    assert texts(charts["Top5 (validation)"])[:1] == ["validation"]


@pytest.mark.parametrize(
    ("factor", "unit"), [pytest.param(2, "", id="near"), pytest.param(10, "log scale", id="far")]
)
def test_a_loss_that_falls_far_is_drawn_by_ratios(tmp_path, factor, unit):
    make_run(tmp_path / "a", epochs(3, loss=lambda k: 5.0 * factor**-k, val_loss=0.1))
    assert figures(sections(tmp_path / "a")["Curves"])["Loss"].unit == unit


@pytest.mark.parametrize(
    ("power", "unit"), [pytest.param(1, "", id="rises"), pytest.param(-1, "log scale", id="falls")]
)
def test_what_rises_far_is_drawn_as_it_is(tmp_path, power, unit):
    make_run(tmp_path / "a", epochs(3, val_class=lambda k: 0.01 * 10.0 ** (power * k)))
    assert figures(sections(tmp_path / "a")["Curves"])["Class (validation)"].unit == unit


def test_the_learning_rate_is_drawn_by_ratios(tmp_path):
    make_run(tmp_path / "a", epochs(learning_rate=lambda k: 10.0**-k))
    assert figures(sections(tmp_path / "a")["Curves"])["Learning rate"].unit == "log scale"


def test_the_gradient_stands_beside_its_threshold(tmp_path):
    make_full_run(tmp_path / "a")
    charts = figures(sections(tmp_path / "a")["Gradients"])
    assert texts(charts["Gradient norm"]) == [
        "largest of the epoch", "mean of the epoch", "clip threshold",
    ]  # fmt: skip
    assert '"25"' in charts["Share of clipped steps"].hover
    assert charts["Share of clipped steps"].unit == "%"


def test_update_ratios_name_what_is_acceptable_and_who_says_so(tmp_path):
    make_full_run(tmp_path / "a")
    section = sections(tmp_path / "a")["Update ratios"]
    by_layer = figures(section)["Update ratio by layer"]
    assert "1e-4 to 1e-2: acceptable (CS231n)" in texts(by_layer)
    assert "CS231n" in section.text


def test_activations_name_the_largest(tmp_path):
    make_full_run(tmp_path / "a")
    section = sections(tmp_path / "a")["Activations"]
    assert section.text.endswith("in block_2/kernel, is 2.")
    assert [*figures(section)] == ["Dead units by layer", "Saturated activations by layer"]


def test_layers_are_shown_without_a_history(tmp_path):
    make_full_run(tmp_path / "a")
    (tmp_path / "a/history.csv").unlink()
    assert [*sections(tmp_path / "a")] == ["Update ratios", "Activations"]


def test_time_is_split_into_input_and_computing(tmp_path):
    make_run(tmp_path / "a", epochs(2, seconds=40, input_seconds=10))
    section = sections(tmp_path / "a")["Time"]
    assert section.text == (
        "All epochs together took 1 min 20 s. The input was waited for 25% of the time."
    )
    assert texts(section.figures[0]) == ["waiting for input", "computing"]
    assert '["computing",["30","30"]]' in section.figures[0].hover
    assert section.figures[0].unit == "seconds"


def test_time_without_a_word_about_the_input_is_whole(tmp_path):
    make_run(tmp_path / "a", epochs(2, seconds=7200))
    section = sections(tmp_path / "a")["Time"]
    assert texts(section.figures[0]) == ["the whole epoch"]
    assert section.figures[0].unit == "minutes"
    assert "input" not in section.text


def test_nothing_but_nan_is_shown_as_such(tmp_path):
    names = ("loss", "val_loss", "seconds", "learning_rate", "gradient_norm", "clipped")
    make_run(tmp_path / "a", epochs(3, **dict.fromkeys(names, math.nan)))
    found = sections(tmp_path / "a")
    assert "not a number" in texts(figures(found["Curves"])["Loss"])
    assert [*found] == ["Curves", "Gradients", "Time"]
