"""Says what pictures show, and where."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dlapps import drawing, files, inference
from dlapps.apps.detect import render
from dlapps.apps.detect.render import Prediction
from dlapps.box_results import yolo_text
from dlapps.data.inputs import Input
from dlapps.data.pictures import Source, UnreadablePictureError, read_picture
from dlapps.data.pipeline import in_threads
from dlapps.data.video_files import VideoFiles
from dlapps.data.videos import Frame
from dlapps.data.views import Looked, looked, together
from dlapps.errors import UserError, nearest
from dlapps.layers.non_max_suppression import NonMaxSuppression
from dlapps.matching import Found

BATCH = 8
# So many views are sorted by their sides before the network looks at them.
WINDOW = 32
# Tracing and folding a graph takes as long as this many pictures called one by one.
WORTH_COMPILING = 20
Ask = Callable[[np.ndarray], list[np.ndarray]]


@dataclass(frozen=True)
class Search:
    """What to look for, and how.

    Args:
        confidence: Scores must be above it.
        iou: Overlap above which the less sure of two boxes of a class goes.
        max_detections: Boxes kept in one picture.
        classes: Indices of the labels to look for; empty for all.
        image_size: Pixels of the longer side of what the network sees; None for the model's own.
        tile: Side of the tiles in which to look at larger pictures, pixels; None for none.
    """

    confidence: float = 0.25
    iou: float = 0.45
    max_detections: int = 300
    classes: tuple[int, ...] = ()
    image_size: int | None = None
    tile: int | None = None


def predict(
    inputs: Iterable[Input],
    model: Any,
    search: Search,
    unreadable: dict[str, str],
    many: bool = True,
    window: int = WINDOW,
) -> Iterator[Prediction]:
    """Finds things in pictures, in their order.

    Args:
        inputs: The pictures, perhaps without end.
        model: What to ask: it has `labels`, `image_size` and `predictions`.
        search: What to look for.
        unreadable: Filled with the reason of every picture that cannot be read, by name.
        many: Whether there are so many that compiling is worth while.
        window: Views to wait for before the network looks; as many pictures are read ahead.

    Yields:
        One prediction for each readable picture.
    """
    size = search.image_size or model.image_size

    def draw(one: Input) -> Looked:
        try:
            return looked(one, size, search.tile)
        except UnreadablePictureError as error:
            return Looked(one, (0, 0), (), str(error))

    ask: Ask | None = None
    waiting: list[Looked] = []
    ahead = 0 if window == 1 else window if search.tile is None else 2
    for each in _then_none(in_threads(draw, iter(inputs), ahead)):
        if each is not None:
            waiting.append(each)
        if waiting and (each is None or sum(len(one.views) for one in waiting) >= window):
            # Compiled with the first views at hand: meanwhile, the next ones are read.
            ask = ask or asking(model, search, many)
            for one, found in zip(waiting, _answers(waiting, ask, search), strict=True):
                if one.why:
                    unreadable[one.input.name] = one.why
                else:
                    yield Prediction(one.input, one.size, found.boxes, found.scores, found.labels)
            waiting = []


def detections(
    sources: Sequence[Source], model: Any, search: Search, unreadable: dict[int, str]
) -> Iterator[tuple[int, Found]]:
    """Finds things in pictures, in their order; the form for measuring.

    Args:
        sources: The pictures.
        model: What to ask.
        search: What to look for.
        unreadable: Filled with the reason of every picture that cannot be read, by index.

    Yields:
        The index of each readable picture, and what was found in it.
    """
    inputs = [Input(str(index), source) for index, source in enumerate(sources)]
    bad: dict[str, str] = {}
    for one in predict(inputs, model, search, bad, len(inputs) >= WORTH_COMPILING):
        yield int(one.input.name), Found(one.boxes, one.scores, one.labels)
    unreadable.update({int(name): why for name, why in bad.items()})


def _then_none(items: Iterator[Looked]) -> Iterator[Looked | None]:
    yield from items
    yield None


def asking(model: Any, search: Search, many: bool) -> Ask:
    """Returns a function from `(batch, height, width, 3)` uint8 to boxes, scores and labels."""
    suppression = NonMaxSuppression(search.confidence, search.iou, search.max_detections)

    def find(images: Any) -> list[Any]:
        boxes, scores = model.predictions(images)
        if search.classes:
            scores = keras.ops.take(scores, search.classes, axis=-1)
        return list(suppression(boxes, scores))

    if many:
        return inference.frozen(find, None)
    return lambda images: [keras.ops.convert_to_numpy(each) for each in find(images)]


def _answers(waiting: Sequence[Looked], ask: Ask, search: Search) -> Iterator[Found]:
    """Asks about the views of pictures, those of the same sides together."""
    views = [view for one in waiting for view in one.views]
    order = sorted(range(len(views)), key=lambda k: views[k].image.shape)
    answers: dict[int, list[np.ndarray]] = {}
    while order:
        shape = views[order[0]].image.shape
        batch = [k for k in order[:BATCH] if views[k].image.shape == shape]
        order = order[len(batch) :]
        parts = ask(np.stack([views[k].image for k in batch]))
        answers |= {k: [part[place] for part in parts] for place, k in enumerate(batch)}
    number = 0
    for one in waiting:
        those = range(number, number := number + len(one.views))
        found = together(one, [answers[k] for k in those], search.iou, search.max_detections)
        labels = np.array(search.classes, int)[found.labels] if search.classes else found.labels
        yield Found(found.boxes, found.scores, labels)


def saved(
    predictions: Iterator[Prediction], labels: Sequence[str], folder: Path
) -> Iterator[Prediction]:
    """Passes predictions on, and writes each picture with its boxes to a folder.

    Args:
        predictions: What to draw.
        labels: Names of the model's classes.
        folder: Takes one JPEG a picture, named after it; a number tells equal names apart.
    """
    taken: set[str] = set()

    def named() -> Iterator[tuple[Prediction, str]]:
        for each in predictions:
            yield each, files.new_name(render.stem(each.input), ".jpg", taken)

    def save(pair: tuple[Prediction, str]) -> Prediction:
        prediction, name = pair
        image = render.drawn(read_picture(prediction.input.source), prediction, labels)
        files.write(folder / name, drawing.as_jpeg(image))
        return prediction

    yield from in_threads(save, named(), BATCH)


def written(predictions: Iterable[Prediction], folder: Path) -> Iterator[Prediction]:
    """Passes predictions on, and writes the boxes of each picture to a folder, as YOLO does.

    Args:
        predictions: What to write.
        folder: Takes one text a picture, an empty one where nothing was found.
    """
    taken: set[str] = set()
    for prediction in predictions:
        name = files.new_name(render.stem(prediction.input), ".txt", taken)
        one = (prediction.size, prediction.boxes, prediction.scores, prediction.labels)
        files.write(folder / name, yolo_text(*one))
        yield prediction


def filmed(
    predictions: Iterable[Prediction], labels: Sequence[str], place: Path
) -> Iterator[Prediction]:
    """Passes predictions on, and writes the frames of each video with their boxes.

    Args:
        predictions: What to draw.
        labels: Names of the model's classes.
        place: A file for one video, or a folder.
    """
    with VideoFiles(place) as movies:
        for prediction in predictions:
            frame = prediction.input
            if isinstance(frame, Frame):
                image = render.drawn(read_picture(frame.source), prediction, labels)
                movies.add(frame, np.asarray(image))
            yield prediction


def indices(words: str, labels: Sequence[str]) -> tuple[int, ...]:
    """Returns the indices of the classes that `--classes` names.

    Args:
        words: Names, in letters of either size, or numbers from 0, with commas between.
        labels: Names of the model's classes.

    Raises:
        UserError: If it has no such class.
    """
    folded = {label.casefold(): k for k, label in reversed([*enumerate(labels)])}
    found = []
    for word in filter(None, map(str.strip, words.split(","))):
        is_number = word.isascii() and word.isdecimal() and int(word) < len(labels)
        index = folded.get(word.casefold(), int(word) if is_number else None)
        if index is None:
            known = ", ".join(labels[:8]) + (", ..." if len(labels) > 8 else "")
            raise UserError(
                f"--classes: the model does not know '{word}'.{nearest(word, labels)} "
                f"It knows {known}; a number would be from 0 to {len(labels) - 1}."
            )
        found.append(index)
    if not found:
        raise UserError(f"--classes '{words}' names no class.")
    return tuple(dict.fromkeys(found))
