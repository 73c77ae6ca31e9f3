"""What is shown during work, all of it on standard error."""

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator

import click


def note(text: str) -> None:
    """Shows one line."""
    click.echo(text, err=True)


@contextlib.contextmanager
def progress(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """Shows a bar while something is done many times; nothing where there is no terminal.

    Args:
        description: What is done, a few words.
        total: How often.

    Yields:
        A function to be called with the number of times just done.
    """
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich import console  # noqa: PLC0415  0.1 s, for terminals only
    from rich import progress as bars  # noqa: PLC0415  the same

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[speed]}"),
        bars.TimeRemainingColumn(),
    )
    screen = console.Console(stderr=True)
    with bars.Progress(*columns, console=screen, transient=True) as bar:
        task = bar.add_task(description, total=total, speed="")

        def advance(done: int) -> None:
            bar.advance(task, done)
            speed = bar.tasks[0].speed
            bar.update(task, speed=f"{speed:.0f}/s" if speed else "")

        yield advance


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps TensorFlow's start-up messages off the terminal; shows them if the block fails.

    They come from C++ before any setting applies, so standard error itself is turned aside.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    with tempfile.TemporaryFile() as aside:
        kept = os.dup(2)
        os.dup2(aside.fileno(), 2)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except Exception:  # Not for Ctrl-C: it is no failure.
            aside.seek(0)
            os.write(kept, aside.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


def skipped(unreadable: dict[str, str], shown: int = 5, cannot: str = "be read") -> None:
    """Counts and names the files that could not be read.

    Args:
        unreadable: Why, by the name of the file.
        shown: How many to name.
        cannot: What cannot be done with them.
    """
    if not unreadable:
        return
    count = len(unreadable)
    note(f"Skipped {count} file{'s' * (count > 1)} that cannot {cannot}:")
    for name, why in [*unreadable.items()][:shown]:
        note(f"  {name}: {why}")
    if count > shown:
        note(f"  and {count - shown} more")
