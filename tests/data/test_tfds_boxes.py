from typing import ClassVar

import numpy as np
import pytest
import tensorflow_datasets as tfds

from dlapps.data.boxed import read_boxed
from dlapps.errors import UserError

SIZE = (64, 48)


class Pets(tfds.core.GeneratorBasedBuilder):
    """Pictures of cats and dogs, one of them a crowd, one of a class that is not told."""

    VERSION = tfds.core.Version("1.0.0")
    code_path = None  # Nothing is downloaded, so there are no checksums to look for.
    ROWS: ClassVar = {
        "train": [[("cat", (8, 6, 24, 30), False), ("dog", (32, 12, 64, 48), True)], []],
        "validation": [[("dog", (0, 0, 32, 24), False)]],
        "unsupervised": [[]],
    }

    def _info(self):
        thing = {
            "bbox": tfds.features.BBoxFeature(),
            "label": tfds.features.ClassLabel(names=["cat", "dog"]),
            "is_crowd": np.bool_,
        }
        features = {"image": tfds.features.Image(), "things": tfds.features.Sequence(thing)}
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, downloads):
        return {split: self._generate_examples(split) for split in self.ROWS}

    def _generate_examples(self, split):
        for number, row in enumerate(self.ROWS[split]):
            image = np.full((SIZE[1], SIZE[0], 3), 40 * number, np.uint8)
            things = [
                {
                    "bbox": tfds.features.BBox(
                        ymin=box[1] / SIZE[1],
                        xmin=box[0] / SIZE[0],
                        ymax=box[3] / SIZE[1],
                        xmax=box[2] / SIZE[0],
                    ),
                    "label": label,
                    "is_crowd": crowd,
                }
                for label, box, crowd in row
            ]
            yield number, {"image": image, "things": things}


class OnePet(tfds.core.GeneratorBasedBuilder):
    """Pictures with one box each, in another form where that is asked for."""

    VERSION = tfds.core.Version("1.0.0")
    code_path = None
    FORM: ClassVar = tfds.core.features.bounding_boxes.bb_utils.BBoxFormat.REL_YXYX

    def _info(self):
        features = {
            "image": tfds.features.Image(),
            "bbox": tfds.features.BBoxFeature(bbox_format=self.FORM),
            "label": tfds.features.ClassLabel(names=["cat"]),
        }
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, downloads):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        box = tfds.features.BBox(ymin=0.25, xmin=0.5, ymax=0.75, xmax=1.0)
        image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        yield 0, {"image": image, "bbox": box, "label": "cat"}


@pytest.fixture
def kept_here(tmp_path, monkeypatch):
    """Datasets are made in a folder of their own."""
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path))


def refusal(name):
    with pytest.raises(UserError) as caught:
        read_boxed(name)
    return str(caught.value)


@pytest.mark.usefixtures("kept_here")
def test_boxes_come_in_pixels_with_the_parts_of_the_dataset():
    found = read_boxed("tfds:pets")
    assert (found.name, found.labels) == ("pets", ["cat", "dog"])
    assert {split: len(rows) for split, rows in found.splits.items()} == {
        "train": 2,
        "validation": 1,
    }
    by_count = {len(example.boxes): example for example in found.splits["train"]}
    assert set(by_count) == {0, 2}
    np.testing.assert_allclose(by_count[2].boxes, [[8, 6, 24, 30], [32, 12, 64, 48]], atol=1e-3)
    assert by_count[2].labels.tolist() == [0, 1]
    assert by_count[2].crowd.tolist() == [False, True]
    assert by_count[2].size == SIZE
    assert isinstance(by_count[2].source, bytes)
    assert by_count[2].name.startswith("tfds:pets/train/")


@pytest.mark.usefixtures("kept_here")
def test_one_box_a_picture_is_read_too():
    (example,) = read_boxed("tfds:one_pet").splits["train"]
    np.testing.assert_allclose(example.boxes, [[32, 12, 64, 36]])


def test_boxes_in_another_form_are_refused(monkeypatch):
    monkeypatch.setattr(OnePet, "FORM", type(OnePet.FORM).XYWH)
    assert refusal("tfds:one_pet") == "tfds:one_pet gives boxes as XYWH; REL_YXYX is read."


def test_what_datasets_of_boxes_hold_is_found_by_its_kind(tmp_path):
    from dlapps.data.tfds_boxes import features_of

    with tfds.testing.mock_data(num_examples=1, data_dir=str(tmp_path / "none")):
        for name, group, label in (
            ("voc/2007", "objects", "label"),
            ("bccd", "objects", "label"),
            ("kitti", "objects", "type"),
        ):
            assert features_of(tfds.builder(name), name) == (group, label)


def test_a_dataset_without_boxes_is_refused_before_it_is_downloaded():
    message = refusal("tfds:mnist")
    assert message.startswith("tfds:mnist has no 'image' and 'objects' with 'bbox' and 'label'; it")


def test_a_name_that_is_none_is_refused_with_the_nearest():
    assert refusal("tfds:vocc").endswith("no such dataset. Did you mean 'voc'?")
