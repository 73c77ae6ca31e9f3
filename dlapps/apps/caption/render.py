"""Shows captions and evaluations as text, JSON and pictures."""

import base64
import html
import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

from dlapps import drawing
from dlapps.apps.caption.data import Dataset
from dlapps.data.inputs import Input
from dlapps.data.pictures import Source, read_picture
from dlapps.data.vocabulary import SPECIAL
from dlapps.output import csv_lines, json_lines, json_list

TILE = 160  # pixels of one side of a picture in a strip
COLUMNS = 6


@dataclass(frozen=True)
class Prediction:
    """What a model says of one picture.

    Args:
        input: The picture.
        captions: Each with the logarithm of its probability, the best first.
        words: Those of the first caption.
    """

    input: Input
    captions: list[tuple[str, float]]
    words: list[str] = field(default_factory=list)


def as_json(prediction: Prediction) -> dict:
    """Returns a prediction in the shape that every app's JSON has."""
    captions = [
        {"text": text, "log_probability": round(log, 4)} for text, log in prediction.captions
    ]
    return {"path": prediction.input.name, "captions": captions}


def lines(predictions: Iterable[Prediction], format_: str, names: Sequence[str]) -> Iterator[str]:
    """Writes predictions down, as they come.

    Args:
        predictions: What to write.
        format_: "table", "json", "jsonl" or "csv".
        names: Names of all the inputs, for the width of the table.

    Returns:
        Lines without their ends.
    """
    if format_ == "json":
        return json_list(map(as_json, predictions))
    if format_ == "jsonl":
        return json_lines(map(as_json, predictions))
    if format_ == "csv":
        return csv_lines(["path", "rank", "caption", "log_probability"], _csv_rows(predictions))
    return _table_rows(predictions, min(max(map(len, names), default=0), 60))


def _csv_rows(predictions: Iterable[Prediction]) -> Iterator[list]:
    for prediction in predictions:
        for rank, (text, log) in enumerate(prediction.captions, start=1):
            yield [prediction.input.name, rank, text, f"{log:.4f}"]


def _table_rows(predictions: Iterable[Prediction], width: int) -> Iterator[str]:
    for prediction in predictions:
        name = prediction.input.name
        for text, _ in prediction.captions:
            yield f"{name:<{width}}  {text}"
            name = ""


def dataset_line(dataset: Dataset, vocabulary: Sequence[str], min_count: int) -> str:
    """Says what is learnt from."""
    captions = sum(len(each.captions) for each in dataset.train)
    return (
        f"{dataset.name}: {len(dataset.train)} pictures with {captions} captions to learn from, "
        f"{len(dataset.validation)} pictures held out. {len(vocabulary) - len(SPECIAL)} words "
        f"stand in {min_count} captions or more."
    )


def evaluation_table(measures: Mapping) -> str:
    """Returns an evaluation as text, beside what takes no looking."""
    columns = {"this model": measures, **measures["baselines"]}
    names = [name for name in ("bleu1", "bleu2", "bleu3", "bleu4", "rouge_l", "meteor", "cider")
             if name in measures]  # fmt: skip
    text = [f"{'pictures':<22}{measures['num_pictures']:>8}", ""]
    text.append(f"{'':<26}" + "".join(f"{_TITLES[name]:>9}" for name in names))
    for title, column in columns.items():
        cells = "".join(f"{column[name]:>9.4f}" if name in column else f"{'':>9}" for name in names)
        text.append(f"{title.replace('_', ' '):<26}{cells}")
    text += [
        "",
        f"{'different captions':<22}{measures['distinct']:>8.1%}",
        f"{'words used':<22}{measures['vocabulary_used']:>8} of {measures['vocabulary']}",
        f"{'mean length':<22}{measures['mean_length']:>8.2f} words; of people's "
        f"{measures['mean_true_length']:.2f}",
    ]
    return "\n".join(text)


_TITLES = {
    "bleu1": "BLEU-1", "bleu2": "BLEU-2", "bleu3": "BLEU-3", "bleu4": "BLEU-4",
    "rouge_l": "ROUGE-L", "meteor": "METEOR", "cider": "CIDEr",
}  # fmt: skip


def as_text(rows: list[dict]) -> str:
    """Returns rows as JSON, for people and programs."""
    return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"


def page(examples: Mapping[str, Sequence[tuple[Source, str, float, Sequence[str]]]]) -> str:
    """Returns a page of pictures with what was said of them, which needs nothing outside itself.

    Args:
        examples: By title: the picture, its caption, the CIDEr of that, and the true captions.
    """
    parts = [_HEAD]
    for title, rows in examples.items():
        parts.append(f"<h2>{html.escape(title)}</h2><div class=rows>")
        for source, caption, score, truth in rows:
            true = "".join(f"<li>{html.escape(text)}" for text in truth)
            parts.append(
                f'<figure><img alt="{html.escape(caption)}" src="{_inline(source)}">'
                f"<figcaption><b>{html.escape(caption)}</b> <small>CIDEr {score:.2f}</small>"
                f"<ul>{true}</ul></figcaption></figure>"
            )
        parts.append("</div>")
    return "\n".join(parts) + "\n"


_HEAD = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Captions, best and worst</title>
<style>
:root { color-scheme: light dark }
body { font: 15px/1.4 system-ui, sans-serif; margin: 1.5rem auto; max-width: 72rem }
body { padding: 0 1rem }
.rows { display: grid; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); gap: 1.5rem }
figure { margin: 0 }
img { width: 100%; border-radius: .4rem }
ul { padding-left: 1.1rem; margin: .4rem 0; opacity: .75 }
</style>
<h1>Captions, best and worst</h1>
<p>In bold what the model says; below what people said of the same picture.</p>"""


def _inline(source: Source) -> str:
    image = read_picture(source, 256)
    image.thumbnail((320, 320))
    return "data:image/jpeg;base64," + base64.b64encode(drawing.as_jpeg(image)).decode()


def folded(text: str, width: int, most: int) -> str:
    """Returns a text in lines of so many characters, and of lines so many at most."""
    found = textwrap.wrap(text, width) or [""]
    if len(found) > most:
        found = [*found[: most - 1], found[most - 1][: width - 1] + "…"]
    return "\n".join(found)


def captioned(image: Image.Image, captions: Sequence[str]) -> Image.Image:
    """Returns a picture with captions written below it."""
    size = max(14, min(image.size) // 22)
    letters = drawing.font(size)
    width = max(image.width, 320)
    rows: list[str] = []
    for text in captions:
        per_line = max(10, int(len(text) * (width - size) / max(letters.getlength(text), 1)))
        rows += textwrap.wrap(text, per_line) or [""]
    step = round(size * 1.4)
    sheet = Image.new("RGB", (width, image.height + step * len(rows) + size), drawing.PAPER)
    sheet.paste(image, ((width - image.width) // 2, 0))
    draw = ImageDraw.Draw(sheet)
    for number, row in enumerate(rows):
        y = image.height + size // 2 + number * step
        draw.text((size // 2, y), row, drawing.INK, letters)
    return sheet


def strip(
    image: Image.Image, words: Sequence[str], places: np.ndarray, columns: int = COLUMNS
) -> Image.Image:
    """Returns a picture followed by itself for each word, lit where it was looked at.

    Args:
        image: The picture.
        words: Of its caption.
        places: `(words, height, width)` float in [0, 1], over the whole picture.
        columns: Pictures in a row at most.
    """
    scale = TILE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = image.resize(size, Image.Resampling.BICUBIC)
    tiles = [small, *(_lit(small, each) for each in places[: len(words)])]
    titles = ["", *words]
    letters = drawing.font(15)
    columns = min(columns, len(tiles))
    step_x, step_y = size[0] + 8, size[1] + 28
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * step_x + 8, rows * step_y + 8), drawing.PAPER)
    draw = ImageDraw.Draw(sheet)
    for place, (tile, title) in enumerate(zip(tiles, titles, strict=False)):
        x, y = 8 + place % columns * step_x, 8 + place // columns * step_y
        sheet.paste(tile, (x, y))
        text = drawing.fitting(title, letters, size[0])
        draw.text((x + size[0] // 2, y + size[1] + 11), text, drawing.INK, letters, anchor="mm")
    return sheet


def _lit(image: Image.Image, places: np.ndarray) -> Image.Image:
    """Returns a picture dark but for where `(height, width)` places in [0, 1] are high."""
    grey = Image.fromarray((255 * places).astype(np.uint8))
    light = np.asarray(grey.resize(image.size, Image.Resampling.BICUBIC), np.float32)[..., None]
    shade = 0.25 + 0.75 * light / 255
    return Image.fromarray((np.asarray(image, np.float32) * shade).astype(np.uint8))
