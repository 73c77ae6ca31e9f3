"""Files that once upset a reader, cut down."""

import json
import struct

import numpy as np
import pytest

from tests.fuzz.readers import ARCHIVE, CFG, COCO, RECORD, VOC, YAML
from tests.weights.checkpoints import Stored, checkpoint

LONG = b"n" * 300
ENDLESS = b'"' + b"z" * 200_000
DEEP = b"[" * 200_000
MANY_DIGITS = b"1" * 5000


def _aliases():
    """Returns a list of lists of lists that is small only as long as nobody writes it out."""
    rows = ["train: images", "names: [cat, dog]", "a: &a [x]"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        rows.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]")
    return "\n".join([*rows, "nc: *i", ""]).encode()


def _record(**changes):
    return json.dumps({**json.loads(RECORD), **changes}).encode()


def _packed(method=0, flags=0):
    """Returns an archive that says its parts are packed in another way, or encrypted."""
    data, start = bytearray(ARCHIVE), 0
    while (start := data.find(b"PK\x01\x02", start)) >= 0:
        place = struct.unpack_from("<I", data, start + 42)[0]
        struct.pack_into("<HH", data, start + 8, flags, method)
        struct.pack_into("<HH", data, place + 6, flags, method)
        start += 4
    return bytes(data)


FINDINGS = [
    pytest.param("text", b"ab", id="utf-16-without-a-mark"),
    pytest.param("table", b"path,label\n" + ENDLESS, id="table-quotation-mark"),
    pytest.param("table", LONG + b",cat\n", id="table-name"),
    pytest.param("table", b"path,label\na.png," + MANY_DIGITS, id="table-number"),
    pytest.param("caption-table", b"image,caption\n" + ENDLESS, id="captions-quotation-mark"),
    pytest.param("caption-table", b"image,caption\n" + LONG + b",A cat", id="captions-name"),
    pytest.param("caption-tokens", LONG + b"#0\tA cat .\n", id="tokens-name"),
    pytest.param("caption-lists", b"a" * 2000 + b"\n", id="list-long-message"),
    pytest.param("caption-json", DEEP, id="captions-depth"),
    pytest.param("picture-list", LONG, id="list-name"),
    pytest.param("page", b"<img src='" + LONG + b"'>", id="page-name"),
    pytest.param("page", b"<img src='//['>", id="page-address"),
    pytest.param("yolo-yaml", YAML.replace(b"cat", b'"\\U99999999"'), id="yaml-character"),
    pytest.param("yolo-yaml", _aliases(), id="yaml-aliases"),
    pytest.param(
        "coco",
        COCO.replace('"cat"', '"a\\nb"').replace('"dog"', '"a\\nb"').encode(),
        id="coco-line",
    ),
    pytest.param("voc", VOC.encode().replace(b">24<", b">" + MANY_DIGITS + b"<", 1), id="voc-size"),
    pytest.param("voc", VOC.encode().replace(b"cat", MANY_DIGITS), id="voc-number"),
    pytest.param("record", DEEP, id="record-depth"),
    pytest.param("record", _record(app="cook"), id="record-app"),
    pytest.param("record", _record(app=["detect"]), id="record-apps"),
    pytest.param("archive", _packed(method=99), id="archive-method"),
    pytest.param("archive", _packed(flags=1), id="archive-encrypted"),
    pytest.param("darknet-cfg", CFG.replace(b"size=3", b"size=3000"), id="cfg-size"),
    pytest.param("checkpoint", b"\x80\x05\x96\0\0\0\x30\0\0\0\0.", id="checkpoint-array"),
    pytest.param("checkpoint", b"\x80\x02ca\x0cb\ncd\n.", id="checkpoint-name"),
    pytest.param("checkpoint", b"\x80\x02K\x01r\xff\xff\xff\x0f.", id="checkpoint-memo"),
    pytest.param(
        "checkpoint",
        checkpoint(
            {str(k): Stored("0", np.zeros(4, "<f4"), (1000, 1000), (0, 0)) for k in range(60)}
        ),
        id="checkpoint-growth",
    ),
    pytest.param(
        "body",
        b'{"inputs": {"times": [1], "x": ["' + b"s" * 40_000 + b'"' + b',""' * 4000 + b"]}}",
        id="body-texts",
    ),
]
