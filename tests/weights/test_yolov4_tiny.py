import sys

import pytest

from dlapps.errors import UserError
from dlapps.weights import yolov4_tiny
from dlapps.weights.darknet import read_names


def test_the_files_are_the_known_ones_and_their_package_is_not_imported():
    paths = [yolov4_tiny.file(name) for name in yolov4_tiny.SHA256]
    assert [path.name for path in paths] == [*yolov4_tiny.SHA256]
    assert yolov4_tiny.PACKAGE not in sys.modules
    assert len(read_names(paths[-1])) == 80


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        pytest.param(
            "SHA256", {"coco.names": "0" * 64}, "not the file that .* 0.1.2", id="another"
        ),
        pytest.param("FOLDER", "cfgs/none", "not the file that .* 0.1.2 carries", id="no-file"),
        pytest.param("PACKAGE", "no_such_package", "no_such_package is missing. Inst", id="none"),
    ],
)
def test_another_file_is_refused(monkeypatch, name, value, words):
    monkeypatch.setattr(yolov4_tiny, name, value)
    with pytest.raises(UserError, match=words):
        yolov4_tiny.file("coco.names")
