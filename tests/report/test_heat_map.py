import json
import math
import re

import pytest

from dlapps.report.figure import Epochs
from dlapps.report.heat_map import MAX_CELLS, RATIOS, SHARES, heat_map, short_names
from dlapps.report.history import Layers


def drawn(cells, count=4, scale=RATIOS, **settings):
    layers = Layers(tuple(cells), count, {"x": cells})
    return heat_map("Ratios", layers, "x", scale, Epochs(count, **settings))


def boxes(figure, style):
    """Returns (x, y, width) of all boxes of one colour."""
    found = re.findall(rf'<path class="{style}" d="([^"]*)"', figure.drawing)
    return [tuple(map(int, box)) for box in re.findall(r"M(\d+) (\d+)h(\d+)", "".join(found))]


@pytest.mark.parametrize(
    ("value", "good"),
    [(0, False), (9e-5, False), (1e-4, True), (1e-3, True), (9e-3, True), (1e-2, False)],
)
def test_the_acceptable_ratios_are_marked_in_the_scale(value, good):
    marks = {style: is_good for style, _, is_good in RATIOS.legend}
    assert marks[RATIOS.of(value)] is good


def test_the_scale_is_centred_on_a_thousandth():
    below, above = RATIOS.of(0.99e-3), RATIOS.of(1e-3)
    assert (below, above) == ("ratio4", "ratio5")
    assert len(RATIOS.legend) == 10
    assert [text for _, text, _ in RATIOS.legend][4] == "1e-3"


def test_layers_are_rows_and_epochs_columns():
    figure = drawn({"a": {1: 1e-3, 2: 1e-3, 4: 1e-3}, "b": {3: 1e-3}})
    assert boxes(figure, "ratio5") == [(0, 0, 2), (3, 0, 1), (2, 1, 1)]
    assert 'viewBox="0 0 4 2"' in figure.drawing


def test_what_was_not_measured_and_what_is_not_a_number_look_different():
    figure = drawn({"a": {1: math.nan, 2: math.inf, 3: 1e-3}})
    assert boxes(figure, "broken") == [(0, 0, 2)]
    texts = [key.text for key in figure.legend]
    assert "not a number" in texts
    assert "not measured, as of a frozen layer" in texts
    whole = drawn({"a": {1: 1e-3}}, count=1)
    assert [key.shape for key in whole.legend] == ["good"]


def test_many_cells_are_means_of_neighbours_and_say_so():
    cells = {f"layer_{k}": dict.fromkeys(range(1, 2001), 1e-3) for k in range(200)}
    cells["layer_7"][1] = 1e-9
    cells["layer_8"][60] = math.nan
    figure = drawn(cells, count=2000)
    assert figure.note == "Each column is the mean of 50 epochs."
    assert boxes(figure, "broken") == [(50, 8, 50)]
    assert len(figure.drawing) < 20 * MAX_CELLS
    first = json.loads(figure.hover)[3][7][0]
    assert float(first) == pytest.approx(1e-3 * 1e-6 ** (1 / 50), rel=0.01)  # of the logarithms


def test_the_last_column_ends_with_the_last_epoch():
    figure = drawn({"a": dict.fromkeys(range(1, 252), 0.001)}, count=251)
    assert boxes(figure, "ratio5") == [(0, 0, 251)]


def test_shares_have_their_plain_mean():
    figure = drawn({"a": {k: k % 2 for k in range(1, 241)}}, count=240, scale=SHARES)
    assert set(json.loads(figure.hover)[3][0]) == {"0.5"}


def test_long_names_are_told_apart():
    names = [
        f"efficientnet_lite0/stage_{k // 4}/block_{k}_expand_conv_squeeze/kernel" for k in range(40)
    ] + ["head/kernel"]
    short = short_names(names)
    assert len({*short}) == len(names)
    assert max(map(len, short)) <= 24
    assert short[5] == "…stage_1/block_5…"
    assert short[-1] == "head/kernel"


def test_short_names_stay_whole():
    assert short_names(["a/kernel", "a/bias"]) == ["a/kernel", "a/bias"]
    assert len(short_names(["x" * 100])[0]) == 24


def test_every_row_carries_its_whole_name_escaped():
    name = "<script>" + "x" * 50
    figure = drawn({name: {1: 1e-3}}, count=1)
    assert "<script>" not in figure.drawing
    assert f"<title>&lt;script&gt;{'x' * 50}</title>" in figure.drawing


def test_a_drawing_says_what_it_shows():
    figure = drawn({"a": {1: 1e-3, 2: 1e-4}, "b": {1: 0.5}}, count=2)
    assert "2 layers over the epochs" in figure.label
    assert "from 1e-4 (a) to 0.5 (b)" in figure.label
    assert 'role="img"' in figure.drawing
