import struct

import keras
import numpy as np
import pytest

from dlapps.darknet import network
from dlapps.weights.darknet import (
    Section,
    load_weights,
    read_cfg,
    read_names,
    read_weights,
    sections_of,
)
from tests.darknet_models import net, section, write_weights

ODD = """\ufeff# Made by hand.
[net]
width = 6 4  ; Darknet drops spaces wherever they are.
height=64\r
; another comment

[convolutional]
 filters=4
filters=8
activation = leaky   # as usual
my_own = thing
[convolutional]
[yolo]
anchors = 10,14,  23,27,
"""


def test_sections_are_read_as_darknet_reads_them(tmp_path):
    (tmp_path / "odd.cfg").write_text(ODD, encoding="utf-8")
    assert sections_of(read_cfg(tmp_path / "odd.cfg")) == [
        Section("net", 2, {"width": "64", "height": "64"}),
        Section("convolutional", 7, {"filters": "4", "activation": "leaky", "my_own": "thing"}),
        Section("convolutional", 12),
        Section("yolo", 13, {"anchors": "10,14,23,27,"}),
    ]


def test_comments_may_be_in_any_encoding(tmp_path):
    (tmp_path / "a.cfg").write_bytes("[net]\n# größe\nwidth=32".encode("latin-1"))
    assert sections_of(read_cfg(tmp_path / "a.cfg")) == [Section("net", 1, {"width": "32"})]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"\x89PNG\r\n\0\0", "it is no text", id="picture"),
        pytest.param(b"", r"does not begin with a section \[net\]", id="empty"),
        pytest.param(b"[yolo]\n", r"does not begin with a section \[net\]", id="no-net"),
        pytest.param(b"\nwidth=4\n[net]", r"line 2: a section such as \[net\]", id="option-first"),
        pytest.param(
            b"[net]\nwidth 4", "line 2: 'width4' is neither a section nor", id="no-equals"
        ),
        pytest.param(b"[net\n", "line 1: a section such as", id="half-a-bracket"),
    ],
)
def test_what_is_no_cfg_is_refused(tmp_path, data, words):
    (tmp_path / "a.cfg").write_bytes(data)
    with pytest.raises(ValueError, match=words):
        read_cfg(tmp_path / "a.cfg")


def test_options_are_numbers_or_texts_with_defaults():
    one = Section("yolo", 3, {"mask": "1,2", "scale": "1.05", "name": "x", "n": "7", "a": "1,2,"})
    assert one.wholes("mask") == [1, 2]
    assert one.whole("n", 1) == 7
    assert one.whole("none", 4) == 4
    assert one.number("scale", 1.0) == 1.05
    assert one.numbers("a") == [1, 2]
    assert one.numbers("none") == []
    assert one.text("name", "y") == "x"
    assert one.text("none", "y") == "y"


@pytest.mark.parametrize(
    ("read", "words"),
    [
        pytest.param(lambda s: s.whole("word", 1), r"line 3, \[yolo\]: word=x is no", id="word"),
        pytest.param(lambda s: s.whole("half", 1), "half=0.5 is no whole number", id="half"),
        pytest.param(lambda s: s.whole("many", 1), "many=1,2 is not one number", id="many"),
        pytest.param(lambda s: s.whole("less", 1, 0), "less must be at least 0, got", id="less"),
        pytest.param(lambda s: s.number("nan", 1), "nan=nan is no number", id="nan"),
        pytest.param(lambda s: s.numbers("none"), "none= is no number", id="none"),
        pytest.param(lambda s: s.number("many", 1), "many=1,2 is not one number", id="one"),
    ],
)  # fmt: skip
def test_options_of_another_kind_are_refused(read, words):
    options = {"word": "x", "half": "0.5", "many": "1,2", "less": "-1", "nan": "nan", "none": ""}
    with pytest.raises(ValueError, match=words):
        read(Section("yolo", 3, options))


def test_names_are_the_lines_that_are_not_blank(tmp_path):
    (tmp_path / "a.names").write_bytes("\ufeffcat\r\n big dog \n\n\nKühe\n".encode())
    assert read_names(tmp_path / "a.names") == ["cat", "big dog", "Kühe"]


@pytest.mark.parametrize("data", [b"", b"\n \n", b"\xff\xd8\xff\0", b"a\0b"])
def test_what_holds_no_names_is_refused(tmp_path, data):
    (tmp_path / "a.names").write_bytes(data)
    with pytest.raises(ValueError, match="no text with the name of a class in every line"):
        read_names(tmp_path / "a.names")


@pytest.fixture
def small():
    layer = {"filters": 4, "size": 3, "pad": 1, "activation": "leaky"}
    text = net() + section("convolutional", batch_normalize=1, **layer)
    return network(sections_of(text + section("convolutional", **{**layer, "size": 1})))


def test_weights_are_in_darknets_order(tmp_path, small):
    norm, kernel, biases, last = 4 * 4, 4 * 3 * 9, 4, 4 * 4
    values = np.arange(norm + kernel + biases + last, dtype="<f4") + 1
    path = tmp_path / "a.weights"
    path.write_bytes(struct.pack("<3iq", 0, 2, 0, 7) + values.tobytes())
    load_weights(small, path)
    layer = small.get_layer("convolutional_0_norm")
    for k, weight in enumerate((layer.beta, layer.gamma, layer.moving_mean, layer.moving_variance)):
        np.testing.assert_array_equal(weight, values[4 * k : 4 * k + 4])
    first = small.get_layer("convolutional_0").kernel
    for out, channel, row, column in np.ndindex(4, 3, 3, 3):
        place = norm + ((out * 3 + channel) * 3 + row) * 3 + column
        assert first[row, column, channel, out] == values[place]
    np.testing.assert_array_equal(
        small.get_layer("convolutional_1").bias, values[norm + kernel :][:4]
    )
    np.testing.assert_array_equal(
        np.ravel(np.transpose(small.get_layer("convolutional_1").kernel, (3, 2, 0, 1))),
        values[-16:],
    )


@pytest.mark.parametrize(
    ("version", "header"),
    [pytest.param((0, 1, 0), 16, id="old"), pytest.param((0, 2, 5), 20, id="new"),
     pytest.param((1, 0, 0), 20, id="newest")],
)  # fmt: skip
def test_the_number_of_images_seen_has_the_size_of_its_version(tmp_path, small, version, header):
    count = write_weights(tmp_path / "a.weights", small, version=version)
    assert (tmp_path / "a.weights").stat().st_size == header + 4 * count
    assert len(read_weights(tmp_path / "a.weights")) == count == small.count_params()
    load_weights(small, tmp_path / "a.weights")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(lambda data: data[:-4], "it is 4 bytes too short", id="a-weight-less"),
        pytest.param(lambda data: data[:-3], "it is 3 bytes too short", id="cut-in-a-weight"),
        pytest.param(lambda data: data + b"\0" * 9, "it is 9 bytes too long", id="more"),
        pytest.param(lambda data: data[:19], "it has 19 bytes, fewer than a header", id="header"),
        pytest.param(lambda data: b"", "it has 0 bytes", id="empty"),
    ],
)
def test_a_file_of_another_length_is_refused(tmp_path, small, change, words):
    path = tmp_path / "a.weights"
    count = write_weights(path, small)
    path.write_bytes(change(path.read_bytes()))
    before = keras.tree.map_structure(np.array, small.get_weights())
    with pytest.raises(ValueError, match=words) as caught:
        load_weights(small, path)
    assert "header" in words or "0 bytes" in words or f"wants {count} weights" in str(caught.value)
    for one, other in zip(before, small.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
