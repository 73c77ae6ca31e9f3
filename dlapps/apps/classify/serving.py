"""What an exported classifier answers, from picture files to labels, and how that is checked."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from dlapps import inference
from dlapps.apps.classify.data import read_dataset
from dlapps.apps.classify.model import ImageClassifier
from dlapps.apps.classify.predict import answers
from dlapps.data import samples
from dlapps.data.pictures import Source, centre_crop, pictures_refused, read_picture
from dlapps.graphs import pictures, resampling
from dlapps.picture_checks import DECODED, HELD_OUT, NOT_DECODED, PHOTOS, file_of, held_out
from dlapps.serving import DEFAULT, NUMERIC, Check, Checks, Limits, Numeric

BEST = 5
# Pictures decoded at once; a large one takes some 25 bytes a pixel meanwhile.
AT_ONCE = 4


def signatures(model: ImageClassifier) -> dict[str, Callable]:
    """Returns what the exported model answers, by the name of the signature.

    Returns:
        `serving_default`: from `images`, `(batch,)` bytes of files, to `labels` and
        `probabilities`, `(batch, best)`, the likeliest first. `all`: the same for all labels in
        their own order. `arrays`: from `images`, `(batch, image_size, image_size, 3)` float32, 0
        to 255, to `probabilities` in the order of the labels.
    """
    from_arrays = _probabilities(model)
    labels = tf.constant(model.labels)
    short_side = math.ceil(model.image_size / model.crop)

    def view(data: tf.Tensor) -> tf.Tensor:
        image = pictures.decoded(data, short_side)
        return resampling.centre_square(image, model.image_size, model.crop)

    def from_files(files: tf.Tensor) -> tf.Tensor:
        square = tf.TensorSpec((model.image_size, model.image_size, 3), tf.uint8)
        images = tf.map_fn(view, files, fn_output_signature=square, parallel_iterations=AT_ONCE)
        return from_arrays(tf.cast(images, tf.float32))

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None,), tf.string, "images")])
    def best(images):
        probabilities, places = tf.math.top_k(from_files(images), min(BEST, len(model.labels)))
        return {"labels": tf.gather(labels, places), "probabilities": probabilities}

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None,), tf.string, "images")])
    def all_labels(images):
        probabilities = from_files(images)
        shown = tf.broadcast_to(labels, tf.shape(probabilities))
        return {"labels": shown, "probabilities": probabilities}

    @tf.function(autograph=False, input_signature=[_images(model)])
    def arrays(images):
        return {"probabilities": from_arrays(images)}

    return {DEFAULT: best, "all": all_labels, "arrays": arrays}


def numeric(model: ImageClassifier) -> Numeric:
    """Returns the network alone, from `images` to `probabilities`."""

    def function(images):
        return keras.ops.softmax(model(images, training=False))

    about = {
        "labels": model.labels,
        "preprocessing": {
            "image_size": model.image_size,
            "crop": model.crop,
            "resample": "antialiased bicubic, as Pillow's",
            "steps": [
                "turn the picture upright as its EXIF note says; RGB; alpha over white",
                f"cut out the middle square, {model.crop:g} of the shorter side",
                f"scale it to {model.image_size} x {model.image_size} pixels",
                "give the values from 0 to 255 as they are: normalising is inside",
            ],
        },
        "inputs": {"images": f"float32 (batch, {model.image_size}, {model.image_size}, 3)"},
        "outputs": {"probabilities": f"float32 (batch, {len(model.labels)}), as `labels`"},
    }
    constant = inference.with_constants(function, _images(model))
    return Numeric(constant, ["probabilities"], about, True)


def checks(name: str, model: ImageClassifier, count: int) -> Checks:
    """Asks the trained model about real pictures.

    Args:
        name: What `load_model` took. Of a run the held-out pictures are asked about; else photos
            that come with the packages, cut in pieces.
        model: The trained model.
        count: Pictures to ask about at most.
    """
    where, sources, truth = _sources(name, count)
    files = [file_of(source) for source in sources]
    asked = [k for k, file in enumerate(files) if file.startswith(DECODED)]
    left_out = {_called(sources[k], k): NOT_DECODED for k in {*range(len(files))} - {*asked}}
    rows: dict[int, np.ndarray] = {}
    for indices, probabilities, bad in answers([files[k] for k in asked], model):
        rows |= {asked[k]: row for k, row in zip(indices, probabilities, strict=True)}
        left_out |= {_called(sources[asked[k]], asked[k]): why for k, why in bad.items()}
    if not rows:
        return Checks(where, [], left_out)
    read = sorted(rows)
    known = None if truth is None else truth[read]
    said = np.stack([rows[k] for k in read])
    return Checks(where, _asked(model, [files[k] for k in read], said, known), left_out)


def _called(source: Source, number: int) -> str:
    return str(source) if isinstance(source, str | Path) else f"picture {number}"


def _asked(
    model: ImageClassifier, files: list[bytes], rows: np.ndarray, truth: np.ndarray | None
) -> list[Check]:
    labels = np.array([label.encode() for label in model.labels], object)
    best = np.argsort(-rows, axis=1, kind="stable")[:, :BEST]
    short_side = math.ceil(model.image_size / model.crop)
    squares = [
        centre_crop(read_picture(file, short_side), model.image_size, model.crop) for file in files
    ]
    as_files = {"images": np.array([*files, None], object)[:-1]}
    as_arrays = {"images": np.stack(squares).astype(np.float32)}
    numbers = {"probabilities": rows}
    likeliest = {"probabilities": np.take_along_axis(rows, best, 1), "labels": labels[best]}
    return [
        Check(DEFAULT, as_files, likeliest),
        Check("all", as_files, numbers, truth),
        Check("arrays", as_arrays, numbers, truth),
        Check(NUMERIC, as_arrays, numbers, truth),
    ]


def refusal(inputs: Mapping[str, np.ndarray], limits: Limits) -> str:
    """Returns why a request is not worth computing, nothing if it is.

    Args:
        inputs: By name.
        limits: What it may ask for at most.
    """
    files = inputs["images"]
    return pictures_refused(files, limits.pixels) if files.dtype.kind == "O" else ""


def example(model: ImageClassifier) -> dict:
    """Returns the body of a request, as a client would send it."""
    return {"instances": [{"images": {"b64": "/9j/4AAQSkZJRg...the file in base64"}}]}


def _sources(name: str, count: int) -> tuple[str, list[Source], np.ndarray | None]:
    """Returns where pictures come from, the pictures, and their labels if they are known."""
    chosen = held_out(name, count, read_dataset)
    if chosen is None:
        return PHOTOS, [*samples.pieces(count)], None
    return HELD_OUT, [each.source for each in chosen], np.array([each.label for each in chosen])


def _images(model: ImageClassifier) -> tf.TensorSpec:
    return tf.TensorSpec((None, model.image_size, model.image_size, 3), tf.float32, "images")


def _probabilities(model: ImageClassifier) -> Callable[[tf.Tensor], tf.Tensor]:
    network = numeric(model)
    return lambda images: network(images)["probabilities"]
