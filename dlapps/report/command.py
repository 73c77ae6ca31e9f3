"""The command `dlapps report`."""

from pathlib import Path

import click

from dlapps import files
from dlapps.commands import output_option
from dlapps.errors import UserError, reason


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@output_option("Write the page here.  [default: RUN/report.html; report.html for several runs]")
def report(runs: tuple[str, ...], output: str | None) -> None:
    """Show how trainings went, as a page that needs nothing but a browser.

    RUN is a run folder, finished or not. Of one run the page shows curves, update ratios, options
    and results; several are set beside each other.

    \b
    Examples:
      dlapps report runs/classify/flowers-1
      dlapps report runs/classify/flowers-1 runs/classify/flowers-2 -o flowers.html
    """
    from dlapps import runs as folders
    from dlapps.report import page

    loaded = [folders.read(run) for run in runs]
    _check_distinct(runs)
    if len(loaded) == 1 and output is None:
        click.echo(str(page.write(loaded[0])))
        return
    path = Path(output or page.NAME)
    _check_free(path, page.GENERATOR)
    files.write(path, page.page(loaded))
    click.echo(str(path))


def _check_distinct(runs: tuple[str, ...]) -> None:
    seen: dict[Path, str] = {}
    for run in runs:
        place = Path(run).resolve()
        if place in seen:
            raise UserError(f"{run} is the same run as {seen[place]}. Name each run once.")
        seen[place] = run


def _check_free(path: Path, generator: str) -> None:
    """Lets a report replace a report, and nothing else."""
    if not path.is_file():
        return
    try:
        with path.open("rb") as file:
            start = file.read(2000)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {reason(error)}.") from error
    if generator.encode() not in start:
        raise UserError(f"{path} is there already, and is no report. Name another file with -o.")
