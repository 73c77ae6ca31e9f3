"""The models that a server answers with."""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dlapps import runs
from dlapps.errors import UserError, reason
from dlapps.export.write import name_of
from dlapps.serve import foreign
from dlapps.serve.signatures import Served, Signature, Spec
from dlapps.serving import DEFAULT


def load(words: Sequence[str], trust: bool, shown: bool = False) -> dict[str, Served]:
    """Loads models by name.

    Args:
        words: Runs, `.keras` files, built-in models, or folders with a SavedModel; `NAME=` before
            one names it.
        trust: Whether SavedModels, legacy files and layers with code may be loaded.
        shown: Whether people will use them on a page.

    Raises:
        UserError: If one cannot be loaded, or two have one name.
    """
    found: dict[str, Served] = {}
    for word in words:
        name, _, path = ("", "", word) if Path(word).exists() else word.rpartition("=")
        model = _load(path, name, trust, shown)
        if model.name in found:
            raise UserError(
                f"Two models are called {model.name}. Name one of them: NAME={path or word}"
            )
        found[model.name] = model
    return found


def _load(path: str, name: str, trust: bool, shown: bool) -> Served:
    if foreign.is_keras(Path(path)):
        signatures = {DEFAULT: _signature(foreign.keras_function(Path(path), trust))}
        return Served(name_of(path, name or None), 1, signatures, about="Keras model")
    saved = _savedmodel(Path(path))
    if saved is not None:
        if not trust:
            raise UserError(
                f"{path} is a SavedModel, whose graph may read and write files. If it is your own "
                "export, or you trust who made it, say --trust."
            )
        return _foreign(saved, name)
    app = runs.app_of(path)
    serving = importlib.import_module(f"dlapps.apps.{app}.serving")
    model = importlib.import_module(f"dlapps.apps.{app}.model").load_model(path)
    signatures = {
        each: _signature(function.get_concrete_function())
        for each, function in serving.signatures(model).items()
    }
    served = Served(
        name_of(path, name or None), 1, signatures, serving.refusal, serving.example(model), app,
        importlib.import_module(f"dlapps.apps.{app}.showing").shown(model) if shown else None,
    )  # fmt: skip
    # The first call of a function takes long; better now than when a client waits.
    for check in serving.checks(path, model, 1).each:
        if check.signature == DEFAULT:
            signatures[DEFAULT].call(check.inputs)
    return served


def _savedmodel(path: Path) -> Path | None:
    """Returns where the SavedModel of a folder lies, the newest version if it has several."""
    if not path.is_dir() or (path / runs.RECORD).is_file():
        return None
    numbered = [each for each in path.iterdir() if each.name.isdecimal()]
    places = [path, *sorted(numbered, key=lambda each: -int(each.name))]
    return next((each for each in places if (each / "saved_model.pb").is_file()), None)


def _foreign(path: Path, name: str) -> Served:
    version = int(path.name) if path.name.isdecimal() else 1
    place = path.resolve()
    try:
        loaded = tf.saved_model.load(str(path))
    except (OSError, ValueError, RuntimeError, tf.errors.OpError) as error:
        raise UserError(f"{path} is damaged: {reason(error)[:200]}.") from error
    signatures = {
        each: _signature(function, loaded)
        for each, function in loaded.signatures.items()
        if each != "__saved_model_init_op"
    }
    called = name or (place.parent.name if path.name.isdecimal() else place.name)
    return Served(name_of(called, name or None), version, signatures, about="SavedModel")


def _signature(function: Any, keep: Any = None) -> Signature:
    """Wraps a concrete function of named tensors; keeps `keep` alive with it."""
    arguments, named = function.structured_input_signature
    specs = {**{spec.name: spec for spec in arguments}, **named}
    names = [spec.name for spec in arguments]

    def call(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        tensors = {name: tf.constant(inputs[name], specs[name].dtype) for name in specs}
        first = [tensors.pop(name) for name in names]
        found = function(*first, **tensors)
        return {name: tensor.numpy() for name, tensor in found.items()}

    call.kept = keep  # type: ignore[attr-defined]
    outputs = function.structured_outputs
    return Signature(
        {name: _spec(spec) for name, spec in specs.items()},
        {name: _spec(tensor) for name, tensor in outputs.items()},
        call,
    )


def _spec(spec: Any) -> Spec:
    shape = () if spec.shape.rank is None else tuple(spec.shape)
    return Spec(np.dtype(spec.dtype.as_numpy_dtype), shape)
