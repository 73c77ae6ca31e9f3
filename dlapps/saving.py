"""Saves and loads trained models, whole and safely."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar
from zipfile import BadZipFile

import keras

from dlapps import runs
from dlapps.errors import UserError, nearest, reason
from dlapps.files import replacement

Model = TypeVar("Model", bound=keras.Model)


def save(model: keras.Model, path: Path) -> None:
    """Writes a model to a `.keras` file, whole or not at all, without its optimizer's state.

    Raises:
        UserError: If that is not possible.
    """
    twin = type(model).from_config(model.get_config())
    twin.build_from_config(model.get_build_config())
    twin.set_weights(model.get_weights())
    try:
        with replacement(path) as beside:
            twin.save(beside)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {reason(error)}.") from error


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
    if not path.exists():
        if name in built_in:
            return built_in[name]()
        if path.parent == Path() and path.suffix != ".keras":
            raise UserError(
                f"There is no model '{name}'.{nearest(name, built_in)} "
                "Give a run folder, a .keras file or a name that 'dlapps models' lists."
            )
    if path.suffix != ".keras" or path.is_dir():
        path = runs.load(name).model
    if not path.is_file():
        raise UserError(f"{name} does not exist.")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, OSError, KeyError, TypeError, AttributeError, BadZipFile) as error:
        raise UserError(f"{path} is not a model that dlapps saved, or it is damaged.") from error
    if not isinstance(model, kind):
        raise UserError(f"{path} holds a {type(model).__name__}, not the {kind.__name__} needed.")
    return model
