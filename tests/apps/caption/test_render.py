import json

import numpy as np
import pytest
from PIL import Image

from dlapps.apps.caption import render
from dlapps.apps.caption.render import Prediction
from dlapps.data.inputs import Input

PREDICTIONS = [
    Prediction(Input("a.jpg", "a.jpg"), [('A "red" disc', -1.23456), ("A disc", -2.0)], ["a"]),
    Prediction(Input("bb.jpg", "bb.jpg"), [("A boat, blue", -3.0)], ["a"]),
]


def lines(format_):
    return [*render.lines(PREDICTIONS, format_, ["a.jpg", "bb.jpg"])]


def test_a_table_has_the_name_once():
    assert lines("table") == [
        'a.jpg   A "red" disc',
        "        A disc",
        "bb.jpg  A boat, blue",
    ]


def test_programs_get_text_and_log_probability():
    first, second = json.loads("\n".join(lines("json")))
    assert first == {
        "path": "a.jpg",
        "captions": [
            {"text": 'A "red" disc', "log_probability": -1.2346},
            {"text": "A disc", "log_probability": -2.0},
        ],
    }
    assert [json.loads(line) for line in lines("jsonl")] == [first, second]
    assert lines("csv") == [
        "path,rank,caption,log_probability",
        'a.jpg,1,"A ""red"" disc",-1.2346',
        "a.jpg,2,A disc,-2.0000",
        'bb.jpg,1,"A boat, blue",-3.0000',
    ]


@pytest.mark.parametrize("size", [(40, 30), (900, 300), (300, 900)])
def test_a_caption_stands_below_its_picture(size):
    image = Image.new("RGB", size, "red")
    drawn = render.captioned(image, ["A long caption of a red picture " * 4])
    assert drawn.width >= size[0]
    left = (drawn.width - size[0]) // 2
    np.testing.assert_array_equal(drawn.crop((left, 0, left + size[0], size[1])), image)
    below = np.asarray(drawn)[size[1] :]
    assert (below < 128).any()  # Something is written,
    assert (below[:, -2:] > 250).all()  # and not beyond the edge.


def test_a_strip_is_light_where_it_was_looked_at():
    image = Image.new("RGB", (70, 70), "white")
    places = np.zeros((2, 7, 7))
    places[0, 0, 0] = places[1, 6, 6] = 1
    strip = np.asarray(render.strip(image, ["a", "dog"], places), int)
    tiles = [strip[8:168, 8 + k * 168 : 168 + k * 168, 0] for k in range(3)]
    assert tiles[0].min() == 255
    assert tiles[1][5, 5] > 2 * tiles[1][-5, -5]
    assert tiles[2][-5, -5] > 2 * tiles[2][5, 5]


def test_a_text_is_cut_into_few_lines():
    assert render.folded("a dog runs over the grass", 12, 2) == "a dog runs\nover the…"
    assert render.folded("a dog", 12, 2) == "a dog"
    assert render.folded("", 12, 2) == ""


def test_the_page_keeps_words_from_being_markup():
    source = np.zeros((8, 8, 3), np.uint8)
    page = render.page({"Best": [(source, '<b>"x"', 1.0, ["<script>"])]})
    assert "<script>" not in page
    assert "&lt;b&gt;&quot;x&quot;" in page
