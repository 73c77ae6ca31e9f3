import json
import math
import re

from dlapps.report.charts import Series, bar_chart, line_chart
from dlapps.report.figure import Epochs, cut
from dlapps.report.history import Phase

PHASES = (Phase("head", 1, 3), Phase("finetune", 4, 6))


def lines(*values, epochs=None, **settings):
    series = [Series(f"line {k}", [*each], "training") for k, each in enumerate(values)]
    return line_chart("Loss", series, epochs or Epochs(len(values[0])), **settings)


def paths(figure):
    return re.findall(r' d="([^"]*)"', figure.drawing)


def test_a_line_has_a_point_for_every_epoch():
    (path,) = paths(lines([3, 2, 1, 0]))
    assert len(re.findall(r"-?\d+ -?\d+", path)) == 4


def test_a_falling_value_goes_down_the_page():
    (path,) = paths(lines([1, 0]))
    start, step = re.findall(r"(-?\d+) (-?\d+)", path)
    assert start[1] == "0"
    assert int(step[0]) > 0
    assert int(step[1]) == 4000


def test_what_was_not_measured_is_passed_over():
    (path,) = paths(lines([1, None, 0.5, None, 0.25]))
    assert len(re.findall(r"-?\d+ -?\d+", path)) == 3
    assert path.count("M") == 1


def test_what_is_not_a_number_leaves_a_gap_and_is_marked():
    figure = lines([4, 3, math.inf, math.nan, 2, 1])
    (path,) = paths(figure)
    assert path.count("M") == 2
    assert len(re.findall(r"-?\d+ -?\d+", path)) == 4
    assert figure.drawing.count('class="broken"') == 1
    assert 'x="33.33%" width="33.33%"' in figure.drawing
    assert "not a number" in [key.text for key in figure.legend]
    assert "not a number" in figure.hover
    assert "nan" not in figure.drawing.lower()


def test_numbers_alone_are_not_marked_as_broken():
    figure = lines([2, 1])
    assert "broken" not in figure.drawing
    assert "not a number" not in [key.text for key in figure.legend]


def test_a_value_without_neighbours_is_a_dot():
    for values in ([1], [1, math.nan, math.nan]):
        figure = lines(values)
        assert figure.drawing.count('class="dot') == 1
        assert not paths(figure)


def test_a_line_of_nothing_but_nan_is_an_empty_chart():
    figure = lines([math.nan, math.nan])
    assert not paths(figure)
    assert "Line 0: no number." in figure.label


def test_the_best_epoch_has_a_ring_on_the_line():
    series = Series("validation", [3.0, 0.0, 3.0], "validation", best=2)
    figure = line_chart("Loss", [series], Epochs(3, best=2))
    assert 'class="ring validation" cx="50.0%" cy="100.0%"' in figure.drawing
    assert 'class="best" x1="50.0%"' in figure.drawing
    assert "best epoch: 2" in [key.text for key in figure.legend]
    assert "best in epoch 2" in figure.label


def test_the_best_epoch_is_told_by_its_phase_too():
    assert Epochs(6, PHASES, 5).best_text == "best epoch: 5 (finetune 2)"
    assert Epochs(3, PHASES[:1], 2).best_text == "best epoch: 2"


def test_a_best_epoch_without_a_value_has_no_ring():
    for value in (None, math.nan):
        series = Series("validation", [1.0, value], "validation", best=2)
        assert "ring" not in line_chart("Loss", [series], Epochs(2)).drawing


def phase_names(figure):
    return re.findall(r'class="phase"[^>]*>([^<]*)<', figure.drawing)


def test_phases_are_divided_and_named():
    figure = lines([1] * 6, epochs=Epochs(6, PHASES))
    assert figure.drawing.count('class="divider"') == 1
    assert phase_names(figure) == ["head", "finetune"]
    alone = lines([1] * 3, epochs=Epochs(3, PHASES[:1]))
    assert "divider" not in alone.drawing
    assert phase_names(alone) == []


def test_a_phase_too_short_for_its_name_has_the_line_only():
    phases = (Phase("head", 1, 99), Phase("finetune", 100, 100))
    figure = lines([1] * 100, epochs=Epochs(100, phases))
    assert figure.drawing.count('class="divider"') == 1
    assert phase_names(figure) == ["head"]


def test_many_epochs_keep_their_spikes_and_gaps_in_a_short_path():
    values = [1 + 1e-3 * math.sin(k) for k in range(100_000)]
    values[12_345], values[77_777] = 50.0, math.nan
    figure = lines(values)
    (path,) = paths(figure)
    assert len(path) < 30_000
    assert path.count("M") == 2
    ys = [int(y) for y in re.findall(r"l?-?\d+ (-?\d+)", path)]
    assert min(ys) < -3000  # the step up to the spike


def test_up_to_2000_epochs_are_all_drawn():
    (path,) = paths(lines([k % 7 for k in range(2000)]))
    assert len(re.findall(r"-?\d+ -?\d+", path)) == 2000


def test_names_are_escaped():
    series = Series("<b>&", [1.0, 2.0], '"><script>')
    phases = (Phase("<i>", 1, 1), Phase("<u>", 2, 2))
    figure = line_chart("<h1>", [series], Epochs(2, phases))
    for tag in ("<b>", "<script>", "<i>", "<u>", "<h1>"):
        assert tag not in figure.drawing
    assert "&lt;i&gt;" in figure.drawing


def test_a_drawing_says_what_it_shows():
    drawing = lines([2, 1]).drawing
    assert 'role="img" aria-label="Loss by epoch. Line 0: 2 to 1."' in drawing


def test_a_band_is_shaded_between_its_values():
    figure = lines([1e-5, 1], log=True, band=(1e-4, 1e-2, "acceptable"))
    (band,) = re.findall(r'<rect class="band" [^>]*>', figure.drawing)
    assert 'y="40.0%" height="40.0%"' in band
    assert "acceptable" in [key.text for key in figure.legend]


def test_parts_of_a_bar_stand_on_each_other():
    parts = [Series("computing", [3.0, 1.0], "compute"), Series("waiting", [1.0, None], "input")]
    figure = bar_chart("Time", parts, Epochs(2), "seconds")
    lower, upper = (re.findall(r"M\S+ (\d+)h\d+v(\d+)", path) for path in paths(figure))
    assert lower == [("1000", "3000"), ("3000", "1000")]
    assert upper == [("0", "1000"), ("3000", "0")]


def test_bars_of_many_epochs_are_means_and_say_so():
    figure = bar_chart(
        "Time", [Series("all", [1.0, 3.0] * 500, "compute")], Epochs(1000), "seconds"
    )
    assert figure.note == "Each bar is the mean of 5 epochs."
    assert paths(figure)[0].count("M") == 200


def test_values_under_the_pointer_are_those_of_the_history():
    count, phases, series = json.loads(lines([1.5, None], epochs=Epochs(2, PHASES)).hover)
    assert count == 2
    assert phases == [["head", 1], ["finetune", 4]]
    assert series == [["line 0", ["1.5", None]]]


def test_a_name_is_cut_in_its_middle():
    assert cut("block_12/expand/kernel", 30) == "block_12/expand/kernel"
    short = cut("block_12/expand/kernel", 12)
    assert len(short) == 12
    assert short.startswith("block")
    assert short.endswith("kernel")
