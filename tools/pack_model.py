"""Packs the model of a run into a file that comes with the suite.

Command: python tools/pack_model.py RUN NAME
"""

import sys
from pathlib import Path

from dlapps import runs, saving
from dlapps.apps.generate.model import CharRNN
from dlapps.weights import packed


def main(folder: str, name: str) -> None:
    """Writes dlapps/weights/NAME.npz."""
    run = runs.load(folder)
    model = saving.load(folder, CharRNN, {})
    about = {
        "command": sys.argv,
        "options": run.record["options"],
        "figures": run.record["figures"],
    }
    config = {
        k: v for k, v in model.get_config().items() if k not in ("name", "dtype", "trainable")
    }
    path = Path(packed.FOLDER, f"{name}.npz")
    packed.pack(path, config, model.get_weights(), about)
    sys.stdout.write(f"{path}: {path.stat().st_size / 1e6:.1f} MB\n")


if __name__ == "__main__":
    main(*sys.argv[1:3])
