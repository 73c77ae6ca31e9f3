"""Packs the model of a run into a file that comes with the suite.

Command: python tools/pack_model.py RUN NAME
"""

import dataclasses
import shlex
import sys
from pathlib import Path

from dlapps import runs, saving
from dlapps.apps.generate.config import Config
from dlapps.apps.generate.model import CharRNN
from dlapps.weights import packed


def main(folder: str, name: str) -> None:
    """Writes dlapps/weights/NAME.npz."""
    run = runs.load(folder)
    model = saving.load(folder, CharRNN, {})
    record = run.record
    about = {
        "command": command_of(record),
        "figures": record["figures"],
        "versions": record["versions"],
    }
    config = {
        k: v for k, v in model.get_config().items() if k not in ("name", "dtype", "trainable")
    }
    path = Path(packed.FOLDER, f"{name}.npz")
    packed.pack(path, config, model.get_weights(), about)
    sys.stdout.write(f"{path}: {path.stat().st_size / 1e6:.1f} MB\n")


def command_of(record: dict) -> str:
    """Returns the command that made a run: its text, and the options that are not the default."""
    names = [Path(name).name for name in record["dataset"]["data"]]
    usual = dataclasses.asdict(Config())
    words = ["dlapps", record["app"], f"--{record['mode']}", *names]
    for name, value in record["options"].items():
        if name != "run" and name in usual and value != usual[name]:
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return shlex.join(words)


if __name__ == "__main__":
    main(*sys.argv[1:3])
