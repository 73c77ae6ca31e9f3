"""Loads Keras models that are none of ours, from numbers to numbers."""

import json
import zipfile
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from dlapps import runs, saving
from dlapps.errors import UserError, reason


def is_keras(path: Path) -> bool:
    """Returns whether a file holds a Keras model that no app of ours has saved."""
    if not path.is_file():
        return False
    if path.suffix in saving.LEGACY:
        return True
    if path.suffix != ".keras":
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            module = json.loads(archive.read("config.json")).get("module") or ""
    except (OSError, ValueError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is not a Keras model, or it is damaged.") from error
    return runs.app_of_module(str(module)) is None


def keras_function(path: Path, trust: bool) -> Any:
    """Loads a model, and returns a concrete function from its inputs to its outputs, by name.

    Args:
        path: A `.keras` or a legacy file.
        trust: Whether what may hold code is loaded: legacy files and Lambda layers.

    Raises:
        UserError: If it may hold code, or cannot be loaded.
    """
    if path.suffix in saving.LEGACY and not trust:
        raise UserError(
            f"{path} is a legacy file, which may hold code that runs when it is loaded. If you "
            "trust who made it, say --trust."
        )
    if path.suffix == ".keras":
        saving.check_archive(path)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=not trust)
    except (ValueError, OSError, KeyError, TypeError, AttributeError) as error:
        if "ambda" in str(error) and not trust:
            raise UserError(
                f"{path} holds a Lambda layer, which is code that would run here. If you trust who "
                "made it, say --trust."
            ) from error
        raise UserError(f"{path} cannot be loaded: {reason(error)[:200]}.") from error
    if not getattr(model, "inputs", None):
        raise UserError(f"{path} does not say what its inputs are, so it cannot be served.")
    return _function(model)


def _function(model: keras.Model) -> Any:
    specs = [
        tf.TensorSpec(tensor.shape, tensor.dtype, tensor.name) for tensor in model.inputs
    ]  # fmt: skip
    names = [tensor.name for tensor in model.outputs]

    def call(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        found = model(list(tensors) if len(tensors) > 1 else tensors[0], training=False)
        return dict(zip(names, keras.tree.flatten(found), strict=True))

    return tf.function(call, autograph=False, input_signature=specs).get_concrete_function()
