"""A hyperparameter declared once: a field of a config and an option of a command."""

import dataclasses
import functools
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from dlapps.errors import UserError, nearest, reason

SECTIONS = ("Use", "Train", "Output")


class Option(click.Option):
    """An option that knows under which heading of the help it stands.

    Args:
        section: One of `SECTIONS`.
    """

    def __init__(self, *args: Any, section: str = "Use", **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.section = section


class NearChoice(click.Choice):
    """A choice that names the nearest of its values when it is given another."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.UsageError as error:
            hint = nearest(str(value), self.choices)
            one_of = ", ".join(self.choices)
            self.fail(f"'{value}' is not one of {one_of}.{hint}", param, ctx)
            raise AssertionError from error  # fail has raised


class CountOr(click.ParamType):
    """A whole number in a range, or one of a few words.

    Args:
        words: Such as "auto" and "all".
        min: The smallest number.
        max: The largest, or None for any.
        step: What it must be a multiple of.
    """

    name = "number"

    def __init__(self, *words: str, min: int = 1, max: int | None = None, step: int = 1):
        self.words = words
        self.min = min
        self.max = max
        self.step = step

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value in self.words:
            return value
        try:
            number = int(value)
        except ValueError:
            hint = nearest(str(value), self.words)
            self.fail(f"'{value}' is neither a number nor {self._either()}.{hint}", param, ctx)
        if number < self.min or (self.max is not None and number > self.max):
            upper = "" if self.max is None else f" to {self.max}"
            self.fail(f"{number} is not in the range from {self.min}{upper}.", param, ctx)
        if number % self.step:
            self.fail(f"{number} is not a multiple of {self.step}.", param, ctx)
        return number

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"[{'|'.join((*self.words, 'N'))}]"

    def _either(self) -> str:
        return " or ".join(f"'{word}'" for word in self.words)


def option(default: Any, help_text: str, type_: Any = None, *names: str) -> Any:
    """Declares a hyperparameter: a dataclass field that `options` turns into an option.

    Args:
        default: Its value when nothing is said; False makes a switch.
        help_text: One sentence for the help, with the unit.
        type_: A Click type, which checks the range.
        names: Names of the option, where they are not the field's with dashes.
    """
    metadata = {"help": help_text, "type": type_, "names": names}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class TrainingConfig:
    """What every app's training can be told."""

    epochs: int = option(10, "Passes over the data.", click.IntRange(min=1))
    batch_size: int = option(32, "Examples a step.", click.IntRange(min=1))
    learning_rate: float = option(
        5e-4, "Highest learning rate of the new parts.", click.FloatRange(min=0, min_open=True)
    )
    validation: float = option(
        0.2,
        "Part of the data held out where it has no validation part of its own.",
        click.FloatRange(min=0, max=0.9, min_open=True),
    )
    seed: int = option(0, "Fixes the split, the views and the first weights.", click.IntRange(0))
    overfit_batches: int = option(
        0,
        "Learn only this many batches by heart, without regularisation: a model that cannot is "
        "broken. 0 for all.",
        click.IntRange(min=0),
    )
    fast_dev_run: bool = option(False, "One step of everything, to see that it works.")
    run: str | None = option(
        None, "Folder to write the run to.  [default: runs/APP/NAME-N]", click.Path(), "--run"
    )


def options(config_class: type) -> Callable[[Callable], Callable]:
    """Gives a command one option for each field of a config, and hands the built config over.

    Args:
        config_class: A dataclass whose fields come from `option`.

    Returns:
        A decorator; the command's function receives `config`.
    """
    fields = dataclasses.fields(config_class)

    def decorate(function: Callable) -> Callable:
        @functools.wraps(function)
        def with_config(**values: Any) -> Any:
            config = config_class(**{f.name: values.pop(f.name) for f in fields})
            return function(config=config, **values)

        decorated: Callable = with_config
        for each in reversed(fields):
            decorated = click.option(*_names(each), cls=Option, **_settings(each))(decorated)
        return click.option(
            "--config",
            cls=Option,
            section="Train",
            type=click.Path(dir_okay=False),
            is_eager=True,
            expose_value=False,
            callback=functools.partial(_from_run, names=[f.name for f in fields]),
            help="A run.json whose options to take, except those named here.",
        )(decorated)

    return decorate


def _names(each: dataclasses.Field) -> tuple[str, ...]:
    names = each.metadata["names"] or ("--" + each.name.replace("_", "-"),)
    return (*names, each.name)


def _settings(each: dataclasses.Field) -> dict[str, Any]:
    settings = {"help": each.metadata["help"], "default": each.default, "section": "Train"}
    if each.default is False:
        return {**settings, "is_flag": True}
    shown = each.default not in (None, 0) or isinstance(each.default, float)
    return {**settings, "type": each.metadata["type"], "show_default": shown}


def _from_run(
    ctx: click.Context, _param: click.Parameter, path: str | None, names: Iterable[str]
) -> None:
    if path is None:
        return
    try:
        kept = json.loads(Path(path).read_text(encoding="utf-8"))["options"]
        values = {name: kept[name] for name in names if name in kept and name != "run"}
    except OSError as error:
        raise UserError(f"--config {path} cannot be read: {reason(error)}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"--config {path} is not the run.json of a run.") from error
    ctx.default_map = {**(ctx.default_map or {}), **values}


def _mode(ctx: click.Context) -> str:
    return str(ctx.params["mode"])


class AppCommand(click.Command):
    """A command whose help sorts the options by what they are for."""

    def invoke(self, ctx: click.Context) -> Any:
        training = ctx.params.get("mode") is not None
        for param in self.params:
            said = ctx.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE
            section = getattr(param, "section", None)
            if said and section == "Train" and not training:
                raise click.UsageError(
                    f"{param.opts[0]} is for training: add --train or --finetune."
                )
            if said and section in ("Use", "Output") and training and param.name != "strict":
                raise click.UsageError(
                    f"{param.opts[0]} is for prediction, not for --{_mode(ctx)}."
                )
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


def output_options(formats: Sequence[str] = FORMATS) -> Callable[[Callable], Callable]:
    """Gives a command `--format` and `-o`."""

    def decorate(function: Callable) -> Callable:
        function = click.option(
            "-o",
            "--output",
            cls=Option,
            section="Output",
            type=click.Path(dir_okay=False),
            metavar="FILE",
            help="Write the results to a file.",
        )(function)
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


def app_arguments(function: Callable) -> Callable:
    """Gives a command what every app has: INPUTS, --train, --finetune, --model, --format, -o."""
    function = output_options()(function)
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
    for mode, text in (
        ("finetune", "Train, then adapt what was pretrained at a tenth of the learning rate."),
        ("train", "Learn the new parts from the dataset that INPUTS names."),
    ):
        function = click.option(
            f"--{mode}", "mode", cls=Option, section="Train", flag_value=mode, help=text
        )(function)
    return click.argument("inputs", nargs=-1, metavar="[INPUTS]...")(function)
