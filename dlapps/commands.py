"""What the commands of all apps have in common."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from dlapps.errors import UserError
from dlapps.options import SECTIONS, TRAINING, NearChoice, Option

T = TypeVar("T")
# Options of prediction that mean something in training too.
BOTH = ("strict", "output")
# Options that mean nothing to a run that is resumed.
NOT_RESUMED = ("config", "show_schedule", "output")


class AppCommand(click.Command):
    """A command whose help sorts the options by what they are for.

    Args:
        both: Names of options that mean something in training and in use alike.
    """

    def __init__(self, *args: Any, both: Sequence[str] = (), **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.both = (*BOTH, *both)

    def invoke(self, ctx: click.Context) -> Any:
        words = [f"--{ctx.params['mode']}"] if ctx.params.get("mode") else []
        words += ["--resume"] if ctx.params.get("resume") else []
        for param in self.params:
            said = ctx.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE
            section = getattr(param, "section", None)
            if said and ctx.params.get("resume") and param.name in NOT_RESUMED:
                raise click.UsageError(f"{param.opts[0]} does not go with --resume.")
            if not said or param.name in self.both:
                continue
            if section in TRAINING and not words:
                raise click.UsageError(
                    f"{param.opts[0]} is for training: add --train or --finetune."
                )
            if section in ("Use", "Output") and words:
                raise click.UsageError(f"{param.opts[0]} is for prediction, not for {words[0]}.")
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        records: dict[str, list[tuple[str, str]]] = {section: [] for section in SECTIONS}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                records[getattr(param, "section", "Output")].append(record)
        for section, rows in records.items():
            if rows:
                with formatter.section(section):
                    formatter.write_dl(rows)


FORMATS = ("table", "json", "jsonl", "csv")


def output_option(help_text: str, or_folder: bool = False) -> Callable[[Callable], Callable]:
    """Gives a command `-o`.

    Args:
        help_text: What it does.
        or_folder: Whether it may be a folder, too.
    """
    return click.option(
        "-o",
        "--output",
        cls=Option,
        section="Output",
        type=click.Path(dir_okay=or_folder),
        metavar="FILE|DIR" if or_folder else "FILE",
        help=help_text,
    )


def output_options(
    formats: Sequence[str] = FORMATS, folder_for: str | None = None
) -> Callable[[Callable], Callable]:
    """Gives a command `--format` and `-o`.

    Args:
        formats: The first is the default.
        folder_for: The format that writes to a folder, if there is one.
    """
    to = "a file" if folder_for is None else f"a file; with --format {folder_for} to a folder"

    def decorate(function: Callable) -> Callable:
        function = output_option(f"Write the results to {to}.", bool(folder_for))(function)
        return click.option(
            "--format",
            "format_",
            cls=Option,
            section="Output",
            type=NearChoice(formats),
            default=formats[0],
            show_default=True,
            help="How to write the results.",
        )(function)

    return decorate


def app_arguments(
    formats: Sequence[str] = FORMATS, folder_for: str | None = None
) -> Callable[[Callable], Callable]:
    """Gives a command what every app has: INPUTS, the modes, --model, --format and -o.

    The command's function receives `inputs`, `mode` ("train", "finetune" or None), `resume`,
    `show_schedule`, `model`, `strict`, `format_` and `output`.

    Args:
        formats: As in `output_options`.
        folder_for: As there.
    """
    return lambda function: _with_modes(output_options(formats, folder_for)(function))


def _with_modes(function: Callable) -> Callable:
    function = click.option(
        "--strict",
        cls=Option,
        is_flag=True,
        help="Stop at the first file that cannot be read, instead of counting and naming them.",
    )(function)
    function = click.option(
        "--model",
        cls=Option,
        metavar="MODEL",
        help="A run folder, a .keras file or the name of a built-in model.",
    )(function)
    function = click.option(
        "--show-schedule",
        cls=Option,
        section="Optimize",
        is_flag=True,
        help="Draw the learning rate over the epochs, to the terminal or to -o FILE.png, and stop.",
    )(function)
    function = click.option(
        "--resume",
        cls=Option,
        section="Watch and resume",
        metavar="RUN",
        help="Go on with a run that was stopped, or with more --epochs, where it was.",
    )(function)
    for mode, text in (
        ("finetune", "Train, then adapt what was pretrained at a tenth of the learning rate."),
        ("train", "Learn the new parts from the dataset that INPUTS names."),
    ):
        function = click.option(
            f"--{mode}", "mode", cls=Option, section="Train", flag_value=mode, help=text
        )(function)
    return click.argument("inputs", nargs=-1, metavar="[INPUTS]...")(function)


def strictly(predictions: Iterable[T], unreadable: Mapping[str, str]) -> Iterator[T]:
    """Passes predictions on until something cannot be read.

    Args:
        predictions: What to pass on.
        unreadable: Filled meanwhile with the reason, by the name of the file.

    Raises:
        UserError: With the first reason.
    """
    for prediction in predictions:
        _stop_at(unreadable)
        yield prediction
    _stop_at(unreadable)


def _stop_at(unreadable: Mapping[str, str]) -> None:
    for name, why in unreadable.items():
        raise UserError(f"{name} cannot be read: {why}. Without --strict it would be skipped.")
