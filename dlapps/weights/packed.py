"""Models that this project has trained, packed into small files that come with it."""

from pathlib import Path
from typing import Any

import numpy as np

from dlapps.errors import UserError
from dlapps.states import read_state, write_state

FOLDER = Path(__file__).parent


def pack(
    path: Path, config: dict[str, Any], weights: list[np.ndarray], about: dict[str, Any]
) -> None:
    """Writes a model with its weights in half precision.

    Args:
        path: The file; its name ends in `.npz`.
        config: What its class is made from.
        weights: As `get_weights` returns them.
        about: How it was made, such as the command.
    """
    halves = [each.astype(np.float16) if each.dtype == np.float32 else each for each in weights]
    write_state(path, {"config": config, "weights": halves, "about": about})


def unpacked(name: str) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Returns the config and the weights of a model that comes with the suite, in float32.

    Raises:
        UserError: If its file is damaged.
    """
    path = FOLDER / f"{name}.npz"
    try:
        kept = read_state(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is damaged. Install dlapps anew.") from error
    halves = kept["weights"]
    weights = [each.astype(np.float32) if each.dtype == np.float16 else each for each in halves]
    return kept["config"], weights
