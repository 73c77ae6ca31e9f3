"""Says in a sentence what pictures show."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from dlapps import drawing, files, inference
from dlapps.apps.caption import render
from dlapps.apps.caption.model import END, LENGTH_POWER, START, Captioner
from dlapps.apps.caption.render import Prediction
from dlapps.data.inputs import Input
from dlapps.data.pictures import Source, read_picture, resized
from dlapps.data.pipeline import batches_of_views
from dlapps.data.words import sentence

BATCH = 32
# Building the graph takes as long as so many pictures captioned without one.
WORTH_COMPILING = 4
# Pictures read ahead: as many as are read while the graph compiles.
AHEAD = 256
Ask = Callable[[np.ndarray], list[np.ndarray]]


@dataclass(frozen=True)
class Style:
    """How to find captions.

    Args:
        beam: Captions followed at once by beam search; 1 always takes the likeliest word.
        samples: Captions to draw by chance instead; 0 for none.
        temperature: Of the chance, above 0; below 1 the likely words gain.
        top_k: How many of the likeliest words are left at each step, or None for all.
        seed: Where the chance comes from.
        length_power: See `decoding.beam_search`.
    """

    beam: int = 3
    samples: int = 0
    temperature: float = 1.0
    top_k: int | None = None
    seed: int = 0
    length_power: float = LENGTH_POWER


def predict(
    inputs: Sequence[Input], model: Captioner, style: Style, unreadable: dict[str, str]
) -> Iterator[Prediction]:
    """Captions pictures, in their order, a batch at a time.

    Args:
        inputs: The pictures.
        model: What to ask.
        style: How to find captions.
        unreadable: Filled with the reason of every picture that cannot be read, by name.

    Yields:
        One prediction for each readable picture.
    """
    sources = [each.source for each in inputs]
    for indices, words, logs, bad in answers(sources, model, style):
        unreadable.update({inputs[k].name: why for k, why in bad.items()})
        for index, rows, of_rows in zip(indices, words, logs, strict=True):
            captions = [
                (sentence(spoken(row, model.vocabulary)), float(log))
                for row, log in zip(rows, of_rows, strict=True)
            ]
            yield Prediction(inputs[index], captions, spoken(rows[0], model.vocabulary))


def answers(
    sources: Sequence[Source], model: Captioner, style: Style
) -> Iterator[tuple[list[int], np.ndarray, np.ndarray, dict[int, str]]]:
    """Asks a model about pictures, a batch at a time, in their order.

    Args:
        sources: The pictures.
        model: What to ask.
        style: How to find captions.

    Yields:
        The indices of the readable pictures of a batch; the ids of their captions,
        `(pictures, captions, time)`; the logarithms of the probabilities of these; and why the
        others could not be read, by index.
    """
    ask: Ask | None = None
    draw = drawer(sources, model.image_size)
    for indices, images, bad in batches_of_views(len(sources), draw, BATCH, AHEAD):
        # Compiled with the first batch at hand: meanwhile, the next ones are read.
        ask = ask or asking(model, style, len(sources) >= WORTH_COMPILING)
        empty = np.empty((0, 1, 1), np.int32), np.empty((0, 1), np.float32)
        words, logs = ask(images) if indices else empty
        yield indices, words, logs, bad


def drawer(sources: Sequence[Source], size: int) -> Callable[[int], np.ndarray]:
    """Returns what reads the picture of an index, whole, as the network sees it."""

    def draw(index: int) -> np.ndarray:
        image = read_picture(sources[index], size)
        return resized(image, size, (0, 0, *image.size))

    return draw


def asking(model: Captioner, style: Style, compiled: bool = True) -> Ask:
    """Returns a function from `(batch, size, size, 3)` images to ids and log probabilities.

    Args:
        model: What to ask.
        style: How to find captions.
        compiled: Whether to build a graph with the weights as constants.
    """
    chance = keras.random.SeedGenerator(style.seed)

    def told(images):
        seen = model.regions(images)
        if style.samples:
            return model.drawn(seen, chance, style.samples, style.temperature, style.top_k)
        words, logs = model.told(seen, style.beam, style.length_power)
        return words[:, :1], logs[:, :1]

    if not compiled:
        return lambda images: [keras.ops.convert_to_numpy(each) for each in told(images)]
    if style.samples:  # The state of the chance is no constant.
        graph = tf.function(told, jit_compile=False)
        return lambda images: [keras.ops.convert_to_numpy(each) for each in graph(images)]
    return inference.frozen(told, model.image_size)


def spoken(ids: np.ndarray, vocabulary: Sequence[str]) -> list[str]:
    """Returns the words of a caption up to its end."""
    return [vocabulary[k] for k in itertools.takewhile(lambda k: k != END, ids)]


def saved(
    predictions: Iterable[Prediction], model: Captioner, folder: Path, explain: bool
) -> Iterator[Prediction]:
    """Passes predictions on, and writes each picture with its captions to a folder.

    Args:
        predictions: What to draw.
        model: Where they come from.
        folder: Takes one JPEG a picture, named after it; a number tells equal names apart.
        explain: Whether to show where it looked for each word of the first caption.
    """
    taken: set[str] = set()
    for prediction in predictions:
        image = read_picture(prediction.input.source, 1024)
        # The last part alone: no name, however it reads, leads out of the folder.
        stem = Path(prediction.input.name).stem.lstrip(".-") or "picture"
        name = next(n for n in _numbered(stem) if n not in taken)
        taken.add(name)
        if explain:
            drawn = render.strip(image, prediction.words, looked(prediction, model))
        else:
            drawn = render.captioned(image, [text for text, _ in prediction.captions])
        files.write(folder / name, drawing.as_jpeg(drawn))
        yield prediction


def _numbered(stem: str) -> Iterator[str]:
    yield f"{stem}.jpg"
    for number in itertools.count(2):
        yield f"{stem}-{number}.jpg"


def looked(prediction: Prediction, model: Captioner) -> np.ndarray:
    """Returns where it looked for each word of the first caption.

    Returns:
        `(words, height, width)` float, not negative, over the whole picture, the highest 1.
    """
    images = drawer([prediction.input.source], model.image_size)(0)[None]
    index = {word: place for place, word in enumerate(model.vocabulary)}
    ids = [START, *(index[word] for word in prediction.words)]
    weights = model.where(model.regions(images), np.array([ids[:-1] or [START]], np.int32))
    rows = keras.ops.convert_to_numpy(weights)[0]
    side = round(rows.shape[1] ** 0.5)  # The network sees a square.
    grids = rows.reshape(len(rows), side, side)
    return grids / np.maximum(grids.max(axis=(1, 2), keepdims=True), 1e-9)
