import json
import math

import keras
import pytest

from dlapps import precision

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")


@pytest.fixture
def clock(monkeypatch):
    """Seconds by policy, to be set; `clock.asked` lists what was measured."""

    def seconds(kind, policy, too_long):
        clock.asked.append((kind, policy))
        clock.limits.append(too_long)
        return clock.times[policy]

    def clock():
        return seconds

    clock.asked, clock.limits, clock.times = [], [], dict.fromkeys(POLICIES, 1.0)
    monkeypatch.setattr(precision, "seconds", seconds)
    return clock


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        pytest.param((3.0, 1.0, 2.0), "mixed_bfloat16", id="bfloat16"),
        pytest.param((3.0, 2.0, 1.0), "mixed_float16", id="float16"),
        pytest.param((1.0, 5.0, 9.0), "float32", id="float32"),
        pytest.param((1.1, 1.0, 1.0), "float32", id="close"),
    ],
)
def test_the_fastest_is_chosen_unless_float32_is_close(clock, tmp_path, times, expected):
    clock.times = dict(zip(POLICIES, times, strict=True))
    assert precision.fastest("convolutions", tmp_path) == expected


def test_is_measured_once_for_each_kind(clock, tmp_path):
    clock.times["mixed_float16"] = 0.1
    folder = tmp_path / "made/on/the/way"
    for kind in ("convolutions", "recurrence", "convolutions", "recurrence"):
        assert precision.fastest(kind, folder) == "mixed_float16"
    assert sorted(clock.asked) == sorted(
        (kind, policy) for kind in ("convolutions", "recurrence") for policy in POLICIES
    )


def test_what_takes_twice_the_time_of_float32_is_not_measured_again(clock, tmp_path, monkeypatch):
    clock.times["float32"] = 0.25
    precision.fastest("recurrence", tmp_path)
    assert clock.limits == [math.inf, 0.5, 0.5]
    monkeypatch.undo()
    steps = []
    monkeypatch.setattr(keras.Sequential, "train_on_batch", lambda *_: steps.append(1))
    for too_long, expected in ((math.inf, 1 + precision.REPEATS), (0.0, 2)):
        steps.clear()
        precision.seconds("recurrence", "float32", too_long)
        assert len(steps) == expected


def test_another_machine_measures_anew(clock, tmp_path, monkeypatch):
    for cores in (2, 4):
        monkeypatch.setattr(precision.os, "cpu_count", lambda cores=cores: cores)
        precision.fastest("convolutions", tmp_path)
    assert len(clock.asked) == 2 * len(POLICIES)
    monkeypatch.setattr(precision.os, "cpu_count", lambda: 2)
    precision.fastest("convolutions", tmp_path)
    assert len(clock.asked) == 2 * len(POLICIES)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda known: "{", id="not-json"),
        pytest.param(lambda known: "\udcff", id="not-utf-8"),
        pytest.param(lambda known: "[]", id="list"),
        pytest.param(lambda known: json.dumps(dict.fromkeys(known)), id="null"),
        pytest.param(lambda known: json.dumps({key: {} for key in known}), id="no-policies"),
        pytest.param(
            lambda known: json.dumps({key: dict.fromkeys(POLICIES, "x") for key in known}),
            id="no-numbers",
        ),
    ],
)
def test_a_damaged_cache_is_measured_anew_and_mended(clock, tmp_path, damage):
    clock.times["mixed_float16"] = 0.1
    path = tmp_path / "precision.json"
    precision.fastest("convolutions", tmp_path)
    path.write_bytes(damage(json.loads(path.read_text())).encode(errors="surrogateescape"))
    for _ in range(2):
        assert precision.fastest("convolutions", tmp_path) == "mixed_float16"
    assert len(clock.asked) == 2 * len(POLICIES)


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(clock, tmp_path):
    (tmp_path / "file").write_text("in the way")
    for _ in range(2):
        assert precision.fastest("convolutions", tmp_path / "file") == "float32"
    assert len(clock.asked) == 2 * len(POLICIES)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param("mixed_bfloat16", "mixed_bfloat16", id="named"),
        pytest.param("auto", "mixed_float16", id="auto"),
    ],
)
def test_what_was_chosen_holds_in_the_block_and_no_longer(clock, tmp_path, wanted, expected):
    clock.times["mixed_float16"] = 0.1
    before = keras.config.dtype_policy()

    def use():
        with precision.chosen(wanted, "convolutions", tmp_path) as policy:
            assert policy == keras.layers.Dense(1).dtype_policy.name == expected
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use()
    assert keras.config.dtype_policy() is before
    assert bool(clock.asked) == (wanted == "auto")


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", ["convolutions", "recurrence"])
def test_a_step_of_every_kind_takes_time_in_every_precision(kind, policy):
    assert 0 < precision.seconds(kind, policy) < 60
