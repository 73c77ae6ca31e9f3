import math

import pytest

from dlapps.errors import UserError
from dlapps.report.history import load_history, load_layers
from tests.report.made import epochs, make_run, write_table


def test_epochs_are_counted_on_over_the_phases(tmp_path):
    make_run(tmp_path / "a", epochs(3, "head") + epochs(2, "finetune"))
    history = load_history(tmp_path / "a")
    assert [(p.name, p.first, p.last) for p in history.phases] == [
        ("head", 1, 3),
        ("finetune", 4, 5),
    ]
    assert history.num_epochs == 5
    assert history.place({"phase": "finetune", "epoch": 2}) == 5
    assert history.place({"phase": "head", "epoch": 2.0}) == 2


@pytest.mark.parametrize(
    "figures",
    [
        pytest.param({}, id="none"),
        pytest.param({"phase": "head", "epoch": 9}, id="later"),
        pytest.param({"phase": "tail", "epoch": 1}, id="other-phase"),
        pytest.param({"phase": "head", "epoch": math.nan}, id="nan"),
        pytest.param({"phase": "head", "epoch": "1"}, id="text"),
    ],
)
def test_figures_of_no_epoch_have_no_place(tmp_path, figures):
    make_run(tmp_path / "a", epochs(3, "head"))
    assert load_history(tmp_path / "a").place(figures) is None


def test_what_is_empty_was_not_measured_and_what_is_not_finite_was(tmp_path):
    make_run(tmp_path / "a")
    (tmp_path / "a/history.csv").write_text(
        "phase,epoch,loss,val_loss,accuracy\nx,1,nan,,\nx,2,inf,0.5\nx,3,-1e200, \n"
    )
    columns = load_history(tmp_path / "a").columns
    assert math.isnan(columns["loss"][0])
    assert columns["loss"][1:] == [math.inf, -math.inf]
    assert columns["val_loss"] == [None, 0.5, None]
    assert "accuracy" not in columns


def test_a_run_without_an_epoch_has_no_history(tmp_path):
    make_run(tmp_path / "a")
    assert load_history(tmp_path / "a") is None
    (tmp_path / "a/history.csv").write_text("phase,epoch,loss\n")
    assert load_history(tmp_path / "a") is None
    (tmp_path / "a/history.csv").write_text("")
    assert load_history(tmp_path / "a") is None


def test_a_damaged_history_is_named_with_the_place(tmp_path):
    make_run(tmp_path / "a", epochs(2, loss="low"))
    with pytest.raises(UserError, match=r"history\.csv, row 1: loss is 'low', which is not a num"):
        load_history(tmp_path / "a")
    (tmp_path / "a/history.csv").write_bytes(b"phase,epoch\n\xff,1\n")
    with pytest.raises(UserError, match=r"history\.csv cannot be read: "):
        load_history(tmp_path / "a")


def layer(phase, epoch, name, **values):
    return {"phase": phase, "epoch": epoch, "layer": name, **values}


def test_layers_stand_at_the_epochs_of_the_history(tmp_path):
    make_run(
        tmp_path / "a",
        epochs(2, "head") + epochs(2, "finetune"),
        [
            layer("head", 1, "top", dead=0.5),
            layer("finetune", 2, "bottom", dead=0.25),
            layer("finetune", 2, "top", dead=0.125, update_ratio_mean="nan"),
            layer("finetune", 3, "top", dead=1),  # an epoch that has not ended
        ],
    )
    layers = load_layers(tmp_path / "a", load_history(tmp_path / "a"))
    assert layers.cells["dead"] == {"top": {1: 0.5, 4: 0.125}, "bottom": {4: 0.25}}
    assert math.isnan(layers.cells["update_ratio_mean"]["top"][4])
    assert layers.names == ("bottom", "top")  # as where most are named
    assert layers.num_epochs == 4
    assert "saturated" not in layers.cells


def test_layers_without_a_history_count_their_own_epochs(tmp_path):
    make_run(tmp_path / "a", layers=[layer("x", k, "a", dead=0.1 * k) for k in (1, 2)])
    assert load_layers(tmp_path / "a", None).cells["dead"] == {"a": {1: 0.1, 2: 0.2}}


def test_layers_without_a_value_are_none(tmp_path):
    make_run(tmp_path / "a", epochs(1))
    history = load_history(tmp_path / "a")
    assert load_layers(tmp_path / "a", history) is None
    write_table(tmp_path / "a/layers.csv", [layer("train", 1, "a", dead="")])
    assert load_layers(tmp_path / "a", history) is None
