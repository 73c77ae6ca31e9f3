import numpy as np
from PIL import Image, ImageDraw

from dlapps.data.captioned import Described
from dlapps.data.whole_views import WholeViews


def drawn():
    image = Image.new("RGB", (80, 64), "white")
    ImageDraw.Draw(image).ellipse((5, 12, 40, 45), fill="red")
    return np.asarray(image)


def test_the_first_view_is_the_whole_picture():
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, 70:] = 255  # At the right edge, where a centre crop would not look.
    views = WholeViews([Described("a", image, ("x",), "ab" * 32)], 32)
    assert views.draw(0).shape == (32, 32, 3)
    assert views.draw(0)[:, -2:].min() > 200
    assert views.draw(0)[:, :24].max() < 60


def test_views_are_the_same_for_the_same_seed_and_turn_and_mirrored_where_wanted():
    image = drawn()
    picture = [Described("a", image, ("x",), "ab" * 32)]
    one, same, other = (WholeViews(picture, 32, True, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.draw(0, 1), same.draw(0, 1))
    assert (one.draw(0, 1) != other.draw(0, 1)).any()
    assert (one.draw(0, 1) != one.draw(0, 3)).any()
    plain = WholeViews(picture, 32, False, 0)
    np.testing.assert_array_equal(plain.draw(0, 1)[:, ::-1], one.draw(0, 1))
    np.testing.assert_array_equal(plain.draw(0, 2), one.draw(0, 2))
