import io
from pydoc_data.topics import topics

import numpy as np
from PIL import Image

from dlapps.data.samples import SIDE, as_png, digits, documentation


def test_every_digit_is_there_as_a_picture():
    images, labels = digits()
    assert images.shape == (1797, SIDE, SIDE, 3)
    assert images.dtype == np.uint8
    assert sorted(set(labels.tolist())) == list(range(10))
    assert np.bincount(labels).min() > 150


def test_the_ink_is_dark_on_white_paper():
    images, _ = digits()
    margin = SIDE // 8
    frame = np.ones((SIDE, SIDE), bool)
    frame[margin:-margin, margin:-margin] = False
    assert (images[:, frame] == 255).all()
    assert (images.min(axis=(1, 2, 3)) < 64).all()
    assert (images[..., 0] == images[..., 2]).all()


def test_a_png_gives_the_picture_back():
    image = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)
    np.testing.assert_array_equal(Image.open(io.BytesIO(as_png(image))), image)


def test_the_documentation_is_a_long_text_of_few_characters():
    text = documentation()
    assert 100_000 < len(text) < 2_000_000
    assert set("the quick brown fox jumps over the lazy dog\n") <= set(text)
    assert len(set(text)) < 300
    assert text == text.strip()


def test_the_documentation_holds_every_topic_in_the_order_of_their_names():
    text, end = documentation(), 0
    for name in sorted(topics):
        topic = topics[name].strip()
        end = text.index(topic, end) + len(topic)
    assert end == len(text)
