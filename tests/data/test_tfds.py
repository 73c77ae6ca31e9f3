import io
from typing import ClassVar

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from dlapps.data.tfds import labelled_pictures, texts
from dlapps.errors import UserError


@pytest.fixture
def mocked(tmp_path):
    """Datasets of made-up rows, without their files."""
    with tfds.testing.mock_data(num_examples=3, data_dir=str(tmp_path / "none")):
        yield


@pytest.fixture
def kept_here(tmp_path, monkeypatch):
    """Datasets are made in a folder of their own."""
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path))


class Verses(tfds.core.GeneratorBasedBuilder):
    """A dataset of texts; a split of it has none."""

    VERSION = tfds.core.Version("1.0.0")
    code_path = None  # Nothing is downloaded, so there are no checksums to look for.
    LINES: ClassVar = {"train": ["Zwölf", "Äpfel", "日本"], "test": ["Ende"], "rest": [""]}

    def _info(self):
        features = {"number": tfds.features.Scalar(np.int64), "line": tfds.features.Text()}
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, downloads):
        return {split: self._generate_examples(split) for split in self.LINES}

    def _generate_examples(self, split):
        for number, line in enumerate(self.LINES[split]):
            yield number, {"number": number, "line": line}


def refusal(name):
    with pytest.raises(UserError) as caught:
        labelled_pictures(name)
    return str(caught.value)


@pytest.mark.usefixtures("mocked")
@pytest.mark.parametrize("name", ["mnist", "cifar10", "tf_flowers"])
def test_pictures_come_encoded_with_the_index_of_their_label(name):
    called, labels, splits = labelled_pictures(name)
    info = tfds.builder(name).info
    assert called == name
    assert labels == info.features["label"].names
    assert set(splits) == set(info.splits)
    for rows in splits.values():
        assert len(rows) == 3
        for data, label in rows:
            assert 0 <= label < len(labels)
            with Image.open(io.BytesIO(data)) as image:
                assert min(image.size) > 0


@pytest.mark.usefixtures("mocked")
def test_a_config_is_part_of_the_name_of_the_run():
    called, *_ = labelled_pictures("cmaterdb/bangla")
    assert called == "cmaterdb-bangla"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        pytest.param("tf_flower", " Did you mean 'tf_flowers'?", id="near"),
        pytest.param("mnits", " Did you mean 'mnist'?", id="swapped"),
        pytest.param("no_such_thing_at_all", "", id="far"),
    ],
)
def test_a_name_that_is_none_is_refused_with_the_nearest(name, hint):
    message = f"tfds:{name}: TensorFlow Datasets has no such dataset."
    assert refusal(name) == message + hint


def test_a_config_that_is_none_is_refused_in_one_line():
    message = refusal("tf_flowers/klingon")
    assert message.startswith("tfds:tf_flowers/klingon: ")
    assert "\n" not in message


def test_a_version_that_is_none_is_refused():
    assert "9.9.9" in refusal("mnist:9.9.9")


@pytest.mark.usefixtures("mocked")
def test_a_dataset_without_pictures_is_refused():
    message = refusal("imdb_reviews")
    assert message.startswith("tfds:imdb_reviews has no 'image' and 'label'; it holds ")
    assert "text" in message


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param(ConnectionError("no route\nto host"), "no route", id="network"),
        pytest.param(OSError(28, "No space left"), r"\[Errno 28\] No space left", id="disk"),
        pytest.param(TimeoutError(), "TimeoutError", id="silent"),
    ],
)
def test_a_download_that_fails_is_told_in_one_line(monkeypatch, capfd, tmp_path, error, words):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path))
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(UserError, match=f"tfds:mnist could not be downloaded: {words}. It needs a"):
        labelled_pictures("mnist")
    note = capfd.readouterr().err
    assert note.startswith("Downloading tfds:mnist (")
    assert note.endswith(f" to {tmp_path}/mnist/3.0.1\n")


@pytest.mark.usefixtures("kept_here")
def test_the_texts_of_each_split_are_joined_by_a_blank_line():
    assert texts("verses") == ("verses", {"train": "Zwölf\n\nÄpfel\n\n日本", "test": "Ende"})


@pytest.mark.usefixtures("kept_here")
def test_texts_are_downloaded_once(capfd):
    first = texts("verses")
    assert "Downloading tfds:verses (" in capfd.readouterr().err
    assert texts("verses") == first
    assert "Downloading" not in capfd.readouterr().err


@pytest.mark.usefixtures("mocked")
def test_a_dataset_without_text_is_refused():
    with pytest.raises(UserError, match="tfds:mnist has no text; it holds image, label"):
        texts("mnist")


def test_a_dataset_of_texts_that_is_none_is_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"no such dataset\. Did you mean 'tiny_shakespeare'\?"):
        texts("tiny_shakespear")


def test_texts_that_cannot_be_downloaded_are_told_in_one_line(monkeypatch, capfd, tmp_path):
    def fail(*_, **__):
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path))
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(UserError, match="tfds:tiny_shakespeare could not be downloaded: no route"):
        texts("tiny_shakespeare")
    assert capfd.readouterr().err.startswith("Downloading tfds:tiny_shakespeare (")


@pytest.mark.parametrize("name", ["mnist", "tiny_shakespeare"])
def test_what_is_needed_to_check_a_download_is_installed(name):
    assert tfds.builder_cls(name).url_infos
