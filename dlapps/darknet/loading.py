"""Loads a detector from the files that Darknet keeps it in."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from dlapps.darknet.detector import DarknetDetector, num_classes
from dlapps.errors import UserError, reason
from dlapps.weights import darknet as darknet_files


def load_darknet(cfg: str | Path, weights: str | Path, names: str | Path) -> DarknetDetector:
    """Loads a detector from the files of Darknet.

    Args:
        cfg: Describes the network.
        weights: What it has learnt.
        names: What it finds, a class a line.

    Raises:
        UserError: If one of them is something else, or they do not belong together.
    """
    with _blamed(names):
        labels = darknet_files.read_names(names)
    with _blamed(cfg):
        text = darknet_files.read_cfg(cfg)
        sections = darknet_files.sections_of(text)
        known = num_classes(sections)
    with _blamed(names):
        if known != len(labels):
            raise ValueError(f"it names {len(labels)} classes; {cfg} is for {known}.")
    with _blamed(weights):
        darknet_files.check_length(sections, weights)
    with _blamed(cfg):
        model = DarknetDetector(labels, text)
        model.build((None, None, None, 3))
    with _blamed(weights):
        darknet_files.load_weights(model.network, weights)
    return model


@contextlib.contextmanager
def _blamed(path: str | Path) -> Iterator[None]:
    """Says which file is at fault."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: {reason(error)}.") from error
