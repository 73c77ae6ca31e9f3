import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from dlapps import saving
from dlapps.apps.generate.model import load_model
from dlapps.errors import UserError
from dlapps.serve import models
from tests.apps.generate.tiny import cycling


def foreign(*more):
    inputs = keras.Input((2,), name="x")
    y = keras.layers.Dense(1, kernel_initializer="ones", name="y")(inputs)
    for layer in more:
        y = layer(y)
    return keras.Model(inputs, y)


def test_serves_what_an_app_has_saved(tmp_path):
    saving.save(cycling("abc\n"), tmp_path / "letters.keras")
    found = models.load([str(tmp_path / "letters.keras")], trust=False)
    model = found["letters"]
    inputs = {
        "prompts": np.array([b"a"], object), "length": np.array([3], np.int32),
        "temperature": np.array([1.0], np.float32), "seed": np.array([1]),
    }  # fmt: skip
    assert model.signatures["serving_default"].call(inputs)["texts"].tolist() == [b"bc\n"]
    assert model.example["instances"][0].keys() == inputs.keys()


def test_two_of_one_name_need_another(tmp_path):
    saving.save(cycling("abc\n"), tmp_path / "a.keras")
    path = str(tmp_path / "a.keras")
    with pytest.raises(UserError, match="Two models are called a"):
        models.load([path, path], trust=False)
    assert [*models.load([path, f"b={path}"], trust=False)] == ["a", "b"]


def test_a_savedmodel_is_loaded_only_if_it_is_trusted(tmp_path):
    module = tf.Module()
    module.double = tf.function(
        lambda x: {"y": 2 * x}, input_signature=[tf.TensorSpec((None,), tf.float32, "x")]
    )
    tf.saved_model.save(module, str(tmp_path / "twice" / "3"), signatures=module.double)
    with pytest.raises(UserError, match=r"may read and write files.*--trust"):
        models.load([str(tmp_path / "twice")], trust=False)
    model = models.load([str(tmp_path / "twice")], trust=True)["twice"]
    assert model.version == 3
    found = model.signatures["serving_default"].call({"x": np.array([1, 2], np.float32)})
    assert found["y"].tolist() == [2, 4]


def test_a_foreign_keras_file_goes_from_numbers_to_numbers(tmp_path):
    foreign().save(tmp_path / "sum.keras")
    model = models.load([str(tmp_path / "sum.keras")], trust=False)["sum"]
    (found,) = model.signatures["serving_default"].call({"x": np.ones((3, 2), np.float32)}).values()
    assert found.ravel().tolist() == [2, 2, 2]


def test_code_in_a_file_is_loaded_only_if_it_is_trusted(tmp_path):
    foreign(keras.layers.Lambda(lambda x: x * 2)).save(tmp_path / "code.keras")
    with pytest.raises(UserError, match=r"holds a Lambda layer.*--trust"):
        models.load([str(tmp_path / "code.keras")], trust=False)
    model = models.load([str(tmp_path / "code.keras")], trust=True)["code"]
    (found,) = model.signatures["serving_default"].call({"x": np.ones((1, 2), np.float32)}).values()
    assert found.ravel().tolist() == [4]


def test_a_legacy_file_is_loaded_only_if_it_is_trusted(tmp_path):
    (tmp_path / "old.h5").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"old\.h5 is a legacy file.*--trust"):
        models.load([str(tmp_path / "old.h5")], trust=False)
    with pytest.raises(UserError, match=r"old\.h5 is a legacy file"):
        load_model(str(tmp_path / "old.h5"))


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "C:\\evil", "..\\evil"])
def test_an_archive_that_leads_out_of_its_folder_is_refused(tmp_path, name):
    saving.save(cycling("abc\n"), tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras", "a") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"evil")
    with pytest.raises(UserError, match="leads out of its folder"):
        models.load([str(tmp_path / "a.keras")], trust=True)


def test_an_archive_that_would_fill_the_disk_is_refused(tmp_path):
    saving.save(cycling("abc\n"), tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("assets/zeros", bytes(30_000_000))
    with pytest.raises(UserError, match="would grow more than 100 times"):
        models.load([str(tmp_path / "a.keras")], trust=True)
