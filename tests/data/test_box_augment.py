from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from dlapps.data.box_augment import (
    BOX_AUGMENTATIONS,
    LEAST_PART,
    LEAST_SIDE,
    BoxAugmentation,
    random_boxed_view,
)
from tests.data.marked_pictures import coloured, marked

SIZE = 96
SIZES = [(120, 90), (60, 110), (97, 97), (200, 64)]
STRENGTHS = [name for name, augmentation in BOX_AUGMENTATIONS.items() if augmentation]


def picture(index):
    """Returns a picture with a box of each colour; boxes do not touch."""
    width, height = SIZES[index % len(SIZES)]
    rng = np.random.default_rng(index)
    thirds = width // 3
    boxes = []
    for label in range(3):
        left = label * thirds + rng.integers(2, 6)
        top = rng.integers(2, height // 2)
        boxes.append([left, top, (label + 1) * thirds - 3, rng.integers(top + 12, height - 1)])
    labels = [int(label) for label in rng.permutation(3)]
    image = Image.fromarray(marked((width, height), boxes, labels))
    return image, np.array(boxes, np.float32), np.array(labels, np.int32)


def view(name, seed, indices=(0,), flip=True):
    augmentation = BOX_AUGMENTATIONS[name] if isinstance(name, str) else name
    rng = np.random.default_rng(seed)
    return random_boxed_view(picture, indices, SIZE, augmentation, rng, flip)


@pytest.mark.parametrize("indices", [(0,), (1,), (3,), (0, 1, 2, 3), (2, 2, 1, 5)], ids=str)
@pytest.mark.parametrize("name", STRENGTHS)
def test_boxes_are_where_their_pixels_are(name, indices):
    # Other light keeps which colour is the strongest, but not how strong it is.
    augmentation = replace(BOX_AUGMENTATIONS[name], light=0.0, colour=0.0, saturation=0.0)
    seen = 0
    for seed in range(25):
        image, boxes, labels = view(augmentation, seed, indices)
        covered = np.zeros((3, SIZE, SIZE), bool)
        for (left, top, right, bottom), label in zip(boxes, labels, strict=True):
            inner = coloured(image, label)[
                int(np.ceil(top + 1)) : int(bottom - 1), int(np.ceil(left + 1)) : int(right - 1)
            ]
            assert inner.all()
            outer = (
                slice(int(max(top - 1, 0)), int(np.ceil(bottom + 1))),
                slice(int(max(left - 1, 0)), int(np.ceil(right + 1))),
            )
            covered[label][outer] = True
            seen += 1
        for label in range(3):  # What no box covers is a rest too small to be one.
            rest = coloured(image, label) & ~covered[label]
            assert rest.sum() <= 4 * SIZE * max(LEAST_SIDE, 8)
    assert seen > 20


@pytest.mark.parametrize("name", STRENGTHS)
def test_the_view_has_its_size_and_its_boxes_lie_within(name):
    for seed in range(10):
        image, boxes, labels = view(name, seed, (0, 1, 2, 3))
        assert (image.shape, image.dtype) == ((SIZE, SIZE, 3), np.uint8)
        assert (boxes.dtype, labels.dtype) == (np.float32, np.int32)
        assert boxes.shape == (len(labels), 4)
        assert (boxes >= 0).all()
        assert (boxes <= SIZE).all()
        assert (boxes[:, 2:] - boxes[:, :2] >= LEAST_SIDE).all()


@pytest.mark.parametrize("indices", [(0,), (0, 1, 2, 3)], ids=["one", "four"])
@pytest.mark.parametrize("name", STRENGTHS)
def test_the_same_seed_gives_the_same_view_whatever_the_threads(name, indices):
    alone = [view(name, seed, indices) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = [*pool.map(lambda seed: view(name, seed, indices), range(8))]
    for one, other in zip(alone, together, strict=True):
        for part, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(part, same)
    assert not np.array_equal(alone[0][0], alone[1][0])


def test_a_picture_fits_in_at_scale_one():
    image, boxes, _ = view(BoxAugmentation((1.0, 1.0)), 0, (0,), flip=False)
    ratio = SIZE / 120
    expected = picture(0)[1] * ratio
    shift = boxes[0] - expected[0]
    np.testing.assert_allclose(boxes, expected + shift, atol=1e-3)
    assert (shift[0], shift[2]) == (0, 0)  # It fills the width, and stands anywhere in the height.
    assert 0 <= shift[1] <= SIZE - 90 * ratio
    assert image.shape == (SIZE, SIZE, 3)


def flipped(box, size):
    return [size - box[2], box[1], size - box[0], box[3]]


def test_half_of_the_views_are_flipped_and_none_where_that_is_not_wanted():
    plain = BoxAugmentation((1.0, 1.0))
    upright = [view(plain, seed, (2,), flip=False) for seed in range(40)]
    chance = [view(plain, seed, (2,)) for seed in range(40)]
    same = 0
    for (_, boxes, _), (_, others, _) in zip(upright, chance, strict=True):
        if np.allclose(boxes, others, atol=1e-3):
            same += 1
        else:
            np.testing.assert_allclose(others, [flipped(box, SIZE) for box in boxes], atol=1e-3)
    assert 10 < same < 30


def test_only_what_has_no_up_is_turned():
    def tall(index):
        image, box, label = Image.new("RGB", (90, 90)), [[40.0, 10, 50, 80]], [0]
        return image, np.array(box, np.float32), np.array(label, np.int32)

    def shapes(augmentation):
        rngs = [np.random.default_rng(seed) for seed in range(20)]
        boxes = [random_boxed_view(tall, (0,), SIZE, augmentation, rng)[1] for rng in rngs]
        return {bool(w > h) for own in boxes for w, h in own[:, 2:] - own[:, :2]}

    turning = {name for name in STRENGTHS if BOX_AUGMENTATIONS[name].turns}
    assert turning == {"overhead"}
    assert shapes(BoxAugmentation((1.0, 1.0))) == {False}
    assert shapes(BoxAugmentation((1.0, 1.0), turns=True)) == {False, True}


def test_a_box_of_which_too_little_is_seen_is_left_out():
    def wide(index):
        return (
            Image.new("RGB", (100, 100)),
            np.array([[0, 0, 100, 100]], np.float32),
            np.zeros(1, np.int32),
        )

    parts = []
    for seed in range(60):
        augmentation = BoxAugmentation((4.0, 5.0))  # A ninth of the picture or less is seen.
        _, boxes, _ = random_boxed_view(wide, (0,), SIZE, augmentation, np.random.default_rng(seed))
        parts.append(len(boxes))
    assert parts == [0] * 60
    _, boxes, _ = random_boxed_view(
        wide, (0,), SIZE, BoxAugmentation((3.0, 3.1)), np.random.default_rng(0)
    )
    assert len(boxes) == 1  # More than a tenth.
    assert LEAST_PART == 0.1


def test_mosaics_show_all_four_in_their_corners():
    image, _, _ = view(BoxAugmentation((3.0, 3.0)), 0, (0, 1, 2, 3))
    assert not (image == 114).all(-1).any()  # Pictures this large leave no grey.
    small, rng = BoxAugmentation((0.2, 0.2)), np.random.default_rng(0)
    image, boxes, _ = random_boxed_view(picture, (0, 1, 2, 3), 400, small, rng)
    assert len(boxes) == 12  # Pictures this small are seen whole.
    quarters = [image[:200, :200], image[:200, 200:], image[200:, :200], image[200:, 200:]]
    assert all((quarter != 114).any() for quarter in quarters)


def test_pictures_without_boxes_give_views_without_boxes():
    def bare(index):
        return Image.new("RGB", (50, 40)), np.zeros((0, 4), np.float32), np.zeros(0, np.int32)

    for indices in ((0,), (0, 1, 2, 3)):
        rng = np.random.default_rng(0)
        _, boxes, labels = random_boxed_view(bare, indices, SIZE, BOX_AUGMENTATIONS["strong"], rng)
        assert (boxes.shape, labels.shape) == ((0, 4), (0,))


def test_tiny_and_thin_pictures_are_drawn():
    for size in ((1, 1), (2, 500), (500, 2), (3, 1)):
        box = np.array([[0, 0, *size]], np.float32)

        def one(index, size=size, box=box):
            return Image.new("RGB", size, "white"), box, np.zeros(1, np.int32)

        for seed in range(10):
            for indices in ((0,), (0, 0, 0, 0)):
                rng = np.random.default_rng(seed)
                image, _, _ = random_boxed_view(
                    one, indices, SIZE, BOX_AUGMENTATIONS["overhead"], rng
                )
                assert image.shape == (SIZE, SIZE, 3)


def test_stronger_light_changes_more():
    def spread(name):
        base = replace(BOX_AUGMENTATIONS[name], scales=(1.0, 1.0), turns=False)
        views = [view(base, seed, (2,), flip=False)[0].astype(float) for seed in range(20)]
        return np.std([image.mean(axis=(0, 1)) for image in views], axis=0).mean()

    assert spread("light") < spread("standard") < spread("strong")
