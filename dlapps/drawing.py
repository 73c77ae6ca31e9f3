"""Draws on pictures: titles, boxes with their labels, and sheets of small pictures."""

import colorsys
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

INK = "#1f2430"
PAPER = "white"
# Smaller pictures are enlarged before boxes are drawn: a label needs room.
LEAST_SIDE = 320

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Place = tuple[float, float, float, float]


@dataclass(frozen=True)
class Mark:
    """A box to draw, with what is written at it.

    Args:
        box: xyxy, pixels of the picture.
        text: Its label.
        colour: Such as `colour_of` returns.
        dashed: Whether its line is, as for what was missed.
    """

    box: Sequence[float]
    text: str
    colour: tuple[int, int, int]
    dashed: bool = False


def font(size: int) -> Font:
    """Returns Pillow's own font, which needs no file."""
    return ImageFont.load_default(size)


def fitting(text: str, letters: Font, width: float) -> str:
    """Returns a text, cut where it would be wider than so many pixels."""
    while text and letters.getlength(text) > width:
        text = text[:-2] + "…" if len(text) > 2 else ""
    return text


def colour_of(index: int) -> tuple[int, int, int]:
    """Returns the colour of a class, unlike those of its neighbours.

    The hue goes round by the golden angle, which never comes back to where it was; every other
    turn is lighter.
    """
    hue = (0.6 + index * 0.381966) % 1
    value = (0.95, 0.75, 1.0)[index // 8 % 3]
    saturation = (0.85, 0.9, 0.5)[index // 8 % 3]
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def boxed(image: Image.Image, marks: Sequence[Mark]) -> Image.Image:
    """Returns a picture with boxes drawn into it, and their labels beside them.

    Lines and letters grow with the picture; a small one is enlarged first. Labels stay inside the
    picture and off each other where there is room.

    Args:
        image: The picture.
        marks: The boxes, the most important one first.
    """
    scale = max(1, math.ceil(LEAST_SIDE / max(image.size)))
    if scale > 1:
        size = (image.width * scale, image.height * scale)
        drawn = image.resize(size, Image.Resampling.BICUBIC)
    else:
        drawn = image.copy()
    draw = ImageDraw.Draw(drawn)
    side = math.sqrt(drawn.width * drawn.height)
    line = max(2, round(side / 250))
    letters = font(max(11, round(side / 42)))
    placed = [tuple(scale * float(x) for x in mark.box) for mark in marks]
    for mark, box in zip(reversed(marks), reversed(placed), strict=True):
        _outline(draw, box, line, mark)
    taken: list[Place] = []
    for mark, box in zip(marks, placed, strict=True):
        text = fitting(mark.text, letters, drawn.width - 2 * line)
        plate = _plate(draw, text, letters, box, line, drawn.size, taken)
        if plate is not None:
            taken.append(plate)
            draw.rectangle(plate, fill=mark.colour)
            middle = (plate[0] + line, (plate[1] + plate[3]) / 2)
            draw.text(middle, text, _readable_on(mark.colour), letters, anchor="lm")
    return drawn


def _outline(draw: ImageDraw.ImageDraw, box: Sequence[float], line: int, mark: Mark) -> None:
    left, top, right, bottom = box
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    if mark.dashed:
        _dashes(draw, (left, top, right, bottom), line, mark.colour)
        return
    # A thin dark rim keeps a line visible where the picture has its colour.
    rim = max(1, line // 3)
    around = (left - rim, top - rim, right + rim, bottom + rim)
    draw.rectangle(around, outline=(20, 20, 20), width=rim)
    draw.rectangle((left, top, right, bottom), outline=mark.colour, width=line)


def _dashes(draw: ImageDraw.ImageDraw, box: Place, line: int, colour: tuple[int, int, int]) -> None:
    left, top, right, bottom = box
    step = 4 * line
    for x in np.arange(left, right, 2 * step):
        for y in (top, bottom):
            draw.line((x, y, min(x + step, right), y), colour, line)
    for y in np.arange(top, bottom, 2 * step):
        for x in (left, right):
            draw.line((x, y, x, min(y + step, bottom)), colour, line)


def _plate(
    draw: ImageDraw.ImageDraw, text: str, letters: Font, box: Sequence[float], line: int,
    size: tuple[int, int], taken: Sequence[Place],
) -> Place | None:  # fmt: skip
    """Returns where to write a label: the first place free of others, or the first of all."""
    if not text:
        return None
    left, top, right, bottom = box
    ascent, descent = draw.textbbox((0, 0), "Áj", letters)[1::2]
    wide, high = letters.getlength(text) + 2 * line, descent - ascent + 2 * line
    corners = [
        (left, top - high), (left, top), (right - wide, top - high), (left, bottom - high),
        (left, bottom), (right - wide, bottom),
    ]  # fmt: skip
    places = []
    for x, y in corners:
        x, y = min(max(x, 0), size[0] - 1 - wide), min(max(y, 0), size[1] - 1 - high)
        x, y = max(x, 0), max(y, 0)
        places.append((x, y, x + wide, y + high))
    return next((p for p in places if not any(_touch(p, other) for other in taken)), places[0])


def _touch(one: Place, other: Place) -> bool:
    across = one[0] < other[2] and other[0] < one[2]
    return across and one[1] < other[3] and other[1] < one[3]


def _readable_on(colour: tuple[int, int, int]) -> str:
    red, green, blue = colour
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "white"


def contact_sheet(
    pictures: Sequence[np.ndarray], titles: Sequence[str], side: int = 160, columns: int = 6
) -> bytes:
    """Returns a PNG of small pictures in rows, each with its title below.

    Args:
        pictures: `(height, width, 3)` uint8 each.
        titles: Their titles, of one line or several.
        side: Pixels of the longer side of a picture on the sheet.
        columns: Pictures in a row at most.
    """
    columns = min(columns, len(pictures))
    letters = font(13)
    margin, text = 12, 18 * max(title.count("\n") + 1 for title in titles) + 4
    small = [_fitted(Image.fromarray(picture), side) for picture in pictures]
    starts = range(0, len(small), columns)
    heights = [max(one.height for one in small[start : start + columns]) for start in starts]
    width, height = columns * (side + margin), sum(heights) + len(heights) * (text + margin)
    sheet = Image.new("RGB", (width + margin, height + margin), PAPER)
    draw = ImageDraw.Draw(sheet)
    y = margin
    for start, high in zip(starts, heights, strict=True):
        row = zip(small[start : start + columns], titles[start : start + columns], strict=True)
        for place, (picture, title) in enumerate(row):
            x = margin + place * (side + margin)
            sheet.paste(
                picture, (x + (side - picture.width) // 2, y + (high - picture.height) // 2)
            )
            for line, words in enumerate(title.split("\n")):
                words = fitting(words, letters, side)
                draw.text((x, y + high + 4 + 18 * line), words, INK, letters)
        y += high + text + margin
    return as_png(sheet)


def _fitted(image: Image.Image, side: int) -> Image.Image:
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BICUBIC)


def as_jpeg(image: Image.Image) -> bytes:
    """Returns a picture as the bytes of a JPEG file."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=92)
    return file.getvalue()


def as_png(image: Image.Image) -> bytes:
    """Returns a picture as the bytes of a PNG file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
