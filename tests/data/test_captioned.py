import json

import numpy as np
import pytest
import tensorflow_datasets
from PIL import Image

from dlapps.data import tfds
from dlapps.data.captioned import read_captioned
from dlapps.data.words import words
from dlapps.errors import UserError


@pytest.fixture
def folder(tmp_path):
    """A folder with pictures a.jpg to d.jpg in images/."""
    (tmp_path / "images").mkdir()
    for name in "abcd":
        picture(tmp_path / "images" / f"{name}.jpg")
    return tmp_path


def picture(path):
    Image.new("RGB", (8, 8)).save(path)


def tokens(folder, *rows):
    text = "".join(f"{name}#{k}\t{caption}\n" for name, k, caption in rows)
    (folder / "Flickr8k.token.txt").write_text(text)


ROWS = [("a.jpg", 0, "A dog runs ."), ("a.jpg", 1, "A dog ."), ("b.jpg", 0, "A cat ."),
        ("c.jpg", 0, "A man ."), ("d.jpg", 0, "A boat .")]  # fmt: skip


def captions(data):
    _, splits, _ = read_captioned(str(data))
    return {
        split: {each.name.rpartition("/")[2]: [*each.captions] for each in pictures}
        for split, pictures in splits.items()
    }


def test_reads_a_token_file_with_its_split_lists(folder):
    tokens(folder, *ROWS)
    (folder / "Flickr_8k.trainImages.txt").write_text("a.jpg\nb.jpg\n")
    (folder / "Flickr_8k.devImages.txt").write_text("c.jpg\n")
    (folder / "Flickr_8k.testImages.txt").write_text("d.jpg\n")
    expected = {
        "train": {"a.jpg": ["A dog runs .", "A dog ."], "b.jpg": ["A cat ."]},
        "validation": {"c.jpg": ["A man ."]},
        "test": {"d.jpg": ["A boat ."]},
    }
    assert captions(folder) == expected
    assert captions(folder / "Flickr8k.token.txt") == expected
    name, _, leftovers = read_captioned(str(folder))
    assert name == folder.name
    assert leftovers.notes() == []


def test_without_split_lists_all_is_to_learn_from(folder):
    tokens(folder, *ROWS)
    assert [*captions(folder)] == ["train"]


def coco(path, names):
    images = [{"id": k, "file_name": name} for k, (name, _) in enumerate(names)]
    told = [
        {"image_id": k, "id": 10 * k + j, "caption": text}
        for k, (_, texts) in enumerate(names)
        for j, text in enumerate(texts)
    ]
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": told}))


def test_reads_annotations_of_coco_in_the_folders_they_come_in(tmp_path):
    for name in ("train2017/1.jpg", "val2017/2.jpg"):
        (tmp_path / name).parent.mkdir()
        picture(tmp_path / name)
    coco(tmp_path / "annotations/captions_train2017.json", [("1.jpg", ["A dog.", "One dog."])])
    coco(tmp_path / "annotations/captions_val2017.json", [("2.jpg", ["A cat."])])
    expected = {"train": {"1.jpg": ["A dog.", "One dog."]}, "validation": {"2.jpg": ["A cat."]}}
    assert captions(tmp_path) == expected
    own = tmp_path / "annotations/captions_train2017.json"
    assert captions(own) == {"train": expected["train"]}


def test_reads_karpathys_json(folder):
    content = {"images": [
        {"filename": "a.jpg", "split": "train", "sentences": [{"raw": "A dog."}]},
        {"filename": "b.jpg", "split": "restval", "sentences": [{"tokens": ["a", "cat"]}]},
        {"filename": "c.jpg", "filepath": "", "split": "val", "sentences": [{"raw": "A man."}]},
        {"filename": "d.jpg", "split": "test", "sentences": [{"raw": "A boat."}]},
    ]}  # fmt: skip
    (folder / "dataset_flickr8k.json").write_text(json.dumps(content))
    assert captions(folder) == {
        "train": {"a.jpg": ["A dog."], "b.jpg": ["a cat"]},
        "validation": {"c.jpg": ["A man."]},
        "test": {"d.jpg": ["A boat."]},
    }


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('a.jpg,"A dog, brown"\nb.jpg,A cat\n', id="plain"),
        pytest.param('image,caption\na.jpg,"A dog, brown"\nb.jpg,A cat\n', id="kaggle"),
        pytest.param("Caption;Image\nA dog, brown;a.jpg\nA cat;b.jpg\n", id="other-order"),
        pytest.param("a.jpg\tA dog, brown\nb.jpg\tA cat\n", id="tabs"),
        pytest.param('\ufeffimage,caption\r\n\r\na.jpg,"A dog, brown"\r\nb.jpg,A cat', id="mark"),
    ],
)
def test_reads_tables(folder, text):
    (folder / "captions.csv").write_bytes(text.encode())
    assert captions(folder) == {"train": {"a.jpg": ["A dog, brown"], "b.jpg": ["A cat"]}}


def test_a_table_may_say_the_split(folder):
    (folder / "captions.csv").write_text(
        "image,caption,split\na.jpg,A dog,train\nb.jpg,A cat,dev\n"
    )
    assert captions(folder) == {"train": {"a.jpg": ["A dog"]}, "validation": {"b.jpg": ["A cat"]}}


def test_reads_tensorflow_datasets(monkeypatch):
    features = tensorflow_datasets.features.FeaturesDict(
        {
            "image": tensorflow_datasets.features.Image(),
            "captions": tensorflow_datasets.features.Sequence({"text": np.str_}),
        }
    )
    row = {"image": b"jpeg", "captions": {"text": np.array([b"a dog", b" ", b"one dog"], object)}}

    class Builder:
        class info:  # noqa: N801
            splits = ("train", "val")

        def as_dataset(self, split, decoders):
            return [row]

    Builder.info.features = features
    monkeypatch.setattr(tfds, "builder_of", lambda name: Builder())
    monkeypatch.setattr(tfds, "prepare", lambda builder, name: None)
    monkeypatch.setattr(tensorflow_datasets, "as_numpy", lambda rows: rows)
    name, splits, _ = read_captioned("tfds:coco_captions/2014")
    assert name == "coco_captions-2014"
    assert {split: rows[0].captions for split, rows in splits.items()} == {
        "train": ("a dog", "one dog"),
        "validation": ("a dog", "one dog"),
    }
    assert splits["train"][0].source == b"jpeg"


def test_the_sample_speaks_of_digits():
    name, splits, leftovers = read_captioned("sample")
    assert name == "sample"
    assert {*splits} == {"train", "validation", "test"}
    told = {word for each in splits["train"] for text in each.captions for word in words(text)}
    assert {"three", "left", "of", "small", "large", "above", "digits"} <= told
    assert leftovers.notes() == []


def test_what_cannot_be_used_is_counted_and_named(folder):
    picture(folder / "images/lonely.jpg")
    tokens(folder, *ROWS, ("gone.jpg", 0, "A ghost ."), ("a.jpg", 2, "  "), ("e.jpg", 0, "x"))
    (folder / "Flickr_8k.trainImages.txt").write_text("a.jpg\nb.jpg\nc.jpg\ngone.jpg\nwho.jpg\n")
    (folder / "Flickr_8k.devImages.txt").write_text("d.jpg\n")
    _, splits, leftovers = read_captioned(str(folder))
    assert [len(part) for part in splits.values()] == [3, 1]
    assert leftovers.notes() == [
        "1 picture with captions does not exist: gone.jpg.",
        "1 picture has no caption: lonely.jpg.",
        "1 caption is empty, of a.jpg.",
        "1 name in the split lists belongs to no caption: who.jpg in Flickr_8k.trainImages.txt.",
        "1 picture with captions stands in no split list: e.jpg.",
    ]


def test_many_are_counted_and_the_first_named(folder):
    tokens(folder, *ROWS, *((f"no{k}.jpg", 0, "x y") for k in range(5)))
    _, _, leftovers = read_captioned(str(folder))
    assert leftovers.notes() == [
        "5 pictures with captions do not exist: no0.jpg, no1.jpg, no2.jpg and 2 more."
    ]


def test_a_picture_of_coco_without_captions_is_named(tmp_path):
    picture(tmp_path / "1.jpg")
    picture(tmp_path / "2.jpg")
    coco(tmp_path / "captions.json", [("1.jpg", ["A dog."]), ("2.jpg", [])])
    _, _, leftovers = read_captioned(str(tmp_path / "captions.json"))
    assert leftovers.notes() == ["1 picture has no caption: 2.jpg."]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("captions.csv", "", "holds no rows. Write one image,caption a line"),
        ("captions.csv", "caption,colour\nA dog,red\n", "line 1: no column 'image' among"),
        ("captions.csv", "image,caption\na.jpg\n", "line 2: an image and a caption are needed"),
        ("captions.csv", "image,caption,split\na.jpg,A dog,half\n", "split 'half' is not train"),
        (
            "captions.csv",
            "x.jpg,A dog\n",
            "holds no picture with a caption. 1 picture with captions",
        ),
        ("captions.json", "{", "captions.json cannot be read"),
        ("captions.json", '{"a": 1}', "holds no captions: neither COCO's"),
        ("captions.json", "[1]", "holds no captions: neither COCO's"),
        ("Flickr8k.token.txt", "a.jpg#0\tA dog\nhello\n", "line 2: a picture, #, a number, a tab"),
    ],
)
def test_bad_files_are_named_with_the_place(folder, name, text, said):
    (folder / name).write_text(text)
    with pytest.raises(UserError, match="(?s)" + said.replace("(", r"\(")):
        read_captioned(str(folder / name))


def test_a_picture_in_two_split_lists_is_refused(folder):
    tokens(folder, *ROWS)
    (folder / "Flickr_8k.trainImages.txt").write_text("a.jpg\nb.jpg\n")
    (folder / "Flickr_8k.devImages.txt").write_text("a.jpg\n")
    with pytest.raises(UserError, match=r"names a\.jpg, which stands in the list of another split"):
        read_captioned(str(folder))


def test_a_folder_without_captions_is_refused(folder):
    with pytest.raises(UserError, match="holds no captions: no Flickr8k"):
        read_captioned(str(folder))
    with pytest.raises(UserError, match="does not exist"):
        read_captioned(str(folder / "nowhere"))
