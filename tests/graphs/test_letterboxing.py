import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dlapps.data import letterbox
from dlapps.data.inputs import Input
from dlapps.data.views import looked
from dlapps.graphs import letterboxing
from tests.graphs.files import files, noted, saved, smooth

SIZE = 64
# Wide, high, square, at the size of the view, tiny, and so large that a JPEG is shrunk while it is
# decoded, by 2, 4 and 8, with sides that leave a remainder.
SHAPES = [(90, 70), (70, 90), (64, 64), (64, 33), (1, 1), (300, 2), (5, 400), (257, 255)]
SHAPES += [(511, 300), (777, 1001), (1999, 1500), (1000, 999)]


@pytest.fixture(scope="module")
def draw():
    return tf.function(
        lambda data: letterboxing.views(data, SIZE, letterbox.GREY),
        autograph=False, input_signature=[tf.TensorSpec((None,), tf.string)],
    )  # fmt: skip


def compare(drawn, row, file):
    view = looked(Input("a", file), SIZE, None)
    wanted = view.views[0]
    height, width = drawn["sides"][row].numpy()
    assert (height, width) == wanted.image.shape[:2]
    np.testing.assert_array_equal(drawn["images"][row, :height, :width], wanted.image)
    assert tuple(drawn["size"][row].numpy()) == view.size
    boxes = np.random.default_rng(0).uniform(-10, SIZE + 10, (5, 4)).astype(np.float32)
    back = letterboxing.back(
        tf.constant(boxes[None]), {k: v[row : row + 1] for k, v in drawn.items()}
    )
    np.testing.assert_allclose(back[0], wanted.back(boxes), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_draws_the_very_views_of_prediction(draw, kind):
    several = [
        saved(smooth(shape, seed=k), kind, **({"exif": noted(1 + k % 8)} if kind == "JPEG" else {}))
        for k, shape in enumerate(SHAPES)
    ]
    drawn = draw(tf.constant(several))
    for row, file in enumerate(several):
        compare(drawn, row, file)


def test_draws_all_formats(draw):
    several = [file for name, file in files().items() if not name.startswith("gif")]
    drawn = draw(tf.constant(several))
    for row, file in enumerate(several):
        compare(drawn, row, file)


def test_views_of_the_same_sides_are_asked_about_together():
    sides = [[64, 32], [32, 64], [64, 32], [64, 64]]
    images = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3)).astype(np.uint8)
    seen = []

    def ask(some):
        seen.append(1)
        return [tf.reduce_sum(tf.cast(some, tf.int32), (1, 2))]

    spec = [tf.TensorSpec((3,), tf.int32)]
    (sums,) = letterboxing.answers(tf.constant(images), tf.constant(sides), ask, spec)
    for row, (height, width) in enumerate(sides):
        np.testing.assert_array_equal(sums[row], images[row, :height, :width].sum((0, 1)))
    assert len(seen) == 3


def test_the_noise_of_a_picture_is_scaled_to_the_very_pixels_too(draw):
    image = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (211, 97, 3)).astype(np.uint8)
    )
    file = io.BytesIO()
    image.save(file, "PNG")
    compare(draw(tf.constant([file.getvalue()])), 0, file.getvalue())


def test_what_lies_on_the_grey_field_alone_is_nothing():
    boxes = tf.constant([[[0, 5, 0, 9], [1, 1, 3, 3], [0, 0, 0, 0]]], tf.float64)
    scores, classes = tf.constant([[0.9, 0.8, 0.0]]), tf.constant([[1, 0, -1]])
    found = letterboxing.without_field(boxes, scores, classes)
    found = {name: each.numpy() for name, each in found.items()}
    assert found["count"].tolist() == [1]
    assert found["boxes"].tolist() == [[[1, 1, 3, 3], [0] * 4, [0] * 4]]
    assert found["scores"].tolist() == [[pytest.approx(0.8), 0, 0]]
    assert found["classes"].tolist() == [[0, -1, -1]]
