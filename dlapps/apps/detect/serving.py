"""What an exported detector answers, from picture files to boxes, and how that is checked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from dlapps import inference, runs
from dlapps.apps.detect.data import read_dataset
from dlapps.apps.detect.model import YOLODetector
from dlapps.apps.detect.predict import BATCH, Search, predict
from dlapps.boxes.agreement import agreement
from dlapps.boxes.matching import Found
from dlapps.darknet.detector import DarknetDetector
from dlapps.data import letterbox, samples
from dlapps.data.inputs import Input
from dlapps.data.pictures import Source, pictures_refused, read_picture
from dlapps.data.views import looked
from dlapps.graphs import letterboxing, pictures
from dlapps.held_out import held_out_of
from dlapps.layers.non_max_suppression import NonMaxSuppression
from dlapps.serving import DEFAULT, NUMERIC, Arrays, Check, Checks, Limits, Numeric

Detector = YOLODetector | DarknetDetector
USUAL = Search()
DECODED = (*pictures.FORMATS.values(), b"GIF8")
NOT_DECODED = "TensorFlow decodes no such file, but JPEG, PNG, WebP, BMP and GIF"
# Squares of so many pictures are asked about: what a network says to one, before anything is
# suppressed, takes megabytes.
MOST_SQUARES = 50
# A score nearer than this to the threshold, or to another, may fall on its other side.
HAIR = 2e-5
STRIDE = letterboxing.STRIDE
ON_A_HAIR = "two boxes are equally sure, or one is at the threshold, but for the fifth digit"
SHAKES = 4


def signatures(model: Detector) -> dict[str, Callable]:
    """Returns what the exported model answers, by the name of the signature.

    Returns:
        `serving_default`: from `images`, `(batch,)` bytes of files, to `boxes`, `(batch, most,
        4)`: left, top, right and bottom in pixels of each picture, upright; `scores` and
        `labels`, `(batch, most)`, the surest first; `count`, `(batch,)`, how many of these were
        found: zeros and empty texts are behind them. `arrays`: from `images`, `(batch, height,
        width, 3)` float32, 0 to 255, sides multiples of 32, to the same in pixels of these;
        `classes` are places in the list of labels, -1 behind the last, in place of `labels`.
    """
    network, suppression = _network(model), _suppression()
    names = tf.constant([*model.labels, ""])  # The last is for what is not there.
    most = USUAL.max_detections
    specs = [
        tf.TensorSpec((most, 4), tf.float32), tf.TensorSpec((most,), tf.float32),
        tf.TensorSpec((most,), tf.int32),
    ]  # fmt: skip

    def ask(images: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return suppression(*network(tf.cast(images, tf.float32)))

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None,), tf.string, "images")])
    def from_files(images):
        drawn = letterboxing.views(images, model.image_size, letterbox.GREY)
        boxes, *others = letterboxing.answers(drawn["images"], drawn["sides"], ask, specs)
        found = letterboxing.without_field(letterboxing.back(boxes, drawn), *others)
        classes = found.pop("classes")
        places = tf.where(classes < 0, len(model.labels), classes)
        return {**found, "labels": tf.gather(names, places)}

    @tf.function(autograph=False, input_signature=[_images(None)])
    def arrays(images):
        boxes, scores, classes = ask(images)
        count = tf.reduce_sum(tf.cast(classes >= 0, tf.int32), 1)
        return {"boxes": boxes, "scores": scores, "classes": classes, "count": count}

    return {DEFAULT: from_files, "arrays": arrays}


def numeric(model: Detector) -> Numeric:
    """Returns the network alone, from square `images` to all `boxes` and `scores`."""
    size = model.image_size
    about = {
        "labels": model.labels,
        "preprocessing": {
            "image_size": size,
            "grey": letterbox.GREY,
            "resample": "antialiased bilinear, as Pillow's",
            "steps": [
                "turn the picture upright as its EXIF note says; RGB; alpha over white",
                f"scale it so that its longer side is {size} pixels, and put it in the middle of "
                f"a square of {size} x {size} of the grey {letterbox.GREY}",
                "give the values from 0 to 255 as they are: normalising is inside",
                f"of `boxes`, in pixels of the square, drop those of a score below "
                f"{USUAL.confidence:g}, and class by class those that overlap a surer one by more "
                f"than {USUAL.iou:g} (intersection over union)",
                "take the margins off the rest, and scale them back",
            ],
        },
        "inputs": {"images": f"float32 (batch, {size}, {size}, 3)"},
        "outputs": {
            "boxes": "float32 (batch, cells, 4): left, top, right, bottom",
            "scores": f"float32 (batch, cells, {len(model.labels)}), as `labels`",
        },
    }
    return Numeric(_network(model, size), ["boxes", "scores"], about, True)


def checks(name: str, model: Detector, count: int) -> Checks:
    """Asks the trained model about real pictures.

    Args:
        name: What `load_model` took. Of a run the held-out pictures are asked about; else photos
            that come with the packages, and pieces of them.
        model: The trained model.
        count: Pictures to ask about at most.
    """
    where, sources = _sources(name, count)
    left_out: dict[str, str] = {}
    inputs = [*_inputs(sources, left_out)]
    network = inference.frozen(model.predictions, None)
    files, found = [], []
    for answer in predict(inputs, model, USUAL, left_out, many=len(inputs) > 1):
        view = looked(answer.input, model.image_size, None).views[0]
        if _is_steady(*network(view.image[None])):
            files.append(answer.input.source)
            found.append(Found(answer.boxes, answer.scores, answer.labels))
        else:
            left_out[answer.input.name] = ON_A_HAIR
    each = [_of_files(model, files, found), *_of_squares(model, files[:MOST_SQUARES])]
    return Checks(where, each, left_out)


def _of_files(model: Detector, files: Sequence[Source], found: Sequence[Found]) -> Check:
    most = USUAL.max_detections
    boxes = np.zeros((len(files), most, 4), np.float32)
    scores = np.zeros((len(files), most), np.float32)
    labels = np.full((len(files), most), b"", object)
    for row, one in enumerate(found):
        boxes[row, : len(one.boxes)] = one.boxes
        scores[row, : len(one.boxes)] = one.scores
        labels[row, : len(one.boxes)] = [model.labels[k].encode() for k in one.labels]
    count = np.array([len(one.boxes) for one in found], np.int32)
    expected = {"scores": scores, "boxes": boxes, "labels": labels, "count": count}
    # In the middle, for an array of texts alone would become one of texts of one length.
    images = np.array([*files, None], object)[:-1]
    return Check(DEFAULT, {"images": images}, expected, pixels=("boxes",), same=agreement)


def _of_squares(model: Detector, files: Sequence[Source]) -> list[Check]:
    size = model.image_size
    squares = [letterbox.letterboxed(read_picture(file), size, size)[0] for file in files]
    images = np.array(squares, np.uint8).reshape(-1, size, size, 3)
    ask = inference.frozen(model.predictions, size)
    # A few at once, as a prediction does.
    said = [ask(images[k : k + BATCH]) for k in range(0, len(images), BATCH)] or [ask(images)]
    boxes, scores = (np.concatenate(part) for part in zip(*said, strict=True))
    inputs = {"images": images.astype(np.float32)}
    every = {"scores": scores, "boxes": boxes}
    steady = [k for k in range(len(images)) if _is_steady(boxes[k : k + 1], scores[k : k + 1])]
    found = {"images": inputs["images"][steady]}
    kept = _kept(boxes[steady], scores[steady])
    kept["count"] = (kept["classes"] >= 0).sum(1).astype(np.int32)
    return [
        Check("arrays", found, kept, pixels=("boxes",), same=agreement),
        Check(NUMERIC, inputs, every, pixels=("boxes",), same=_same_of_all),
    ]


def _kept(boxes: np.ndarray, scores: np.ndarray) -> dict[str, np.ndarray]:
    """Returns what suppression leaves."""
    boxes, scores, classes = (each.numpy() for each in _suppression()(boxes, scores))
    return {"scores": scores, "boxes": boxes, "classes": classes}


def _is_steady(boxes: np.ndarray, scores: np.ndarray) -> bool:
    """Returns whether what is found stays the same if scores change in the fifth digit."""
    rng = np.random.default_rng(0)
    before = _kept(boxes, scores)
    for _ in range(SHAKES):
        after = _kept(boxes, scores + rng.uniform(-HAIR, HAIR, scores.shape).astype(np.float32))
        if any((before[name] != after[name]).any() for name in ("boxes", "classes")):
            return False
    return True


def _same_of_all(wanted: Arrays, got: Arrays) -> float:
    """Compares what is left of two answers of the network alone."""
    return agreement(*(_kept(each["boxes"], each["scores"]) for each in (wanted, got)))


def refusal(inputs: Mapping[str, np.ndarray], limits: Limits) -> str:
    """Returns why a request is not worth computing, nothing if it is.

    Args:
        inputs: By name.
        limits: What it may ask for at most.
    """
    images = inputs["images"]
    if images.dtype.kind == "O":
        return pictures_refused(images, limits.pixels)
    height, width = images.shape[1:3]
    if not height or not width or height % STRIDE or width % STRIDE:
        return f"images must have sides that are multiples of {STRIDE}, not {height} x {width}."
    return ""


def example(model: Detector) -> dict:
    """Returns the body of a request, as a client would send it."""
    return {"instances": [{"images": {"b64": "/9j/4AAQSkZJRg...the file in base64"}}]}


def _sources(name: str, count: int) -> tuple[str, list[Source]]:
    """Returns where pictures come from, and the pictures."""
    if (Path(name) / runs.RECORD).is_file():
        record = runs.load(name).record
        found = held_out_of(record["dataset"]["data"], record, read_dataset)
        if found is not None:
            chosen = np.unique(np.linspace(0, len(found) - 1, count).astype(int))
            return "pictures held out in training", [found[k].source for k in chosen]
    return "photos that come with the packages, and pieces of them", [*samples.pieces(count)]


def _inputs(sources: Sequence[Source], left_out: dict[str, str]) -> Iterator[Input]:
    """Yields the files that TensorFlow decodes."""
    for number, source in enumerate(sources):
        name = str(source) if isinstance(source, str | Path) else f"picture {number}"
        file = samples.as_png(source) if isinstance(source, np.ndarray) else source
        if isinstance(file, str | Path):
            file = Path(file).read_bytes()
        if file.startswith(DECODED):
            yield Input(name, file)
        else:
            left_out[name] = NOT_DECODED


def _images(size: int | None) -> tf.TensorSpec:
    return tf.TensorSpec((None, size, size, 3), tf.float32, "images")


def _network(model: Detector, size: int | None = None) -> Callable[[tf.Tensor], list[tf.Tensor]]:
    """Returns the network for squares, or for images of any sides, its variables as constants."""
    return inference.with_constants(lambda images: list(model.predictions(images)), _images(size))


def _suppression() -> NonMaxSuppression:
    return NonMaxSuppression(USUAL.confidence, USUAL.iou, USUAL.max_detections)
