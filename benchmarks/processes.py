"""Runs commands in processes of their own and times them."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

DLAPPS = (sys.executable, "-m", "dlapps")
IMPORT_KERAS = (sys.executable, "-c", "import keras")


def timed(
    command: Sequence[str], folder: Path, standard_input: str | None = None
) -> tuple[float, str]:
    """Runs a command in a folder that also holds its cache, with TensorFlow as Keras' backend.

    Args:
        command: The program and its arguments.
        folder: The working folder; `dlapps` keeps computed features in `cache` below it.
        standard_input: What the command reads.

    Returns:
        Wall seconds from start to exit, and what it wrote to standard output.

    Raises:
        ClickException: If it ends with another status than 0; shows the end of its errors.
    """
    environment = {
        **os.environ,
        "DLAPPS_CACHE": str(folder / "cache"),
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    started = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment, input=standard_input, capture_output=True, text=True
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise click.ClickException(
            f"{' '.join(command[:6])} ended with status {done.returncode}:\n{done.stderr[-2000:]}"
        )
    return seconds, done.stdout
