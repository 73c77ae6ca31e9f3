"""The command `dlapps evaluate`."""

import importlib
import json
from pathlib import Path

import click

from dlapps import files, terminal
from dlapps.commands import output_options
from dlapps.options import Option


@click.command()
@click.argument("run")
@click.argument("data", required=False)
@click.option(
    "--images",
    cls=Option,
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Folder for plots, and for what went best and worst.  [default: RUN/evaluation]",
)
@click.option("--strict", is_flag=True, help="Stop at the first file that cannot be read.")
@output_options(("table", "json"))
def evaluate(
    run: str, data: str | None, images: str | None, strict: bool, format_: str, output: str | None
) -> None:
    """Measure a model on labelled data.

    RUN is a run folder, a .keras file or the name of a built-in model. DATA is any dataset that
    the app can learn from; without it, the data that the run held out.

    \b
    Examples:
      dlapps evaluate runs/classify/flowers-1
      dlapps evaluate runs/classify/flowers-1 more-flowers/ --format json
    """
    from dlapps import runs

    app = runs.app_of(run)
    with terminal.quiet():
        app_evaluate = importlib.import_module(f"dlapps.apps.{app}.evaluate")
        app_render = importlib.import_module(f"dlapps.apps.{app}.render")
    is_run = (Path(run) / runs.RECORD).is_file()
    folder = Path(images) if images else Path(run) / "evaluation" if is_run else None
    measures = app_evaluate.evaluate(run, data, folder, strict)
    if format_ == "json":
        text = json.dumps(measures, indent=2, ensure_ascii=False)
    else:
        text = app_render.evaluation_table(measures)
    if output:
        files.write(Path(output), text + "\n")
    else:
        click.echo(text)
    if folder is not None and folder.is_dir():
        terminal.note(f"Plots and examples: {folder}")
