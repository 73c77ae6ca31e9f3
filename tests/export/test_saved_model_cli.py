"""What TensorFlow's own command line says to an export, where there is neither Keras nor dlapps."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dlapps.apps.detect import serving
from dlapps.export import ask, formats
from tests.apps.detect.scenes import ColourDetector, painted
from tests.graphs.files import saved

ALONE = f"""
import sys
sys.path.append({str(Path(ask.__file__).parent)!r})
import ask
ask.do_without("keras", "keras_cv", "dlapps")
from tensorflow.python.tools import saved_model_cli
saved_model_cli.main()
assert not {{"keras", "dlapps"}} & set(sys.modules)
"""


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    folder = tmp_path_factory.mktemp("colours") / "1"
    formats.savedmodel(folder, ColourDetector(), serving, None)
    return folder


def told(*words):
    words = [sys.executable, "-P", "-c", ALONE, *map(str, words)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_shows_what_goes_in_and_out(export):
    shown = told("show", "--dir", export, "--all")
    for words in ("signature_def['serving_default']", "signature_def['arrays']"):
        assert words in shown
    assert "inputs['images'] tensor_info:\n        dtype: DT_STRING" in shown
    assert "outputs['labels'] tensor_info:\n        dtype: DT_STRING" in shown


def test_it_runs_on_pictures(export, tmp_path):
    box = [40, 30, 120, 90]
    picture = painted((160, 120), [box], ["red"])
    files = [saved(picture, "JPEG", quality=95), saved(painted((90, 90), [], []), "JPEG")]
    np.savez(tmp_path / "pictures.npz", images=np.array(files))
    given = f"images={tmp_path / 'pictures.npz'}[images]"
    words = ["--tag_set", "serve", "--signature_def", "serving_default", "--inputs", given]
    told("run", "--dir", export, *words, "--outdir", tmp_path)
    assert np.load(tmp_path / "count.npy").tolist() == [1, 0]
    assert np.load(tmp_path / "labels.npy", allow_pickle=True)[0, 0] == b"red"
    np.testing.assert_allclose(np.load(tmp_path / "boxes.npy")[0, 0], box, atol=8)
