"""The `dlapps` command: the list of commands; imports nothing heavy."""

import atexit
import gc
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import click

from dlapps.apps.caption.command import caption
from dlapps.apps.classify.command import classify
from dlapps.apps.detect.command import detect
from dlapps.apps.generate.command import generate
from dlapps.demo import demo
from dlapps.errors import nearest
from dlapps.evaluate import evaluate
from dlapps.export.command import export
from dlapps.models import models
from dlapps.report.command import report
from dlapps.serve.command import serve


class Face(click.Group):
    """A group whose errors are one line each, with the nearest right word."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        """Runs the command line; see `click.Command.main`."""
        if not extra.get("standalone_mode", True):
            return super().main(args, *rest, **extra)
        if not sys.warnoptions:
            warnings.simplefilter("ignore")  # They speak to programmers, of libraries.
        # Hardly any of the million objects that TensorFlow brings ever becomes garbage. To look
        # for it less often, and not at all in the end, takes a second or two off a command.
        gc.set_threshold(10_000)
        atexit.register(gc.freeze)
        try:
            super().main(args, *rest, **{**extra, "standalone_mode": False})
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message())
            sys.exit(error.exit_code)
        except click.ClickException as error:
            prefix = getattr(error, "prefix", "Error: ")
            click.echo(f"{prefix}{error.format_message()}", err=True)
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            click.echo("Stopped.", err=True)
            sys.exit(130)  # 128 + SIGINT, as shells count it
        sys.exit(0)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the subcommand; see `click.Group.invoke`."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The reader, such as `head`, has seen enough.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            ctx.exit(0)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Finds a subcommand, or names the nearest; see `click.Group.resolve_command`."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            hint = nearest(args[0], self.commands) or " 'dlapps --help' lists them."
            ctx.fail(f"There is no command '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)


@click.group("dlapps", cls=Face, context_settings={"max_content_width": 100})
@click.version_option(package_name="dlapps")
def cli() -> None:
    """Train, understand and ship vision and sequence models, offline and on a laptop."""


for command in (
    caption, classify, detect, generate, evaluate, report, export, serve, models, demo
):  # fmt: skip
    cli.add_command(command)
