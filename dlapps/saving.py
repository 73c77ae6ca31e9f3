"""Saves and loads trained models, whole and safely."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeVar
from weakref import WeakKeyDictionary
from zipfile import BadZipFile, ZipFile

import keras

from dlapps import runs
from dlapps.errors import UserError, nearest, reason
from dlapps.files import replacement

Model = TypeVar("Model", bound=keras.Model)
# Of the models that were saved: what they were made from, and the twin that was written.
_TWINS: WeakKeyDictionary[keras.Model, tuple[str, keras.Model]] = WeakKeyDictionary()
LEGACY = (".h5", ".hdf5")
# Weights hardly shrink; a file that grows so many times is made to fill the disk.
MOST_GROWTH = 100


def save(model: keras.Model, path: Path) -> None:
    """Writes a model to a `.keras` file, whole or not at all, without its optimizer's state.

    Raises:
        UserError: If that is not possible.
    """
    twin = _twin(model)
    twin.set_weights(model.get_weights())
    try:
        with replacement(path) as beside:
            twin.save(beside)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {reason(error)}.") from error


def _twin(model: keras.Model) -> keras.Model:
    """Returns a model like it that is not compiled, made once: a training saves many times."""
    config, shapes = model.get_config(), model.get_build_config()
    # As text: the lists of a config may be the model's own, and change with it.
    makings = json.dumps(keras.saving.serialize_keras_object([config, shapes]))
    known = _TWINS.get(model)
    if known is None or known[0] != makings:
        twin = type(model).from_config(config)
        twin.build_from_config(shapes)
        known = _TWINS[model] = (makings, twin)
    return known[1]


def load(name: str, kind: type[Model], built_in: Mapping[str, Callable[[], Model]]) -> Model:
    """Loads a model; nothing that its file says is executed.

    Args:
        name: A run folder, a `.keras` file, or the name of a built-in model.
        kind: The class it must be of.
        built_in: What makes each built-in model, by name.

    Raises:
        UserError: If it is none of these, or of another class.
    """
    path = Path(name)
    if name in built_in and not (path / runs.RECORD).is_file():
        return built_in[name]()  # Also where a dataset beside is called so, such as coco/.
    if not path.exists() and path.parent == Path() and path.suffix != ".keras":
        raise UserError(
            f"There is no model '{name}'.{nearest(name, built_in)} "
            "Give a run folder, a .keras file or a name that 'dlapps models' lists."
        )
    if path.suffix in LEGACY and path.is_file():
        raise UserError(
            f"{path} is a legacy file, which may hold code that runs when it is loaded. The apps "
            "read .keras files; 'dlapps serve --trust' serves it as numbers in, numbers out."
        )
    if path.suffix != ".keras" or path.is_dir():
        path = runs.load(name).model
    if not path.is_file():
        raise UserError(f"{name} does not exist.")
    check_archive(path)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Of a file's making, there is nothing that a layer may not raise.
        raise UserError(f"{path} is not a model that dlapps saved, or it is damaged.") from error
    if not isinstance(model, kind):
        raise UserError(f"{path} holds a {type(model).__name__}, not the {kind.__name__} needed.")
    return model


def check_archive(path: Path) -> None:
    """Checks that unpacking a `.keras` file would write nothing outside its folder, nor fill it.

    Raises:
        UserError: If it would, or the file is no archive.
    """
    try:
        with ZipFile(path) as archive:
            members = archive.infolist()
    except (OSError, BadZipFile, ValueError, NotImplementedError) as error:
        raise UserError(f"{path} is not a model that dlapps saved, or it is damaged.") from error
    for member in members:
        for place in (PurePosixPath(member.filename), PureWindowsPath(member.filename)):
            if place.is_absolute() or place.drive or ".." in place.parts:
                raise UserError(
                    f"{path} holds '{member.filename}', which leads out of its folder. It is not "
                    "loaded."
                )
    if sum(member.file_size for member in members) > MOST_GROWTH * path.stat().st_size:
        raise UserError(f"{path} would grow more than {MOST_GROWTH} times. It is not loaded.")
