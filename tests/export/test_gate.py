import dataclasses

import numpy as np
import pytest

from dlapps.errors import UserError
from dlapps.export import ask, gate
from dlapps.serving import NUMERIC, Check, Checks

ROWS = np.array([[0.7, 0.3], [0.2, 0.8], [0.6, 0.4]])


def check(expected, truth=None):
    return Check("all", {"images": np.array([b"a", b"b", b"c"], object)}, expected, truth)


def texts(*rows):
    return np.array([[text.encode() for text in row] for row in rows], object)


def test_finds_the_largest_difference_and_where_it_is():
    got = ROWS.copy()
    got[2, 1] += 0.05
    (row,) = gate.compared(check({"p": ROWS}), {"p": got})
    assert row.difference == pytest.approx(0.05)
    assert row.worst == "input 2: 0.45 instead of 0.4"
    assert row.agreement == 1


def test_finds_answers_that_differ():
    got = ROWS[:, ::-1]
    (row,) = gate.compared(check({"p": ROWS}, np.array([0, 1, 1])), {"p": got})
    assert row.agreement == 0
    assert row.accuracy == pytest.approx((2 / 3, 1 / 3))


def test_of_texts_the_first_is_the_answer():
    wanted = {"labels": texts(("a", "b"), ("c", "d"), ("e", "f"))}
    got = {"labels": texts(("a", "x"), ("c", "d"), ("f", "e"))}
    (row,) = gate.compared(check(wanted), got)
    assert row.agreement == pytest.approx(2 / 3)
    assert row.worst == "input 2: b'f' instead of b'e'"


def test_an_app_may_say_which_answers_are_the_same():
    asked = dataclasses.replace(check({"p": ROWS}), same=lambda wanted, got: got["p"].sum() / 10)
    (row,) = gate.compared(asked, {"p": ROWS[:, ::-1]})
    assert row.agreement == pytest.approx(0.3)


def test_pixels_may_be_off_by_more(monkeypatch, tmp_path):
    asked = dataclasses.replace(check({"p": ROWS * 500}), pixels=("p",))

    def passed(off):
        monkeypatch.setattr(gate, "_answers", lambda *_: [{"p": ROWS * 500 + off}])
        return gate.passed("savedmodel", tmp_path, Checks("pictures", [asked]), None, False)

    assert "| 5.0e-03 px" in gate.table(passed(0.005))
    with pytest.raises(UserError, match=r"off by 0\.02, allowed is 0\.01"):
        passed(0.02)


@pytest.mark.parametrize(
    "got",
    [pytest.param({}, id="missing"), pytest.param({"p": ROWS[:2]}, id="shape")],
)
def test_an_output_of_another_form_is_no_answer(got):
    with pytest.raises(UserError, match=r"'p' of all, not \(3, 2\)"):
        gate.compared(check({"p": ROWS}), got)


def passed(monkeypatch, tmp_path, got, kind="savedmodel", quantized=False, truth=None):
    asked = check({"p": ROWS}, truth)
    if kind != "savedmodel":
        asked = Check(NUMERIC, asked.inputs, asked.expected, truth)
    monkeypatch.setattr(gate, "_answers", lambda kind, folder, checks: [{"p": got}])
    return gate.passed(kind, tmp_path, Checks("pictures", [asked]), None, quantized)


@pytest.mark.parametrize(
    ("kind", "off"),
    [("savedmodel", 2e-4), ("onnx", 2e-3), ("litert", 2e-3), ("savedmodel", np.nan)],
)
def test_what_differs_does_not_pass(monkeypatch, tmp_path, kind, off):
    got = ROWS.copy()
    got[1, 0] += off
    with pytest.raises(UserError, match=r"output 'p', input 1: .* instead of 0\.2; off by"):
        passed(monkeypatch, tmp_path, got, kind)


@pytest.mark.parametrize(("kind", "off"), [("savedmodel", 5e-5), ("onnx", 5e-4)])
def test_what_float32_leaves_passes(monkeypatch, tmp_path, kind, off):
    assert passed(monkeypatch, tmp_path, ROWS + off, kind)


def test_int8_is_judged_by_what_it_loses(monkeypatch, tmp_path):
    truth = np.array([0, 1, 0])
    rows = passed(monkeypatch, tmp_path, ROWS * 0.9, "onnx", True, truth)
    assert rows[0].accuracy == (1, 1)
    one_wrong = np.array([[1, 0], [1, 0], [1, 0]])
    assert passed(monkeypatch, tmp_path, one_wrong, "onnx", True, truth)
    with pytest.raises(UserError, match=r"int8 loses 0\.667 of the accuracy"):
        passed(monkeypatch, tmp_path, one_wrong[:, ::-1], "onnx", True, truth)
    with pytest.raises(UserError, match=r"with int8 0\.667 of the answers"):
        passed(monkeypatch, tmp_path, np.array([[1, 0], [1, 0], [1, 0]]), "onnx", True)


def test_an_own_measure_is_asked_about_all_outputs_and_judges_int8(monkeypatch, tmp_path):
    def measure(said, truth):
        return float((said["p"].round(1) == truth).mean())

    asked = Check(
        NUMERIC, {"images": ROWS}, {"p": ROWS}, ROWS.copy(), measure=measure, measured="mAP50"
    )
    (row,) = gate.compared(asked, {"p": ROWS + 0.01})
    assert (row.accuracy, row.measured) == ((1, 1), "mAP50")
    assert "mAP50 1.000, was 1.000" in gate.table([row])
    monkeypatch.setattr(gate, "_answers", lambda *_: [{"p": ROWS + 0.3}])
    with pytest.raises(UserError, match=r"int8 loses 1\.000 of the mAP50"):
        gate.passed("onnx", tmp_path, Checks("pictures", [asked]), None, True)


def test_nothing_to_compare_on_is_no_proof(tmp_path):
    with pytest.raises(UserError, match="no input to compare"):
        gate.passed("savedmodel", tmp_path, Checks("nothing", []), None, False)


def test_an_export_that_cannot_be_loaded_is_said_in_a_line(tmp_path):
    asked = check({"p": ROWS})
    with pytest.raises(UserError, match="cannot be loaded and asked: ") as caught:
        gate.passed("savedmodel", tmp_path, Checks("pictures", [asked]), None, False)
    assert "\n" not in str(caught.value)


def test_arrays_come_back_as_they_went(tmp_path):
    groups = [
        {"text": texts(("a", ""), ("ü\0b", "\0")), "numbers": ROWS},
        {"numbers": np.arange(3, dtype=np.int64)},
    ]
    ask.write_arrays(tmp_path / "a.npz", groups)
    for before, after in zip(groups, ask.read_arrays(tmp_path / "a.npz"), strict=True):
        assert before.keys() == after.keys()
        for name, array in before.items():
            assert array.dtype == after[name].dtype
            np.testing.assert_array_equal(array, after[name])


def test_the_table_shows_what_there_is():
    rows = gate.compared(check({"p": ROWS}, np.array([0, 1, 1])), {"p": ROWS + 1e-6})
    lines = gate.table(rows).splitlines()
    assert len(lines) == 3
    assert len({len(line) for line in lines}) == 1
    assert "1.0e-06" in lines[2]
    assert "0.667, was 0.667" in lines[2]
