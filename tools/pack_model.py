"""Packs the model of a run into a file that comes with the suite.

Command: python tools/pack_model.py RUN NAME
"""

import dataclasses
import importlib
import shlex
import sys
from pathlib import Path

import keras

from dlapps import backbones, runs
from dlapps.weights import packed


def main(folder: str, name: str) -> None:
    """Writes dlapps/weights/NAME.npz."""
    record = runs.load(folder).record
    model = importlib.import_module(f"dlapps.apps.{record['app']}.model").load_model(folder)
    about = {
        "command": command_of(record),
        "figures": record["figures"],
        "versions": record["versions"],
    }
    config = {
        k: v for k, v in model.get_config().items() if k not in ("name", "dtype", "trainable")
    }
    path = Path(packed.FOLDER, f"{name}.npz")
    packed.pack(path, config, weights_of(model), about)
    sys.stdout.write(f"{path}: {path.stat().st_size / 1e6:.1f} MB\n")


def weights_of(model: keras.Model) -> list:
    """Returns the weights to keep: not those of a backbone that is as it was pretrained."""
    name = getattr(model, "backbone", None)
    if name is None:
        return model.get_weights()
    layers = {layer.name: layer for layer in backbones.pretrained(name).network.layers}
    own = {id(weight) for weight in model.network.weights}
    for layer in model.network.layers:
        for weight, before in zip(
            layer.get_weights(), layers[layer.name].get_weights(), strict=True
        ):
            if (weight != before).any():
                return model.get_weights()
    return [keras.ops.convert_to_numpy(w) for w in model.weights if id(w) not in own]


def command_of(record: dict) -> str:
    """Returns the command that made a run: its data, and the options that are not the default."""
    config = importlib.import_module(f"dlapps.apps.{record['app']}.config").Config()
    data = record["dataset"]["data"]
    names = [Path(name).name for name in ([data] if isinstance(data, str) else data)]
    usual = dataclasses.asdict(config)
    words = ["dlapps", record["app"], f"--{record['mode']}", *names]
    for name, value in record["options"].items():
        if name != "run" and name in usual and value != usual[name]:
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return shlex.join(words)


if __name__ == "__main__":
    main(*sys.argv[1:3])
