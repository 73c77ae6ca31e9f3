"""Compares an export with the trained model on real inputs; what differs goes no further."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dlapps.errors import UserError
from dlapps.export import ask
from dlapps.serving import NUMERIC, Check, Checks

NOTHING = "There is no input to compare the export with the trained model on."
ROOT = Path(ask.__file__).parents[2]
# How far a number may lie from the trained model's. Float32 leaves 1e-6; other runtimes add up in
# another order, and other kernels with them.
TOLERANCES = {"savedmodel": 1e-4, "keras": 1e-4, "onnx": 1e-3, "litert": 1e-3}
# A place in a picture is a number in the hundreds, and so may be off by as many times more.
PIXEL = 100
# Two answers that are equally likely may change places.
AGREEMENT = 0.99
# int8 is bought with accuracy; more than this is no bargain. Where the truth is not known, the
# answers are compared, of pictures without a clear answer too.
MOST_LOST = 0.05
QUANTIZED_AGREEMENT = 0.7


@dataclass(frozen=True)
class Row:
    """How one output of an export compares with the trained model's.

    Args:
        signature: Of the export.
        output: Its name.
        count: Inputs compared.
        difference: The largest between two numbers, if they are numbers.
        agreement: Part of the answers that are the same, in [0, 1], if it holds answers.
        accuracy: How good the answers are, before and after, if that is known.
        worst: Which input differs most, and how.
        in_pixels: Whether the numbers are pixels.
        measured: What `accuracy` is called.
    """

    signature: str
    output: str
    count: int
    difference: float | None
    agreement: float | None
    accuracy: tuple[float, float] | None
    worst: str
    in_pixels: bool = False
    measured: str = "accuracy"


def passed(
    kind: str, folder: Path, checks: Checks, tolerance: float | None, quantized: bool
) -> list[Row]:
    """Loads an export in a fresh process, and asks it what the trained model was asked.

    Args:
        kind: Its format.
        folder: Where it lies.
        checks: What to ask, and the answers.
        tolerance: How far a number may be off; None for the format's own.
        quantized: Whether it computes with 8 bits.

    Returns:
        The comparison, an output a row.

    Raises:
        UserError: If it cannot be loaded, or answers otherwise; it says where.
    """
    asked = [c for c in checks.each if (c.signature == NUMERIC) == (kind != "savedmodel")]
    if not asked or not len(next(iter(asked[0].inputs.values()))):
        raise UserError(NOTHING)
    found = _answers(kind, folder, asked)
    allowed = tolerance or TOLERANCES[kind]
    rows: list[Row] = []
    for check, got in zip(asked, found, strict=True):
        rows += compared(check, got)
    for row in rows:
        if why := _wrong(row, allowed, quantized):
            raise UserError(
                f"The export answers otherwise than the trained model: {row.signature}, output "
                f"'{row.output}', {row.worst}; {why}. Nothing was written."
            )
    return rows


def _wrong(row: Row, allowed: float, quantized: bool) -> str:
    """Returns what is beyond tolerance, nothing if all is well."""
    if quantized:
        if row.accuracy is not None:
            lost = row.accuracy[0] - row.accuracy[1]
            # Of few inputs, one that changes is no proof.
            too_much = lost > MOST_LOST + 1 / row.count
            return f"int8 loses {lost:.3f} of the {row.measured}" if too_much else ""
        low = row.agreement is not None and row.agreement < QUANTIZED_AGREEMENT
        return f"with int8 {row.agreement:.3f} of the answers are the same" if low else ""
    allowed *= PIXEL if row.in_pixels else 1
    # Not the other way round: a difference that is no number is not in order either.
    if row.difference is not None and not row.difference <= allowed:
        return f"off by {row.difference:.2g}, allowed is {allowed:g}"
    if row.agreement is not None and row.agreement < AGREEMENT:
        return f"{row.agreement:.3f} of the answers are the same, {AGREEMENT} are needed"
    return ""


def compared(check: Check, got: Mapping[str, np.ndarray]) -> list[Row]:
    """Compares the answers to one check, an output a row."""
    rows = []
    for name, wanted in check.expected.items():
        if name not in got or got[name].shape != wanted.shape:
            shape = got[name].shape if name in got else "nothing"
            raise UserError(
                f"The export gives {shape} as '{name}' of {check.signature}, not {wanted.shape}."
            )
    for name, wanted in check.expected.items():
        first = name == next(iter(check.expected))
        compare = _texts if wanted.dtype.kind == "O" else _numbers
        row = compare(check, name, wanted, got[name], first)
        if first and check.same is not None:
            row = replace(row, agreement=check.same(check.expected, got))
        if first and check.measure is not None:
            before, after = (check.measure(said, check.truth) for said in (check.expected, got))
            row = replace(row, accuracy=(before, after), measured=check.measured)
        rows.append(row)
    return rows


def _texts(check: Check, name: str, wanted: np.ndarray, got: np.ndarray, _: bool) -> Row:
    ours, theirs = (each.reshape(len(each), -1)[:, 0] for each in (wanted, got))
    same = ours == theirs
    worst = int(np.argmin(same))
    return Row(
        check.signature, name, len(ours), None, float(same.mean()), None,
        f"input {worst}: {theirs[worst]!r} instead of {ours[worst]!r}",
    )  # fmt: skip


def _numbers(check: Check, name: str, wanted: np.ndarray, got: np.ndarray, first: bool) -> Row:
    off = np.abs(wanted.astype(np.float64) - got)
    off = np.where(np.isfinite(off), off, np.inf)
    place = tuple(int(k) for k in np.unravel_index(np.argmax(off), off.shape))
    agreement = accuracy = None
    if first and wanted.ndim > 1 and check.same is None:
        ours, theirs = wanted.argmax(-1), got.argmax(-1)
        agreement = float((ours == theirs).mean())
        if check.measure is None and check.truth is not None and ours.shape == check.truth.shape:
            before, after = (float((each == check.truth).mean()) for each in (ours, theirs))
            accuracy = (before, after)
    return Row(
        check.signature, name, len(wanted), float(off.max()), agreement, accuracy,
        f"input {place[0]}: {got[place]:.6g} instead of {wanted[place]:.6g}", name in check.pixels,
    )  # fmt: skip


def _answers(kind: str, folder: Path, checks: Sequence[Check]) -> list[dict[str, np.ndarray]]:
    """Asks the export in a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        questions, answers = Path(place, "questions.npz"), Path(place, "answers.npz")
        ask.write_arrays(questions, [check.inputs for check in checks])
        names = [check.signature for check in checks]
        Path(f"{questions}.json").write_text(json.dumps(names), encoding="utf-8")
        # -P: beside the script lie files of ours, which are no modules to it.
        words = [sys.executable, "-P", ask.__file__, kind]
        words += [str(path) for path in (folder, questions, answers)]
        # A .keras file needs us; also where we are not installed but started from our folder.
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        done = subprocess.run(
            words, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
        )
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if "Error" in line]
            last = said[-1] if said else f"it ended with status {done.returncode}"
            raise UserError(f"The export cannot be loaded and asked: {last[:500]}")
        return ask.read_arrays(answers)


def table(rows: Sequence[Row]) -> str:
    """Returns the comparison as text."""
    titles = ["signature", "output", "inputs", "largest difference", "answers equal", "accuracy"]
    cells = [titles, *(_cells(row) for row in rows)]
    if not any(row[-1] for row in cells[1:]):
        cells = [row[:-1] for row in cells]
    widths = [max(len(row[k]) for row in cells) for k in range(len(cells[0]))]
    cells.insert(1, ["-" * width for width in widths])
    lines = [
        " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        for row in cells
    ]
    return "\n".join(f"| {line} |" for line in lines)


def _cells(row: Row) -> list[str]:
    off = "" if row.difference is None else f"{row.difference:.1e}" + " px" * row.in_pixels
    same = "" if row.agreement is None else f"{row.agreement:.3f}"
    right = "" if row.accuracy is None else "{:.3f}, was {:.3f}".format(*row.accuracy[::-1])
    if right and row.measured != "accuracy":
        right = f"{row.measured} {right}"
    return [row.signature, row.output, str(row.count), off, same, right]
