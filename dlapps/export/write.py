"""Writes a checked export into its place, whole or not at all."""

import contextlib
import importlib
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dlapps import runs, terminal
from dlapps.errors import UserError, reason
from dlapps.export import formats, gate
from dlapps.export.card import card
from dlapps.serving import Check, Checks


@dataclass(frozen=True)
class Done:
    """An export that is in its place.

    Args:
        folder: `NAME/1`, or the next number.
        table: How it compares with the trained model.
        source: What it was compared on.
        left_out: Why inputs were left out, by name.
    """

    folder: Path
    table: str
    source: str
    left_out: dict[str, str]


def write(
    run: str, app: str, kind: str, output: str, name: str | None, quantize: bool, count: int,
    tolerance: float | None,
) -> Done:  # fmt: skip
    """Writes a model in a format, checks it, and puts it where it belongs.

    Args:
        run: A run folder, a `.keras` file or the name of a built-in model.
        app: What it belongs to.
        kind: The format.
        output: Takes the folder `NAME/1`.
        name: What the model is called; None for a name after `run`.
        quantize: Whether to compute with 8 bits.
        count: Inputs to check it on.
        tolerance: See `gate.passed`.

    Raises:
        UserError: If it answers otherwise than the trained model, or cannot be written.
    """
    name = name_of(run, name)
    with terminal.quiet():
        formats.check_installed(kind)
        serving = importlib.import_module(f"dlapps.apps.{app}.serving")
        model = importlib.import_module(f"dlapps.apps.{app}.model").load_model(run)
        checks = serving.checks(run, model, 2 * count if quantize else count)
    if not checks.each:
        raise UserError(gate.NOTHING)
    examples = None
    if quantize:
        examples, checks = _halves(checks)
    try:
        with _in_place(Path(output) / name) as (beside, folder):
            with terminal.quiet():
                formats.WRITERS[kind](beside, model, serving, examples)
            rows = gate.passed(kind, beside, checks, tolerance, quantize)
            text = card(name, run, kind, model, serving, rows, checks)
            (beside / "README.md").write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{output} cannot be written to: {reason(error)}.") from error
    return Done(folder[0], gate.table(rows), checks.source, checks.left_out)


def name_of(run: str, name: str | None = None) -> str:
    """Returns what a model is called, fit for a folder and a URL.

    Raises:
        UserError: If `name` is not.
    """
    if name is None:
        path = Path(run)
        name = path.stem if path.suffix == ".keras" else path.resolve().name
        if path.name == runs.MODEL:
            name = path.resolve().parent.name
        return re.sub(r"[^\w.-]|^\.+", "-", name, flags=re.ASCII)
    if not re.fullmatch(r"\w[\w.-]*", name, re.ASCII):
        raise UserError(f"--name {name} must be letters, digits, '-', '_' and '.' alone.")
    return name


def _halves(checks: Checks) -> tuple[Check, Checks]:
    """Returns every other input to learn the ranges of the numbers from, and the rest to check."""

    def part(check: Check, start: int) -> Check:
        inputs, expected = (
            {name: array[start::2] for name, array in arrays.items()}
            for arrays in (check.inputs, check.expected)
        )
        truth = None if check.truth is None else check.truth[start::2]
        return replace(check, inputs=inputs, expected=expected, truth=truth)

    examples = part(formats.numeric_check(checks.each), 0)
    return examples, replace(checks, each=[part(check, 1) for check in checks.each])


@contextlib.contextmanager
def _in_place(parent: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Yields a hidden folder, and a list that will hold the numbered one that it becomes."""
    parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=parent, prefix="."))
    folder: list[Path] = []

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield beside, folder
        mask = os.umask(0)  # mkdtemp makes folders that only their owner may read.
        os.umask(mask)
        beside.chmod(0o777 & ~mask)
        folder.append(_numbered(beside, parent))
    finally:
        signal.signal(signal.SIGTERM, before)
        shutil.rmtree(beside, ignore_errors=True)
        with contextlib.suppress(OSError):
            parent.rmdir()  # If there is nothing in it.


def _numbered(beside: Path, parent: Path) -> Path:
    """Gives a folder the next number, also where another process takes one at the same time."""
    while True:
        taken = [int(path.name) for path in parent.iterdir() if path.name.isdecimal()]
        place = parent / str(max(taken, default=0) + 1)
        try:
            return beside.rename(place)
        except OSError:
            if not place.exists():
                raise
