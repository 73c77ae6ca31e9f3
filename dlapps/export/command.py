"""The command `dlapps export`."""

import click

from dlapps import terminal
from dlapps.options import NearChoice, Option

FORMATS = ("savedmodel", "onnx", "litert", "keras")


@click.command()
@click.argument("run")
@click.option(
    "--format", "format_", cls=Option, type=NearChoice(FORMATS), default="savedmodel",
    show_default=True, help="savedmodel is for TensorFlow and its server, with preprocessing and "
    "decoding inside; onnx and litert for other runtimes, the network alone; keras is one file.",
)  # fmt: skip
@click.option(
    "-o", "--output", cls=Option, section="Output", type=click.Path(file_okay=False), metavar="DIR",
    help="Where to put NAME/1.  [default: exports/FORMAT]",
)  # fmt: skip
@click.option("--name", cls=Option, help="What the model is called.  [default: after RUN]")
@click.option(
    "--quantize", cls=Option, is_flag=True,
    help="Compute with 8 bits, for onnx and litert: smaller, and on many machines faster. The "
    "accuracy that it costs is measured.",
)  # fmt: skip
@click.option(
    "--inputs", "count", cls=Option, type=click.IntRange(min=1), default=100, show_default=True,
    help="Real inputs to compare the export with the trained model on.",
)  # fmt: skip
@click.option(
    "--tolerance", cls=Option, type=click.FloatRange(min=0, min_open=True),
    help="How far a number may be off.  [default: 1e-4; 1e-3 for onnx and litert]",
)  # fmt: skip
def export(
    run: str, format_: str, output: str | None, name: str | None, quantize: bool, count: int,
    tolerance: float | None,
) -> None:  # fmt: skip
    """Write a model for other programs to run, and check that it answers the same.

    RUN is a run folder, a .keras file or the name of a built-in model. The export is loaded in a
    fresh process and compared with the trained model; if it differs, nothing is written.

    \b
    Examples:
      dlapps export runs/classify/flowers-1
      dlapps export shakespeare --format onnx
    """
    if quantize and format_ not in ("onnx", "litert"):
        raise click.UsageError("--quantize is for --format onnx or litert; the others keep floats.")
    from dlapps import runs

    app = runs.app_of(run)
    with terminal.quiet():
        from dlapps.export import write
    done = write.write(
        run, app, format_, output or f"exports/{format_}", name, quantize, count, tolerance
    )
    if done.left_out:
        terminal.skipped(done.left_out, cannot="be compared")
    terminal.note(f"Compared with the trained model on {done.source}:\n{done.table}")
    terminal.note(f"How to use it:  {done.folder / 'README.md'}")
    click.echo(done.folder)
