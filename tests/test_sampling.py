import numpy as np
import pytest

from dlapps.sampling import picked, probabilities

LOGITS = np.log(np.array([0.1, 0.4, 0.2, 0.3], np.float32))


class Chance:
    """Gives the number that it was given for chance."""

    def __init__(self, number):
        self.number = number

    def random(self):
        return self.number


def test_probabilities_are_the_softmax_of_the_logits():
    np.testing.assert_allclose(probabilities(LOGITS), [0.1, 0.4, 0.2, 0.3], rtol=1e-6)


def test_adding_to_all_logits_changes_nothing():
    np.testing.assert_allclose(probabilities(LOGITS + 7), probabilities(LOGITS), rtol=1e-5)


def test_does_not_depend_on_the_order_of_tokens():
    order = [2, 0, 3, 1]
    for settings in ({"temperature": 0.5}, {"top_k": 2}, {"top_p": 0.6}):
        np.testing.assert_allclose(
            probabilities(LOGITS[order], **settings), probabilities(LOGITS, **settings)[order]
        )


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"temperature": 1e-300}, id="cold"),
        pytest.param({"temperature": 1e300}, id="hot"),
        pytest.param({"temperature": 0.7, "top_k": 3, "top_p": 0.5}, id="all"),
        pytest.param({"top_p": 1e-9}, id="few"),
    ],
)
@pytest.mark.parametrize("logits", [LOGITS, LOGITS * 1e5, np.zeros(4), [0, -np.inf, 5, 1]])
def test_sums_to_1_whatever_the_settings(logits, settings):
    chances = probabilities(np.array(logits), **settings)
    assert chances.dtype == np.float64
    assert (chances >= 0).all()
    assert chances.sum() == pytest.approx(1)


def test_the_logits_stay_as_they_are():
    logits = LOGITS.astype(np.float64)
    probabilities(logits, temperature=0.5, top_k=2, top_p=0.5)
    np.testing.assert_array_equal(logits, LOGITS.astype(np.float64))


def test_temperature_moves_probability_to_the_likely_or_the_unlikely():
    usual, cold, hot = (probabilities(LOGITS, temperature=each) for each in (1, 0.5, 2))
    assert cold.max() > usual.max() > hot.max()
    assert cold.min() < usual.min() < hot.min()
    np.testing.assert_allclose(cold, usual**2 / (usual**2).sum())


def test_a_temperature_near_0_leaves_the_likeliest_and_a_high_one_levels_all():
    np.testing.assert_array_equal(probabilities(LOGITS, temperature=1e-6), [0, 1, 0, 0])
    np.testing.assert_allclose(probabilities(LOGITS, temperature=1e6), [0.25] * 4, rtol=1e-5)


def test_top_k_keeps_so_many_of_the_likeliest_in_proportion():
    np.testing.assert_allclose(probabilities(LOGITS, top_k=2), [0, 4 / 7, 0, 3 / 7], rtol=1e-6)
    np.testing.assert_array_equal(probabilities(LOGITS, top_k=1), [0, 1, 0, 0])


def test_top_k_keeps_its_number_where_tokens_are_alike():
    assert np.count_nonzero(probabilities(np.zeros(5), top_k=3)) == 3


@pytest.mark.parametrize("top_k", [4, 5, 1000])
def test_a_top_k_of_all_tokens_or_more_changes_nothing(top_k):
    np.testing.assert_array_equal(probabilities(LOGITS, top_k=top_k), probabilities(LOGITS))


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [
        pytest.param(1e-9, [1], id="at least one"),
        pytest.param(0.39, [1], id="one is enough"),
        pytest.param(0.41, [1, 3], id="two are needed"),
        pytest.param(0.69, [1, 3], id="two are enough"),
        pytest.param(0.71, [1, 2, 3], id="three are needed"),
        pytest.param(1.0, [0, 1, 2, 3], id="all"),
    ],
)
def test_top_p_keeps_the_fewest_that_reach_it(top_p, kept):
    usual = probabilities(LOGITS)
    expected = np.zeros(4)
    expected[kept] = usual[kept] / usual[kept].sum()
    np.testing.assert_allclose(probabilities(LOGITS, top_p=top_p), expected)


def test_top_p_is_of_what_top_k_and_temperature_leave():
    # Of the two that stay, the first has 4/7, so that 0.5 is reached with it alone.
    np.testing.assert_array_equal(probabilities(LOGITS, top_k=2, top_p=0.5), [0, 1, 0, 0])
    assert np.count_nonzero(probabilities(LOGITS, top_p=0.5)) == 2
    assert np.count_nonzero(probabilities(LOGITS, temperature=0.5, top_p=0.5)) == 1


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan")])
def test_a_temperature_that_is_not_above_0_is_refused(temperature):
    with pytest.raises(ValueError, match=f"temperature must be above 0, got {temperature}"):
        probabilities(LOGITS, temperature=temperature)


def test_a_top_k_of_0_is_refused():
    with pytest.raises(ValueError, match="top_k must be at least 1, got 0"):
        probabilities(LOGITS, top_k=0)


@pytest.mark.parametrize("top_p", [0, -0.1, 1.1])
def test_a_top_p_outside_its_range_is_refused(top_p):
    with pytest.raises(ValueError, match=rf"top_p must be in \(0, 1\], got {top_p}"):
        probabilities(LOGITS, top_p=top_p)


def test_tokens_are_drawn_as_often_as_they_are_likely():
    rng = np.random.default_rng(0)
    drawn = [picked(np.array([0.1, 0, 0.6, 0.3]), rng) for _ in range(2000)]
    np.testing.assert_allclose(np.bincount(drawn) / 2000, [0.1, 0, 0.6, 0.3], atol=0.03)


def test_the_same_chance_draws_the_same_token():
    chances = probabilities(LOGITS)
    first, second = (
        [picked(chances, rng) for _ in range(20)]
        for rng in (np.random.default_rng(3), np.random.default_rng(3))
    )
    assert first == second


@pytest.mark.parametrize(
    ("number", "token"),
    [
        pytest.param(0.0, 1, id="lowest"),
        pytest.param(0.499, 1, id="below a border"),
        pytest.param(0.5, 3, id="on a border"),
        pytest.param(np.nextafter(1, 0), 3, id="highest"),
    ],
)
def test_a_token_without_probability_is_never_drawn(number, token):
    assert picked(np.array([0, 0.5, 0, 0.5, 0]), Chance(number)) == token


def test_a_sum_a_little_below_1_draws_the_last_that_may_be_drawn():
    chances = np.array([0.5, 0.5 - 1e-9, 0, 0])
    assert picked(chances, Chance(1 - 1e-12)) == 1
