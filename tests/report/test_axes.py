import math
import random

import pytest

from dlapps.report import axes


def many_ranges():
    rng = random.Random(0)
    for _ in range(300):
        size = 10 ** rng.uniform(-12, 12)
        yield [rng.uniform(-1, 1) * size for _ in range(rng.randint(1, 5))]
    yield from ([0], [0, 0], [1e-300, 1e-299], [1e149, -1e149], [5], [-5], [math.nan], [])


@pytest.mark.parametrize("log", [pytest.param(False, id="linear"), pytest.param(True, id="log")])
def test_every_range_is_within_its_axis_with_a_few_rising_ticks(log):
    for values in many_ranges():
        axis = axes.logarithmic(values) if log else axes.linear(values)
        marks = [mark for mark, _ in axis.ticks]
        assert axis.low < axis.high
        assert 2 <= len(marks) <= 9, values
        assert marks == sorted({*marks})
        assert len({text for _, text in axis.ticks}) == len(marks), (values, axis.ticks)
        assert axis.low <= marks[0]
        assert marks[-1] <= axis.high * (1 + 1e-9) or axis.high <= 0
        for value in values:
            if math.isfinite(value) and not log:
                assert axis.low - 1e-9 * abs(value) <= value <= axis.high + 1e-9 * abs(value)


def test_ticks_have_the_same_number_of_decimals():
    assert [text for _, text in axes.linear([0.81, 0.99]).ticks] == [
        "0.80", "0.85", "0.90", "0.95", "1.00",
    ]  # fmt: skip


def test_bars_stand_on_zero():
    assert axes.linear([8, 9], with_zero=True).low == 0
    assert axes.linear([8, 9]).low == 8


def test_places_run_from_0_to_1_and_never_beyond():
    linear, log = axes.linear([0, 10]), axes.logarithmic([1e-4, 1])
    assert [linear.place(value) for value in (0, 5, 10, 20, -1)] == [0, 0.5, 1, 1, 0]
    assert [log.place(value) for value in (1e-4, 1e-2, 1, 0, -1)] == [0, 0.5, 1, 0, 0]


def test_many_decades_have_few_ticks():
    marks = [mark for mark, _ in axes.logarithmic([1e-8, 1]).ticks]
    assert marks == [1e-8, 1e-6, 1e-4, 1e-2, 1]


def test_a_rate_that_falls_to_nothing_does_not_flatten_the_rest():
    axis = axes.logarithmic([1e-3, 1e-40, 0])
    assert axis.low >= 1e-3 * 10 ** -(axes.MAX_DECADES + 1)


@pytest.mark.parametrize("count", [1, 2, 5, 6, 7, 42, 999, 2000, 123456])
def test_epochs_are_whole_numbers_from_the_first(count):
    axis = axes.epochs(count)
    marks = [mark for mark, _ in axis.ticks]
    assert marks[0] == 1
    assert all(text == str(int(mark)) for mark, text in axis.ticks)
    assert count / 2 < marks[-1] <= count
    assert len(marks) <= 7
    assert axis.place(1) == pytest.approx(1 - axis.place(count))
