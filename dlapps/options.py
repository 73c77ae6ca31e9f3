"""A hyperparameter declared once: a field of a config and an option of a command."""

import dataclasses
import functools
import json
from collections.abc import Callable, Iterable
from dataclasses import field
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from dlapps.errors import UserError, nearest, reason

# The headings of an app's help. Those of `TRAINING` are for training alone.
TRAINING = ("Train", "Optimize", "Watch and resume")
SECTIONS = ("Use", *TRAINING, "Output")


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


class ClipBy(click.ParamType):
    """How to clip gradients: "none", "auto", or a way and a threshold such as "norm:1"."""

    name = "clip"
    ways = ("value", "norm", "global-norm")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        way, colon, threshold = str(value).partition(":")
        if value in ("none", "auto"):
            return value
        if way not in self.ways or not colon:
            hint = nearest(way, [*self.ways, "none", "auto"])
            wanted = ", ".join(f"{each}:THRESHOLD" for each in self.ways)
            self.fail(f"'{value}' is none of none, auto, {wanted}.{hint}", param, ctx)
        try:
            above_0 = 0 < float(threshold) < float("inf")
        except ValueError:
            above_0 = False
        if not above_0:
            self.fail(f"'{threshold}' is no threshold above 0, as in {way}:1.", param, ctx)
        return value

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "[none|auto|WAY:N]"


def option(
    default: Any, help_text: str, type_: Any = None, *names: str, section: str = "Train"
) -> Any:
    """Declares a hyperparameter: a dataclass field that `options` turns into an option.

    Args:
        default: Its value when nothing is said; False makes a switch.
        help_text: One sentence for the help, with the unit.
        type_: A Click type, which checks the range.
        names: Names of the option, where they are not the field's with dashes.
        section: One of `TRAINING`.
    """
    metadata = {"help": help_text, "type": type_, "names": names, "section": section}
    return field(default=default, metadata=metadata)


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


def named_options(config_class: type) -> dict[str, str]:
    """Returns the fields of a config whose options stand on the command line, with their names."""
    ctx = click.get_current_context()
    fields = dataclasses.fields(config_class)
    said = [f for f in fields if ctx.get_parameter_source(f.name) is ParameterSource.COMMANDLINE]
    return {each.name: _names(each)[0] for each in said}


def _names(each: dataclasses.Field) -> tuple[str, ...]:
    names = each.metadata["names"] or ("--" + each.name.replace("_", "-"),)
    return (*names, each.name)


def _settings(each: dataclasses.Field) -> dict[str, Any]:
    settings = {"help": each.metadata["help"], "default": each.default}
    settings["section"] = each.metadata["section"]
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
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"--config {path} is not the run.json of a run.") from error
    ctx.default_map = {**(ctx.default_map or {}), **values}
