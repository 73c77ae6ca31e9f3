"""What an exported detector answers, from picture files to boxes, and how that is checked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dlapps import inference
from dlapps.apps.detect.data import read_dataset
from dlapps.apps.detect.metrics import map50
from dlapps.apps.detect.model import YOLODetector
from dlapps.apps.detect.predict import BATCH, Search, predict
from dlapps.boxes.agreement import agreement
from dlapps.boxes.matching import Found
from dlapps.darknet.detector import DarknetDetector
from dlapps.data import letterbox, samples
from dlapps.data.boxed import BoxedExample
from dlapps.data.inputs import Input
from dlapps.data.pictures import Source, pictures_refused, read_picture
from dlapps.data.views import looked
from dlapps.graphs import letterboxing
from dlapps.layers.non_max_suppression import NonMaxSuppression
from dlapps.picture_checks import DECODED, HELD_OUT, NOT_DECODED, PHOTOS, file_of, held_out
from dlapps.serving import DEFAULT, NUMERIC, Arrays, Check, Checks, Limits, Numeric
from dlapps.steadiness import ON_A_HAIR, is_steady, kept

Detector = YOLODetector | DarknetDetector
USUAL = Search()
# Squares of so many pictures are asked about: what a network says to one, before anything is
# suppressed, takes megabytes.
MOST_SQUARES = 50
STRIDE = letterboxing.STRIDE


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
    where, sources, known = _sources(name, count)
    left_out: dict[str, str] = {}
    inputs = [*_inputs(sources, left_out)]
    network, suppression = inference.frozen(model.predictions, None), _suppression()
    files, found, truth = [], [], []
    for answer in predict(inputs, model, USUAL, left_out, many=len(inputs) > 1):
        view = looked(answer.input, model.image_size, None).views[0]
        if is_steady(suppression, *network(view.image[None])):
            files.append(answer.input.source)
            found.append(Found(answer.boxes, answer.scores, answer.labels))
            truth.append(known.get(answer.input.name))
        else:
            left_out[answer.input.name] = ON_A_HAIR
    squares = _of_squares(model, files[:MOST_SQUARES], truth)
    each = [_of_files(model, files, found), *squares]
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


def _of_squares(
    model: Detector, files: Sequence[Source], truth: Sequence[BoxedExample | None]
) -> list[Check]:
    size = model.image_size
    placed = [letterbox.letterboxed(read_picture(file), size, size) for file in files]
    images = np.array([square for square, _ in placed], np.uint8).reshape(-1, size, size, 3)
    true = np.array([
        one and replace(one, boxes=placement.into(one.boxes))
        for one, (_, placement) in zip(truth, placed, strict=False)
    ] + [None], object)[:-1]  # fmt: skip
    known, suppression = len(true) > 0 and all(true), _suppression()
    ask = inference.frozen(model.predictions, size)
    # A few at once, as a prediction does.
    said = [ask(images[k : k + BATCH]) for k in range(0, len(images), BATCH)] or [ask(images)]
    boxes, scores = (np.concatenate(part) for part in zip(*said, strict=True))
    inputs = {"images": images.astype(np.float32)}
    every = {"scores": scores, "boxes": boxes}
    pairs = zip(boxes[:, None], scores[:, None], strict=True)
    steady = [k for k, pair in enumerate(pairs) if is_steady(suppression, *pair)]
    found = {"images": inputs["images"][steady]}
    left = kept(suppression, boxes[steady], scores[steady])
    left["count"] = (left["classes"] >= 0).sum(1).astype(np.int32)
    return [
        Check("arrays", found, left, pixels=("boxes",), same=agreement),
        Check(
            NUMERIC,
            inputs,
            every,
            true if known else None,
            ("boxes",),
            _same_of_all,
            _precision(model.labels) if known else None,
            "mAP50",
        ),
    ]


def _precision(labels: Sequence[str]) -> Callable[[Arrays, Any], float]:
    """Returns what measures all that the network says of squares against what is there."""
    # As few and as unsure boxes as training measures, too.
    suppression = NonMaxSuppression(confidence=0.005, iou=0.6, max_detections=100)

    def measure(said: Arrays, truth: Sequence[BoxedExample]) -> float:
        return map50(truth, kept(suppression, said["boxes"], said["scores"]), labels)

    return measure


def _same_of_all(wanted: Arrays, got: Arrays) -> float:
    """Compares what is left of two answers of the network alone."""
    answers = (kept(_suppression(), each["boxes"], each["scores"]) for each in (wanted, got))
    return agreement(*answers)


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


def _sources(name: str, count: int) -> tuple[str, list[Source], dict[str, BoxedExample]]:
    """Returns where pictures come from, the pictures, and what is in them, as far as known."""
    chosen = held_out(name, count, read_dataset)
    if chosen is None:
        return PHOTOS, [*samples.pieces(count)], {}
    known = {_called(each.source, k): each for k, each in enumerate(chosen)}
    return HELD_OUT, [each.source for each in chosen], known


def _called(source: Source, number: int) -> str:
    return str(source) if isinstance(source, str | Path) else f"picture {number}"


def _inputs(sources: Sequence[Source], left_out: dict[str, str]) -> Iterator[Input]:
    """Yields the files that TensorFlow decodes."""
    for number, source in enumerate(sources):
        name, file = _called(source, number), file_of(source)
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
