import math

import pytest

from dlapps.schedules import FACTORS, KINDS, auto_period, scheduled_rate


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("constant", [1, 1, 1, 1, 1]),
        ("plateau", [1, 1, 1, 1, 1]),
        ("step", [1, 1, 0.2, 0.2, 0.2**2]),
        ("exponential", [1, 10**-0.5, 0.1, 10**-1.5, 0.01]),
        ("inverse-time", [1, 2 / 3, 1 / 2, 2 / 5, 1 / 3]),
        ("cosine", [1, 1 / 2, 0, 0, 0]),
    ],
)
def test_falls_as_its_formula_says(kind, expected):
    rates = [scheduled_rate(time, kind, 0.5, period=4, drop=0.2) for time in (0, 2, 4, 6, 8)]
    assert rates == pytest.approx([0.5 * factor for factor in expected])


@pytest.mark.parametrize("kind", KINDS)
def test_never_rises_after_the_warm_up(kind):
    rates = [scheduled_rate(time / 7, kind, 3.0, 5, warm_up=1.5) for time in range(11, 60)]
    assert rates == sorted(rates, reverse=True)
    assert max(rates) == pytest.approx(3.0, rel=0.05)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tick", [0.1, 0.25, 1.0])
def test_the_warm_up_is_a_line_from_above_0_to_the_rate(kind, tick):
    steps = round(2 / tick)
    rates = [scheduled_rate(step * tick, kind, 0.5, 8, 0.1, 2.0, tick) for step in range(steps)]
    assert rates == pytest.approx([0.5 * (step + 1) / steps for step in range(steps)])
    assert scheduled_rate(2.0, kind, 0.5, 8, 0.1, 2.0, tick) == 0.5


def test_a_cosine_ends_with_its_period_however_long_the_warm_up():
    for warm_up in (0.0, 1.0, 5.5):
        assert scheduled_rate(6, "cosine", 1.0, 6, warm_up=warm_up) == pytest.approx(0)
        middle = (6 + warm_up) / 2
        assert scheduled_rate(middle, "cosine", 1.0, 6, warm_up=warm_up) == pytest.approx(0.5)


@pytest.mark.parametrize("steps", [3, 7, 10, 49])
def test_a_step_comes_with_the_first_batch_of_its_epoch(steps):
    for batch in range(steps * 30):
        rate = scheduled_rate(batch * (1 / steps), "step", 1.0, 3, drop=0.5)
        assert rate == 0.5 ** (batch // (3 * steps))


def test_a_training_has_room_for_what_its_period_is_meant_for():
    ends = {kind: scheduled_rate(30, kind, 1.0, auto_period(kind, 30)) for kind in FACTORS}
    expected = {"constant": 1, "step": 1e-3, "exponential": 1e-2, "inverse-time": 1 / 11}
    assert ends == pytest.approx({**expected, "cosine": 0}, abs=1e-12)
    assert math.isclose(auto_period("plateau", 30), 3)
