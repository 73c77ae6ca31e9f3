"""What an exported captioner answers, from picture files to sentences, and how that is checked."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlapps import inference, runs
from dlapps.apps.caption.evaluate import dataset_of
from dlapps.apps.caption.metrics import next_words
from dlapps.apps.caption.model import END, START, UNKNOWN, Captioner
from dlapps.apps.caption.predict import BATCH, Style, answers, drawer, spoken
from dlapps.data import samples
from dlapps.data.pictures import Source, pictures_refused
from dlapps.data.vocabulary import encoded
from dlapps.data.words import sentence
from dlapps.graphs import pictures, resampling
from dlapps.picture_checks import DECODED, HELD_OUT, NOT_DECODED, PHOTOS, file_of, some_of
from dlapps.serving import DEFAULT, NUMERIC, Check, Checks, Limits, Numeric


def signatures(model: Captioner) -> dict[str, Callable]:
    """Returns what the exported model answers, by the name of the signature.

    Returns:
        `serving_default`: from `images`, `(batch,)` bytes of files, to `captions`, and
        `log_probabilities`, of each caption with its end, `(batch,)` both; found by beam search.
        `arrays`: the same from `images`, `(batch, image_size, image_size, 3)` float32, 0 to 255,
        whole pictures squeezed into a square.
    """
    told = inference.with_constants(_told(model), _images(model))
    speller = Speller(model.vocabulary)
    size = model.image_size

    def view(data: tf.Tensor) -> tf.Tensor:
        image = pictures.decoded(data, size)
        rows, columns = (tf.cast(side, tf.float64) for side in tf.unstack(tf.shape(image)[:2]))
        zero = tf.constant(0, tf.float64)
        return resampling.resized(image, size, size, (zero, zero, columns, rows))

    def captions(images: tf.Tensor) -> dict[str, tf.Tensor]:
        words, logs = told(images)
        words = tf.ensure_shape(words, (None, model.longest + 1))  # The search forgets it.
        logs = tf.ensure_shape(logs, (None,))
        return {"captions": speller.sentences(words), "log_probabilities": logs}

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None,), tf.string, "images")])
    def from_files(images):
        square = tf.TensorSpec((size, size, 3), tf.uint8)
        seen = tf.map_fn(view, images, fn_output_signature=square)
        return captions(tf.cast(seen, tf.float32))

    @tf.function(autograph=False, input_signature=[_images(model)])
    def arrays(images):
        return captions(images)

    return {DEFAULT: from_files, "arrays": arrays}


class Speller:
    """Writes words as `data.words.sentence` does, inside a graph.

    Args:
        vocabulary: The words.
    """

    def __init__(self, vocabulary: Sequence[str]):
        # How a word is written at the start, behind another word, and behind an open bracket.
        self.written = tf.constant(
            [
                [sentence([word]).encode() for word in vocabulary],
                [sentence(["a", word])[1:].encode() for word in vocabulary],
                [sentence(["-lrb-", word])[1:].encode() for word in vocabulary],
            ]
        )
        opens = [not sentence([word, "a"]).endswith(" a") for word in vocabulary]
        self.opens = tf.constant(opens)

    def sentences(self, ids: tf.Tensor) -> tf.Tensor:
        """Returns `(batch,)` string, UTF-8.

        Args:
            ids: `(batch, time)` int32; from `END` on nothing is said.
        """
        said = tf.cumsum(tf.cast(ids == END, tf.int32), 1) == 0
        behind_open = tf.cast(tf.gather(self.opens, ids[:, :-1]), tf.int32)
        kinds = tf.pad(1 + behind_open, [[0, 0], [1, 0]])  # 0 for the first word
        texts = tf.gather_nd(self.written, tf.stack([kinds, ids], -1))
        return tf.strings.reduce_join(tf.where(said, texts, ""), 1)


def numeric(model: Captioner) -> Numeric:
    """Returns the network alone, from pictures and the words read to logits.

    The words of a caption are read without a loop, since the one that trains and the one that
    searches are more than ONNX and LiteRT can hold.
    """
    steps = model.longest + 1

    def function(images, words):
        seen = keras.ops.cast(model.regions(images, training=False), "float32")
        regions = model.standardization(seen)
        logits, _ = model.teller.read(regions, words, training=False, unroll=True)
        return keras.ops.cast(logits, "float32")

    words = tf.TensorSpec((None, steps), tf.int32, "words")
    constant = inference.with_constants(function, _images(model), words)
    return Numeric(constant, ["logits"], _about(model), True)


def _about(model: Captioner) -> dict[str, Any]:
    """Returns what stands before and behind the network alone."""
    size, steps = model.image_size, model.longest + 1
    return {
        "labels": model.vocabulary,
        "preprocessing": {
            "image_size": size,
            "resample": "antialiased bicubic, as Pillow's",
            "steps": [
                "turn the picture upright as its EXIF note says; RGB; alpha over white",
                f"squeeze the whole picture into {size} x {size} pixels",
                "give the values from 0 to 255 as they are: normalising is inside",
                f"`words` are places in `labels`: {START} for the start, then the words said so "
                f"far, then {END}; what stands behind a word does not change what is foretold "
                "before it",
                "the softmax of `logits` at a place is about the word behind that place; the word "
                f"{END} ends the caption, {START} and {UNKNOWN} are never to be chosen",
                "outside are the search for the likeliest caption, which begins with the start "
                "alone and asks anew for each word, and the joining of words to a sentence; in "
                "the savedmodel format both are inside",
            ],
        },
        "start": START, "end": END, "never_said": [START, UNKNOWN],
        "inputs": {
            "images": f"float32 (batch, {size}, {size}, 3)",
            "words": f"int32 (batch, {steps})",
        },
        "outputs": {"logits": f"float32 (batch, {steps}, {len(model.vocabulary)}), as `labels`"},
    }  # fmt: skip


def checks(name: str, model: Captioner, count: int) -> Checks:
    """Lets the trained model caption real pictures.

    Args:
        name: What `load_model` took. Of a run the held-out pictures are captioned, and of each
            its first caption is foretold word by word; else photos that come with the packages,
            cut in pieces, with what the model says of them.
        model: The trained model.
        count: Pictures at most.
    """
    where, sources, told = _sources(name, count)
    named = [(str(source)[:80], file_of(source)) for source in sources]
    left_out = {each: NOT_DECODED for each, file in named if not file.startswith(DECODED)}
    asked = [k for k, (_, file) in enumerate(named) if file.startswith(DECODED)]
    named, told = [named[k] for k in asked], [told[k] for k in asked]
    files, words, logs, true = [], [], [], []
    for indices, ids, of_ids, bad in answers([file for _, file in named], model, Style()):
        left_out |= {named[k][0]: why for k, why in bad.items()}
        files += [named[k][1] for k in indices]
        words += [rows[0] for rows in ids]
        logs += [rows[0] for rows in of_ids]
        true += [told[k] for k in indices]
    return Checks(where, _asked(model, files, words, logs, true) if files else [], left_out)


def _asked(
    model: Captioner, files: list[bytes], words: list[np.ndarray], logs: list[float],
    true: list[str],
) -> list[Check]:  # fmt: skip
    draw = drawer(files, model.image_size)
    squares = np.stack([draw(k) for k in range(len(files))])
    said = np.stack(words)
    foretold, truth = (said, None) if not all(true) else _foretold(model, true)
    read = np.concatenate([np.full_like(said[:, :1], START), foretold[:, :-1]], 1)
    logits = [
        keras.ops.convert_to_numpy(model((squares[k : k + BATCH], read[k : k + BATCH])))
        for k in range(0, len(files), BATCH)
    ]
    captions = [sentence(spoken(row, model.vocabulary)).encode() for row in said]
    expected = {
        "captions": np.array([*captions, None], object)[:-1],
        "log_probabilities": np.array(logs, np.float32),
    }
    as_files = {"images": np.array([*files, None], object)[:-1]}
    as_arrays = {"images": squares.astype(np.float32)}
    return [
        Check(DEFAULT, as_files, expected),
        Check("arrays", as_arrays, expected),
        Check(
            NUMERIC, {**as_arrays, "words": read}, {"logits": np.concatenate(logits)}, truth,
            measure=None if truth is None else next_words, measured="next words",
        ),
    ]  # fmt: skip


def _foretold(model: Captioner, captions: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Returns captions as `(batch, time)` ids, and the same with -1 where nothing is foretold."""
    index = {word: place for place, word in enumerate(model.vocabulary)}
    rows = np.full((len(captions), model.longest + 1), END, np.int32)
    truth = np.full_like(rows, -1)
    for row, caption in enumerate(captions):
        ids = encoded(caption, index, model.longest)
        rows[row, : len(ids)] = ids
        truth[row, : len(ids) + 1] = [*ids, END]
    return rows, np.where(truth == UNKNOWN, -1, truth)


def refusal(inputs: Mapping[str, np.ndarray], limits: Limits) -> str:
    """Returns why a request is not worth computing, nothing if it is.

    Args:
        inputs: By name.
        limits: What it may ask for at most.
    """
    files = inputs["images"]
    return pictures_refused(files, limits.pixels) if files.dtype.kind == "O" else ""


def example(model: Captioner) -> dict:
    """Returns the body of a request, as a client would send it."""
    return {"instances": [{"images": {"b64": "/9j/4AAQSkZJRg...the file in base64"}}]}


def _sources(name: str, count: int) -> tuple[str, list[Source], list[str]]:
    """Returns where pictures come from, the pictures, and a caption of each, "" if not known."""
    dataset = dataset_of(runs.load(name).record) if (Path(name) / runs.RECORD).is_file() else None
    if dataset is None:
        pieces: list[Source] = [*samples.pieces(count)]
        return PHOTOS, pieces, [""] * len(pieces)
    chosen = some_of(dataset.validation, count)
    return HELD_OUT, [each.source for each in chosen], [each.captions[0] for each in chosen]


def _images(model: Captioner) -> tf.TensorSpec:
    return tf.TensorSpec((None, model.image_size, model.image_size, 3), tf.float32, "images")


def _told(model: Captioner) -> Callable:
    """Returns what finds the likeliest caption of pictures, as `predict` does by default."""
    style = Style()

    def told(images):
        words, logs = model.told(model.regions(images), style.beam, style.length_power)
        return words[:, 0], logs[:, 0]

    return told
