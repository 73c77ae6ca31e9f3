"""The command `dlapps classify`."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from dlapps import files, terminal
from dlapps.apps.classify.config import EPOCHS, Config
from dlapps.commands import AppCommand, app_arguments, strictly
from dlapps.errors import UserError
from dlapps.options import Option, named_options, options


@click.command(cls=AppCommand)
@app_arguments()
@click.option(
    "--top-k", cls=Option, type=click.IntRange(min=1), default=3, show_default=True,
    help="Labels to give for each picture.",
)  # fmt: skip
@click.option(
    "--save-images", cls=Option, type=click.Path(file_okay=False), metavar="DIR",
    help="Write the pictures, with their labels drawn below, to this folder.",
)  # fmt: skip
@click.option(
    "--explain", cls=Option, is_flag=True,
    help="Colour the places that speak for the label (Grad-CAM) in the pictures saved.",
)  # fmt: skip
@options(Config)
def classify(
    inputs: tuple[str, ...], mode: str | None, resume: str | None, show_schedule: bool,
    config: Config, strict: bool, **use: Any,
) -> None:  # fmt: skip
    """Tell what pictures show, or learn to from a folder of pictures.

    INPUTS are files, folders, globs, .txt lists or - for standard input. With --train or
    --finetune it is the dataset: a folder with one folder a class (or with train, val and test
    folders of such), a .csv of path and label, tfds:NAME, or sample.

    \b
    Examples:
      dlapps classify photo.jpg
      dlapps classify --finetune flowers/
      dlapps classify 'holiday/*.jpg' --model runs/classify/flowers-1 --format csv -o out.csv
    """
    if resume is not None:
        if inputs or mode:
            raise click.UsageError("--resume takes dataset and mode from the run; leave them out.")
        _train(lambda train: train.resume(resume, config, named_options(Config), strict))
        return
    if mode is not None:
        if len(inputs) > 1:
            raise click.UsageError(f"--{mode} takes one dataset, got {len(inputs)}.")
        if show_schedule:
            _draw_schedule(mode, config, use["output"])
            return
        if use["output"]:
            raise click.UsageError(f"-o is for prediction, not for --{mode}; see --run.")
        if not inputs:
            terminal.note("No dataset named: learning from 'sample', scikit-learn's digits.")
        data = inputs[0] if inputs else "sample"
        _train(lambda train: train.train(data, mode, config, strict))
        return
    if not inputs:
        raise click.UsageError("INPUTS are missing: name a picture, a folder or a glob.")
    if use["explain"] and not use["save_images"]:
        raise click.UsageError("--explain draws on the saved pictures: add --save-images DIR.")
    _predict(inputs, strict, **use)


def _train(start: Callable[[Any], Any]) -> None:
    with terminal.quiet():
        from dlapps.apps.classify import train
    done = start(train)
    figures = done.record["figures"]
    terminal.note(
        f"Held-out accuracy {figures['val_accuracy']:.4f}, loss {figures['val_loss']:.4f}."
    )
    if "temperature" in figures:
        terminal.note(
            f"Calibrated at temperature {figures['temperature']:.2f}: "
            f"held-out loss {figures['val_calibrated_loss']:.4f}."
        )
    terminal.note(f"Use it:      dlapps classify PICTURES --model {done.folder}")
    terminal.note(f"Measure it:  dlapps evaluate {done.folder}")
    terminal.note(f"Look at it:  {done.folder / 'report.html'}")
    click.echo(done.folder)


def _draw_schedule(mode: str, config: Config, output: str | None) -> None:
    from dlapps import schedule_chart

    epochs = EPOCHS[mode] if config.epochs == "auto" else int(config.epochs)
    rate = config.learning_rate / (10 if mode == "finetune" else 1)
    schedule_chart.draw(config, rate, epochs, Path(output) if output else None)


def _predict(
    words: tuple[str, ...], strict: bool, model: str | None, top_k: int, format_: str,
    output: str | None, save_images: str | None, explain: bool,
) -> None:  # fmt: skip
    with terminal.quiet():
        from dlapps.apps.classify import predict, render
        from dlapps.apps.classify.model import load_model
        from dlapps.data.inputs import picture_inputs
    inputs = picture_inputs(words)
    if save_images:
        files.keep_apart("--save-images", Path(save_images), (one.source for one in inputs))
        files.writable_folder(Path(save_images))
    with terminal.quiet():
        classifier = load_model(model or "imagenet")
    unreadable: dict[str, str] = {}
    predictions = predict.predict(inputs, classifier, top_k, unreadable)
    if strict:
        predictions = strictly(predictions, unreadable)
    if save_images:
        folder = Path(save_images)
        predictions = predict.saved(predictions, classifier, folder, explain)
    lines = render.lines(predictions, format_, [each.name for each in inputs])
    with ExitStack() as stack:
        quiet_output = output or not sys.stdout.isatty()
        if quiet_output and len(inputs) > 1:
            advance = stack.enter_context(terminal.progress("Classifying", len(inputs)))
            lines = _counted(lines, advance, 1 if format_ != "csv" else 1 / top_k)
        _write(lines, output)
    terminal.skipped(unreadable)
    if len(unreadable) == len(inputs):
        raise UserError("No picture could be read.")


def _counted(lines: Iterable[str], advance: Any, part: float) -> Iterator[str]:
    for line in lines:
        advance(part)
        yield line


def _write(lines: Iterable[str], output: str | None) -> None:
    if output is None:
        for line in lines:
            click.echo(line)
    else:
        files.write_lines(Path(output), lines)
