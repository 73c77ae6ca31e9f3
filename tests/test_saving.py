import io
import json
import resource
import zipfile

import h5py
import keras
import numpy as np
import pytest

from dlapps import runs, saving
from dlapps.errors import UserError


@keras.saving.register_keras_serializable(package="dlapps-tests")
class Small(keras.Model):
    def __init__(self, units=2, labels=(), **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.labels = list(labels)
        self.dense = keras.layers.Dense(units, dtype=self.dtype_policy)

    def build(self, rows_shape):
        self.dense.build(rows_shape)

    def call(self, rows):
        return self.dense(rows)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "labels": self.labels}


ROWS = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


@pytest.fixture
def model():
    model = Small(5)
    model.build((None, 3))
    return model


def refusal(name, **built_in):
    with pytest.raises(UserError) as caught:
        saving.load(name, Small, built_in)
    return str(caught.value)


def test_a_saved_model_says_what_the_model_said(model, tmp_path):
    saving.save(model, tmp_path / "a.keras")
    loaded = saving.load("a.keras", Small, {})
    assert loaded.units == 5
    np.testing.assert_array_equal(loaded(ROWS), model(ROWS))
    assert [path.name for path in tmp_path.iterdir()] == ["a.keras"]


def test_what_is_saved_again_is_built_once_until_its_config_changes(model, tmp_path, monkeypatch):
    built, plain = [], Small.build
    monkeypatch.setattr(Small, "build", lambda self, shape: (built.append(1), plain(self, shape)))
    for number in range(3):
        model.set_weights([np.full_like(each, number) for each in model.get_weights()])
        saving.save(model, tmp_path / "a.keras")
    assert len(built) == 1
    model.labels.append("more")
    saving.save(model, tmp_path / "a.keras")
    assert len(built) == 2
    loaded = saving.load("a.keras", Small, {})
    assert loaded.labels == ["more"]
    np.testing.assert_array_equal(loaded(ROWS), model(ROWS))


def test_a_full_disk_is_told_and_leaves_the_model_before(model, tmp_path):
    saving.save(model, tmp_path / "a.keras")
    before = (tmp_path / "a.keras").read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        with pytest.raises(UserError, match=r"a\.keras cannot be written: File too large\."):
            saving.save(model, tmp_path / "a.keras")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert (tmp_path / "a.keras").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.keras"]


def test_what_training_needs_is_not_saved(model, tmp_path):
    model.compile("adam", "mse")
    model.fit(ROWS, np.zeros((4, 5)), verbose=0)
    saving.save(model, tmp_path / "a.keras")
    names = []
    with zipfile.ZipFile("a.keras") as archive:
        assert not json.loads(archive.read("config.json")).get("compile_config")
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights:
            weights.visit(names.append)
    assert any("dense" in name for name in names)
    assert not any("optimizer" in name for name in names)


def test_a_run_folder_stands_for_its_model(model, tmp_path):
    run = runs.create("classify", "rows", "mine")
    saving.save(model, run.model)
    np.testing.assert_array_equal(saving.load("mine", Small, {})(ROWS), model(ROWS))


def test_a_built_in_model_is_made_by_its_name(model, tmp_path):
    assert saving.load("small", Small, {"small": lambda: model}) is model
    (tmp_path / "small").mkdir()  # A dataset may be called so, too; only a run counts first.
    assert saving.load("small", Small, {"small": lambda: model}) is model
    (tmp_path / "small" / "run.json").write_text('{"app": "classify"}')
    with pytest.raises(UserError, match="small holds no model"):
        saving.load("small", Small, {"small": lambda: model})


def test_a_name_that_is_none_is_refused_with_the_nearest(model):
    message = refusal("smal", small=lambda: model)
    assert message.startswith("There is no model 'smal'. Did you mean 'small'? Give a run folder,")
    assert refusal("no/where") == "no/where does not exist."
    assert refusal("none.keras") == "none.keras does not exist."


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"text", id="text"),
        pytest.param(b"PK\x03\x04", id="no-zip"),
        pytest.param(b"\x89HDF\r\n\x1a\n", id="hdf5"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path, data):
    (tmp_path / "a.keras").write_bytes(data)
    assert refusal("a.keras") == "a.keras is not a model that dlapps saved, or it is damaged."


@pytest.mark.parametrize("part", ["config.json", "model.weights.h5"])
def test_a_model_without_one_of_its_parts_is_refused(model, tmp_path, part):
    saving.save(model, tmp_path / "whole.keras")
    with zipfile.ZipFile("whole.keras") as whole, zipfile.ZipFile("a.keras", "w") as other:
        for name in whole.namelist():
            if name != part:
                other.writestr(name, whole.read(name))
    assert "is not a model that dlapps saved" in refusal("a.keras")


def test_a_model_of_another_kind_is_refused(tmp_path):
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    other.save(tmp_path / "a.keras")
    assert refusal("a.keras") == "a.keras holds a Sequential, not the Small needed."


def altered(path, config):
    """Writes a copy of a model file with another config."""
    with zipfile.ZipFile("whole.keras") as whole, zipfile.ZipFile(path, "w") as other:
        for name in whole.namelist():
            data = json.dumps(config) if name == "config.json" else whole.read(name)
            other.writestr(name, data)


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(
            {"module": "subprocess", "class_name": "Popen", "config": {"args": ["touch", "ran"]}},
            id="subprocess",
        ),
        pytest.param(
            {"module": "builtins", "class_name": "function", "config": "exec"}, id="function"
        ),
        pytest.param(
            {"module": "os", "class_name": "system", "config": {"command": "touch ran"}}, id="os"
        ),
    ],
)
def test_nothing_that_a_file_asks_for_is_run(model, tmp_path, config):
    saving.save(model, tmp_path / "whole.keras")
    altered("a.keras", {"registered_name": None, **config})
    refusal("a.keras")
    assert not (tmp_path / "ran").exists()


def test_a_lambda_is_not_loaded(tmp_path):
    layers = [keras.Input((3,)), keras.layers.Lambda(lambda x: x + 1)]
    keras.Sequential(layers).save(tmp_path / "a.keras")
    assert "is not a model that dlapps saved" in refusal("a.keras")
