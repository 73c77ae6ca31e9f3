"""The readers of files and requests that come from elsewhere, each with what it takes."""

import contextlib
import io
import json
import struct
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dlapps import runs, saving
from dlapps.apps.generate.model import CharRNN
from dlapps.darknet.loading import load_darknet
from dlapps.data.alt_texts import read_pages
from dlapps.data.boxed import read_boxed
from dlapps.data.captioned import read_captioned
from dlapps.data.inputs import picture_inputs
from dlapps.data.labelled import read_labelled
from dlapps.data.pictures import UnreadablePictureError, header_of, read_picture, size_of
from dlapps.data.texts import Text
from dlapps.errors import UserError
from dlapps.report.history import load_history, load_layers
from dlapps.serve import bodies
from dlapps.states import read_state, write_state
from dlapps.weights.pytorch import read_pytorch
from tests.darknet import models
from tests.data.boxed_files import coco_json, voc_xml
from tests.serve.echo import lengths, sums
from tests.weights.checkpoints import Stored, checkpoint

APPS = ("caption", "classify", "detect", "generate")
REFUSALS = (UserError, UnreadablePictureError, bodies.RefusedError)
NUMBERS = (b"0", b"-1", b"2", b"1e400", b"nan", b"9" * 20, b"9" * 5000, b"65536", b"1000000000")
MARKUP = (b"", b"\0", b"\n", b'"', b"\xff", b"\xef\xbb\xbf", b"x" * 300, b"y" * 200_000, b"\x1b[2J")
JSON = (
    *(b"null", b"true", b"[]", b"{}", b"[[[[1]]]]", b'""', b'"\\ud800"', b'"a\\nb\\u0000"'),
    *(b"[" * 5000, b'"id"', b'"' + b"n" * 300 + b'"'),
)


@dataclass(frozen=True)
class Reader:
    """What reads a kind of file.

    Args:
        read: Takes an empty folder and the bytes.
        seeds: Files that it takes.
        words: Pieces of such files, and what upsets them.
        refusals: What it raises for a file that it does not take.
    """

    read: Callable[[Path, bytes], object]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...] = (*NUMBERS, *MARKUP)
    refusals: tuple[type[Exception], ...] = REFUSALS


def picture(kind="PNG", **options):
    """Returns a file of a small picture."""
    file = io.BytesIO()
    gradient = np.arange(24 * 16 * 3, dtype=np.uint8).reshape(16, 24, 3)
    image = Image.fromarray(gradient)
    if options.pop("palette", False):
        image = image.convert("P")
    image.save(file, kind, **options)
    return file.getvalue()


PNG = picture()


def _file(name, read, *around):
    """Returns what writes bytes to a file, others to those around it, and reads it."""

    def read_bytes(folder, data):
        for other, content in around:
            (folder / other).parent.mkdir(parents=True, exist_ok=True)
            (folder / other).write_bytes(content)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        return read(folder / name)

    return read_bytes


def _from(read, parents=0):
    """Returns what gives a path, or a folder above it, to a reader of words."""
    return lambda path: read(str([path, *path.parents][parents]))


# A convolution and what decodes it: one anchor, two classes.
CFG = "\n".join([
    models.net(32), models.conv(32, 3, 2),
    models.section("convolutional", filters=7, activation="linear"),
    models.section("yolo", mask="0", anchors="10,14", classes=2, num=1),
]).encode()  # fmt: skip
NAMES = b"cat\ndog\n"
WEIGHTS = struct.pack("<3iq", 0, 2, 5, 0) + np.ones(2 * 4 + 54 + 7 + 14, "<f4").tobytes()


def _darknet(folder):
    return load_darknet(folder / "a.cfg", folder / "a.weights", folder / "a.names")


def _of_darknet(name):
    files = {"a.cfg": CFG, "a.names": NAMES, "a.weights": WEIGHTS}
    del files[name]
    return _file(name, lambda path: _darknet(path.parent), *files.items())


COCO = coco_json([(1, "a.png", (24, 16))], [(1, 3, [1, 2, 8, 9], 0), (1, 7, [3, 3, 4, 4], 1)])
VOC = voc_xml("a.png", (24, 16), [("cat", (1, 2, 8, 9)), ("dog", (3, 3, 9, 8), True)])
YAML = b"path: .\ntrain: images\nval: &a [images]\nnc: 2\nnames: {0: cat, 1: dog}\n"
YOLO = b"0 0.5 0.5 0.25 0.25\n1 0.1 0.1 0.2 0.1 0.3 0.3\n"
TOKENS = b"a.png#0\tA cat .\na.png#1\tA cat sits .\nb.png#0\tA dog .\n"
TABLE = b"path,label,split\na.png,cat,train\na.png,dog,val\n"
CAPTIONS = b'image,caption\na.png,A cat\na.png,"A dog, too"\n'
COCO_CAPTIONS = json.dumps({
    "images": [{"id": 1, "file_name": "a.png"}],
    "annotations": [{"image_id": 1, "id": 5, "caption": "A cat."}],
}).encode()  # fmt: skip
KARPATHY = json.dumps({"images": [
    {"filepath": "", "filename": "a.png", "split": "train", "sentences": [{"raw": "A cat."}]},
    {"filename": "a.png", "split": "restval", "sentences": [{"tokens": ["a", "dog"]}]},
]}).encode()  # fmt: skip
RECORD = json.dumps({
    "app": "detect", "state": "finished", "options": {"epochs": 3}, "figures": {"map50": 0.5},
    "dataset": {"data": "sample", "train": 16, "validation": 16}, "mode": "train",
}).encode()  # fmt: skip
HISTORY = b"phase,epoch,loss,val_loss\nhead,1,2.5,2.6\nhead,2,1.5,\nfine,1,1.1,nan\n"
LAYERS = b"phase,epoch,layer,update_ratio_mean,dead\nhead,1,conv,0.001,0.5\nhead,1,logits,0.1,\n"
PAGE = b"# A\n\n![](a.png) <img src='b.png'> <img src=a.png alt=''>\n```\n![](c.png)\n```\n"
ENCODINGS = (
    "auto",
    "utf-8",
    "utf-16",
    "utf-16-le",
    "utf-32",
    "latin-1",
    "utf-7",
    "shift_jis",
    "hz",
)


def _pictures(data):
    read_picture(data, 8)
    return header_of(data), size_of(data)


def _texts(data):
    for encoding in ENCODINGS:
        for form in ("none", "NFC", "NFKD"):
            with contextlib.suppress(UserError):
                "".join(Text("a.txt", data, encoding, form).pieces())


def _record(path):
    assert runs.app_of(str(path.parent)) in APPS


def _archive(path):
    runs.app_of(str(path))
    return saving.load(str(path), CharRNN, {})


def _configured(folder, data):
    """Reads a model whose archive is whole, but says otherwise what kind of model it is."""
    with (
        zipfile.ZipFile(io.BytesIO(ARCHIVE)) as old,
        zipfile.ZipFile(folder / "m.keras", "w") as new,
    ):
        for name in old.namelist():
            new.writestr(name, data if name == "config.json" else old.read(name))
    return _archive(folder / "m.keras")


def _body(data):
    for signature in (sums(), lengths()):
        with contextlib.suppress(bodies.RefusedError):
            bodies.inputs(bodies.read(data), signature)


def _state():
    with tempfile.TemporaryDirectory() as folder:
        write_state(Path(folder, "s.npz"), {"epoch": 1, "weights": [np.arange(6.0)]})
        return Path(folder, "s.npz").read_bytes()


def _model():
    with tempfile.TemporaryDirectory() as folder:
        model = CharRNN("ab", units=2, depth=1)
        model.build((None, None))
        saving.save(model, Path(folder, "m.keras"))
        return Path(folder, "m.keras").read_bytes()


def _checkpoint():
    values = np.arange(12, dtype=np.float32)
    tensors = {"a": Stored("0", values, (3, 4), (4, 1)), "b": Stored("0", values, (2,), (1,), 3)}
    return checkpoint(tensors)


WHOLE_TEXTS = ("a ü\r\nb".encode(), "aü".encode("utf-16"), "\u30a2".encode("shift_jis"), b"+AGE-")
BODIES = (
    b'{"instances": ["a", {"b64": "YQ=="}]}',
    b'{"inputs": {"x": [[1, 2.5, 3]], "times": [2]}}',
)

ARCHIVE = _model()
CONFIG = zipfile.ZipFile(io.BytesIO(ARCHIVE)).read("config.json")
READERS = {
    "darknet-cfg": Reader(
        _of_darknet("a.cfg"),
        (CFG,),
        (
            *NUMBERS,
            *MARKUP,
            b"[yolo]",
            b"[region]",
            b"[route]",
            b"[shortcut]",
            b"[maxpool]",
            b"[upsample]",
            b"[reorg]",
            b"size",
            b"stride",
            b"padding",
            b"groups",
            b"from",
            b"layers",
            b"group_id",
            b"activation",
            b"mish",
            b"batch_normalize",
            b"anchors",
            b"mask",
        ),
    ),
    "darknet-names": Reader(_of_darknet("a.names"), (NAMES,)),
    "darknet-weights": Reader(_of_darknet("a.weights"), (WEIGHTS,)),
    "coco": Reader(
        _file("c.json", _from(read_boxed), ("a.png", PNG)),
        (COCO.encode(),),
        (*NUMBERS, *MARKUP, *JSON, b"bbox", b"image_id", b"supercategory", b'"none"', b"/", b".."),
    ),
    "voc": Reader(
        _file("d/Annotations/a.xml", _from(read_boxed, 2), ("d/JPEGImages/a.png", PNG)),
        (VOC.encode(), VOC.replace("<part>", "<part xmlns='u'>").encode()),
        (
            *NUMBERS,
            *MARKUP,
            b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
            b"&b;",
            b"&#0;",
            b"<object>",
            b"<?xml version='1.0' encoding='utf-7'?>",
            b"<?xml version='1.0' encoding='hex'?>",
            b"name",
            b"bndbox",
            b"<a>" * 5000,
            "\u0661".encode(),
            "\u00b2".encode(),
        ),
    ),
    "yolo-yaml": Reader(
        _file(
            "d/data.yaml", _from(read_boxed, 1), ("d/images/a.png", PNG), ("d/labels/a.txt", YOLO)
        ),
        (YAML, b"train: images\nnames: [cat, dog]\n"),
        (
            *NUMBERS,
            *MARKUP,
            b"&a",
            b"*a",
            b"!!python/object:os.system",
            b"!!int",
            b"<<",
            b"? ",
            b'"\\U99999999"',
            b"%YAML 9.9\n---\n",
            b"[" * 3000,
            b"\t",
            b"- ",
            b"|",
            b">",
            b": ",
            b"names: ["
            + b"".join(
                b"&%c [%s]," % (k, b",".join([b"*%c" % (k - 1)] * 9)) if k > 97 else b"&a [x],"
                for k in range(97, 110)
            )
            + b"*m]",
        ),
    ),
    "yolo-labels": Reader(
        _file(
            "d/labels/a.txt", _from(read_boxed, 2), ("d/images/a.png", PNG), ("d/data.yaml", YAML)
        ),
        (YOLO,),
    ),
    "table": Reader(
        _file("t.csv", _from(read_labelled), ("a.png", PNG)),
        (TABLE, b"a.png;1\na.png;10\n"),
        (*NUMBERS, *MARKUP, b",", b";", b"\r", b"test", b'"' + b"z" * 200_000, b"..", b"/"),
    ),
    "caption-tokens": Reader(
        _file("x.token.txt", _from(read_captioned, 1), ("a.png", PNG), ("b.png", PNG)),
        (TOKENS,),
        (*NUMBERS, *MARKUP, b"#", b"\t", b"/", b".."),
    ),
    "caption-lists": Reader(
        _file(
            "Flickr_8k.trainImages.txt",
            _from(read_captioned, 1),
            ("a.png", PNG),
            ("x.token.txt", TOKENS),
        ),
        (b"a.png\n",),
    ),
    "caption-table": Reader(
        _file("captions.csv", _from(read_captioned), ("a.png", PNG)),
        (CAPTIONS, b"a.png|A cat\n"),
        (*NUMBERS, *MARKUP, b",", b"|", b"\t", b'"' + b"z" * 200_000, b"/"),
    ),
    "caption-json": Reader(
        _file("captions_train.json", _from(read_captioned), ("a.png", PNG)),
        (COCO_CAPTIONS, KARPATHY),
        (*NUMBERS, *MARKUP, *JSON, b"filepath", b"sentences", b"split", b"annotations", b'"/"'),
    ),
    "picture-list": Reader(
        _file("l.txt", lambda path: picture_inputs([str(path)]), ("a.png", PNG)),
        (b"a.png\n# b\n",),
    ),
    "page": Reader(
        _file("p.md", lambda path: read_pages([str(path)]), ("a.png", PNG)),
        (PAGE,),
        (
            *NUMBERS,
            *MARKUP,
            b"<img ",
            b"src=",
            b"![](",
            b"//[",
            b"http://[a",
            b"<!--",
            b"`" * 4000,
            b"&#9999999999;",
            b"%00",
            b"<img src=" * 2000,
            b"![" * 4000,
        ),
    ),
    "record": Reader(
        _file("r/run.json", _record, ("r/model.keras", b"")),
        (RECORD,),
        (*NUMBERS, *MARKUP, *JSON, b'"app"', b'"..x"'),
    ),
    "history": Reader(
        _file("h/history.csv", lambda path: load_history(path.parent)),
        (HISTORY,),
    ),
    "layers": Reader(
        _file(
            "h/layers.csv",
            lambda path: load_layers(path.parent, load_history(path.parent)),
            ("h/history.csv", HISTORY),
        ),
        (LAYERS,),
    ),
    "state": Reader(_file("s.npz", read_state), (_state(),), refusals=(ValueError, OSError)),
    "picture": Reader(
        lambda _, data: _pictures(data),
        (
            PNG,
            picture("JPEG"),
            picture("GIF"),
            picture("WEBP"),
            picture("BMP"),
            picture("TIFF"),
            picture("PPM"),
            picture(palette=True),
            picture("TIFF", compression="tiff_lzw"),
        ),
    ),
    "text": Reader(lambda _, data: _texts(data), WHOLE_TEXTS),
    "checkpoint": Reader(
        _file("c.pth", read_pytorch),
        (_checkpoint(),),
        (
            *MARKUP,
            b"\x95",
            b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
            b"r\xff\xff\xff\x0f",
            b"0",
            b"b",
            b"R",
            b"}",
            b"(",
            b"t",
            b"Q",
            b"cos\nsystem\n",
            b"\x8a\xff",
            b"I9999\n",
            b"S'a'\n",
        ),
        refusals=(ValueError, OSError),
    ),
    "archive": Reader(
        _file("m.keras", _archive),
        (_model(),),
        (*NUMBERS, *MARKUP, b"PK", b"\x00\x00\x00\x80", b'"units": 100000', b"Lambda"),
    ),
    "config": Reader(
        # Without large numbers: a layer takes the memory that it asks for.
        _configured,
        (CONFIG,),
        (
            *MARKUP,
            *JSON,
            b"0",
            b"-1",
            b"1.5",
            b"Lambda",
            b"Dense",
            b"keras",
            b"lstm",
            b"builtins",
            b"subprocess",
            b"__lambda__",
            b"__numpy__",
            b"class_name",
            b"config",
        ),
    ),
    "body": Reader(
        lambda _, data: _body(data),
        BODIES,
        (*NUMBERS, *MARKUP, *JSON, b"NaN", b'["' + b"s" * 100_000 + b'"' + b',""' * 20_000 + b"]"),
    ),
}


def attempt(reader, data):
    """Reads a file; what is refused must be so in one line."""
    said = "read"
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # As the command line does.
        try:
            reader.read(Path(folder), data)
        except reader.refusals as error:
            said = str(error)
    assert said.strip()
    assert len(said.splitlines()) == 1, said
    assert len(said) < 2000, said
