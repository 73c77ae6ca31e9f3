"""Says what pictures show."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import keras
import numpy as np

from dlapps import drawing, files, inference
from dlapps.apps.classify import render
from dlapps.apps.classify.model import ImageClassifier
from dlapps.apps.classify.render import Prediction
from dlapps.data.inputs import Input
from dlapps.data.pictures import Source, centre_crop, read_picture
from dlapps.data.pipeline import batches_of_views

BATCH = 32
# Tracing and folding a graph takes as long as this many pictures called one by one.
WORTH_COMPILING = 100
# Pictures read ahead, some 40 MB: as many as are read while the graph compiles.
AHEAD = 256
Ask = Callable[[np.ndarray], list[np.ndarray]]


def predict(
    inputs: Sequence[Input], model: ImageClassifier, top_k: int, unreadable: dict[str, str]
) -> Iterator[Prediction]:
    """Says what pictures show, in their order, a batch at a time.

    Args:
        inputs: The pictures.
        model: What to ask.
        top_k: How many labels to give for each.
        unreadable: Filled with the reason of every picture that cannot be read, by name.

    Yields:
        One prediction for each readable picture.
    """
    top_k = min(top_k, len(model.labels))
    for indices, probabilities, bad in answers([each.source for each in inputs], model):
        unreadable.update({inputs[k].name: why for k, why in bad.items()})
        for index, row in zip(indices, probabilities, strict=True):
            best = np.argsort(-row, kind="stable")[:top_k]
            classes = [(model.labels[k], float(row[k])) for k in best]
            yield Prediction(inputs[index], classes)


def answers(
    sources: Sequence[Source], model: ImageClassifier
) -> Iterator[tuple[list[int], np.ndarray, dict[int, str]]]:
    """Asks a model about pictures, a batch at a time, in their order.

    Args:
        sources: The pictures.
        model: What to ask.

    Yields:
        The indices of the readable pictures of a batch, their `(pictures, labels)`
        probabilities, and why the others could not be read, by index.
    """

    def probabilities(images):
        return keras.ops.softmax(model(images, training=False))

    def compiled() -> Ask:
        if len(sources) >= WORTH_COMPILING:
            return inference.frozen_network(probabilities, model.image_size)
        return lambda images: [keras.ops.convert_to_numpy(probabilities(images))]

    ask: Ask | None = None
    short_side = math.ceil(model.image_size / model.crop)

    def draw(index: int) -> np.ndarray:
        image = read_picture(sources[index], short_side)
        return centre_crop(image, model.image_size, model.crop)

    for indices, images, bad in batches_of_views(len(sources), draw, BATCH, AHEAD):
        # Compiled with the first batch at hand: meanwhile, the next ones are read.
        ask = ask or compiled()
        rows = ask(images)[0] if indices else np.empty((0, len(model.labels)), np.float32)
        yield indices, rows, bad


def saved(
    predictions: Iterable[Prediction], model: ImageClassifier, folder: Path, explain: bool
) -> Iterator[Prediction]:
    """Passes predictions on, and writes each picture with its labels to a folder.

    Args:
        predictions: What to draw.
        model: Where they come from.
        folder: Takes one JPEG a picture, named after it; a number tells equal names apart.
        explain: Whether to colour the places that speak for the label.
    """
    taken: set[str] = set()
    for prediction in predictions:
        image = read_picture(prediction.input.source, 1024)
        if explain:
            image = render.explained(image, evidence(prediction, model), model.crop)
        name = files.new_name(files.stem(prediction.input.name), ".jpg", taken)
        drawn = render.labelled(image, prediction.classes)
        files.write(folder / name, drawing.as_jpeg(drawn))
        yield prediction


def evidence(prediction: Prediction, model: ImageClassifier) -> np.ndarray:
    """Returns where in a picture the likeliest label was seen.

    Returns:
        `(size, size)` float in [0, 1], over the square that the network saw.
    """
    image = read_picture(prediction.input.source, math.ceil(model.image_size / model.crop))
    images = centre_crop(image, model.image_size, model.crop)[None]
    label = model.labels.index(prediction.classes[0][0])
    places = keras.ops.convert_to_numpy(model.evidence(images, np.array([label])))[0]
    return places / max(float(places.max()), 1e-9)
