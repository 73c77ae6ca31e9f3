import dataclasses

import numpy as np
import pytest
from PIL import Image

from dlapps.data.augment import AUGMENTATIONS, COLOUR_COMPONENTS, Augmentation, random_view

ANY = pytest.mark.parametrize("name", [name for name, x in AUGMENTATIONS.items() if x])
WHOLE = Augmentation((1.0, 1.0))


def ramps(width=64, height=48):
    """Returns a picture whose red tells the column and whose green tells the row."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return Image.fromarray(np.stack([x, y, 0 * x], axis=-1).astype(np.uint8))


def views(augmentation, image=None, size=32, count=40):
    image = image or ramps()
    return np.stack(
        [random_view(image, size, augmentation, np.random.default_rng(k)) for k in range(count)]
    )


def mirrored(view):
    return view[0, 0, 0] > view[0, -1, 0]


@ANY
def test_the_same_state_of_chance_gives_the_same_view(name):
    one, other = (views(AUGMENTATIONS[name], count=5) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert len(np.unique(one, axis=0)) == 5


@ANY
@pytest.mark.parametrize("size", [(64, 48), (40, 90), (32, 32), (5, 3), (1, 1)])
def test_a_view_is_a_square_of_bytes(name, size):
    drawn = views(AUGMENTATIONS[name], Image.new("RGB", size, "red"), count=5)
    assert drawn.shape == (5, 32, 32, 3)
    assert drawn.dtype == np.uint8
    assert random_view(
        ramps(), 32, AUGMENTATIONS[name], np.random.default_rng(0)
    ).flags.c_contiguous


def test_none_is_a_name_for_no_augmentation():
    assert AUGMENTATIONS["none"] is None


@pytest.mark.parametrize("stretch", [1.0, 4 / 3, 2.0])
@pytest.mark.parametrize("short_sides", [(1.0, 1.0), (1.0, 2.0), (2.0, 3.0)])
def test_a_crop_stays_inside_and_keeps_its_size(stretch, short_sides):
    drawn = views(Augmentation(short_sides, stretch)).astype(int)
    low, high = short_sides
    for view in drawn:
        across = abs(view[16, -1, 0] - view[16, 0, 0]) + 1
        down = view[-1, 16, 1] - view[0, 16, 1] + 1
        assert across <= 64
        assert down <= 48
        # Half a pixel of the filter at either end.
        assert 48 / high / np.sqrt(stretch) - 4 <= min(across, down)
        assert max(across, down) <= 48 / low * np.sqrt(stretch) + 4
        assert max(across, down) / min(across, down) <= stretch * 1.15


def test_a_whole_view_of_a_square_is_the_picture_or_its_mirror():
    image = ramps(32, 32)
    picture = np.asarray(image)
    for view in views(WHOLE, image):
        np.testing.assert_array_equal(view, picture[:, ::-1] if mirrored(view) else picture)


def test_half_of_the_views_are_mirrored():
    share = np.mean([mirrored(view) for view in views(WHOLE, ramps(32, 32), size=8, count=400)])
    assert 0.42 < share < 0.58


def test_views_come_from_all_over_the_picture():
    drawn = views(Augmentation((3.0, 3.0)), size=8, count=100).astype(int)
    rows, columns = drawn[:, 4, 4, 1], drawn[:, 4, 4, 0]
    assert rows.min() < 15
    assert rows.max() > 33
    assert columns.min() < 15
    assert columns.max() > 49


def test_without_light_and_colour_the_colours_stay():
    image = Image.new("RGB", (64, 48), (10, 130, 250))
    strong = dataclasses.replace(AUGMENTATIONS["strong"], light=0.0, colour=0.0)
    assert (views(strong, image) == (10, 130, 250)).all()


def test_light_keeps_grey_grey_and_within_its_limits():
    image = Image.new("RGB", (32, 32), (100, 100, 100))
    drawn = views(Augmentation((1.0, 1.0), light=0.2), image).astype(int)
    assert (drawn[..., 0] == drawn[..., 1]).all()
    assert (drawn[..., 0] == drawn[..., 2]).all()
    # An even picture has no contrast, so brightness alone moves it: 255 * 0.2 / 2.
    assert np.abs(drawn - 100).max() <= 26
    assert np.ptp(drawn) > 30


def test_contrast_keeps_the_order_of_brightness():
    drawn = views(Augmentation((1.0, 1.0), light=0.4, colour=0.2), ramps(32, 32)).astype(int)
    for view in drawn:
        assert (np.diff(view[..., 1], axis=0) >= 0).all()


def test_colour_moves_each_channel_by_one_amount_for_the_whole_view():
    image = ramps(32, 32).point(lambda value: value + 100)
    plain = views(WHOLE, image).astype(int)
    tinted = views(dataclasses.replace(WHOLE, colour=0.2), image).astype(int)
    moved = (tinted - plain).reshape(len(plain), -1, 3)
    assert (np.ptp(moved, axis=1) <= 1).all()
    assert np.abs(moved).max() > 5


def test_the_first_component_of_colour_is_brightness():
    assert np.allclose(COLOUR_COMPONENTS @ COLOUR_COMPONENTS.T, np.eye(3), atol=0.01)
    assert (np.sign(COLOUR_COMPONENTS[0]) == -1).all()


def test_turning_fills_the_corners_with_the_mean_colour():
    image = Image.new("RGB", (32, 32), (200, 100, 50))
    assert (views(Augmentation((1.0, 1.0), rotation=45), image) == (200, 100, 50)).all()


def test_settings_do_not_change_where_a_view_is_cut():
    image = ramps().point(lambda value: value + 80)
    plain = views(Augmentation((1.0, 2.0)), image).astype(int)
    lit = views(Augmentation((1.0, 2.0), light=0.1), image).astype(int)
    for one, other in zip(plain, lit, strict=True):
        assert mirrored(one) == mirrored(other)
        assert np.corrcoef(one[..., 1].ravel(), other[..., 1].ravel())[0, 1] > 0.99
