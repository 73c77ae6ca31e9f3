import keras
import numpy as np
import pytest
from keras.optimizers import SGD, LossScaleOptimizer

from dlapps.callbacks.gradient_clipping import GradientClipping
from tests.callbacks.trainings import fit, linear, network, split, whole

RNG = np.random.default_rng(0)
LONG = np.array([[3, 4], [6, 8], [0, 1]], np.float32)  # 5, 10 and 1 long.
KERAS = {"value": "clipvalue", "norm": "clipnorm", "global_norm": "global_clipnorm"}


def steps(model, rows, *callbacks):
    """Trains with a row a step; returns the logs and how far the weights have come."""
    before = model.get_weights()[0]
    rows = np.asarray(rows)
    history = fit(model, [*callbacks], 1, rows, np.zeros(len(rows)), batch_size=1)
    return history, (model.get_weights()[0] - before).squeeze()


def embedding(optimizer):
    """Returns a model whose gradient counts how often each id comes in an example."""
    vectors = keras.layers.Embedding(3, 2, embeddings_initializer="zeros")
    added = keras.layers.Lambda(lambda x: keras.ops.sum(x, axis=(1, 2)))
    model = keras.Sequential([keras.Input((3,), dtype="int32"), vectors, added])
    model.compile(optimizer, lambda labels, outputs: outputs, jit_compile=False)
    return model


def test_without_a_way_it_only_records():
    history, moved = steps(linear(), LONG, GradientClipping(None))
    assert moved == pytest.approx(-LONG.sum(axis=0))
    assert history.keys() == {"loss", "gradient_norm", "gradient_norm_max"}
    assert history["gradient_norm"] == pytest.approx([16 / 3])
    assert history["gradient_norm_max"] == pytest.approx([10])


def test_says_of_each_epoch_how_much_was_clipped_and_where():
    model, clipping = linear(), GradientClipping("global_norm", 5.0)
    history, moved = steps(model, LONG, clipping)
    assert moved == pytest.approx(-np.array([3 + 3 + 0, 4 + 4 + 1]))
    expected = {"gradient_norm": 16 / 3, "gradient_norm_max": 10, "clip_threshold": 5}
    for name, value in {**expected, "clipped": 1 / 3}.items():
        assert history[name] == pytest.approx([value])
    history, _ = steps(model, LONG[2:], clipping)
    for name, value in {"gradient_norm": 1, "gradient_norm_max": 1, "clipped": 0}.items():
        assert history[name] == pytest.approx([value])


@pytest.mark.parametrize("way", KERAS)
def test_clips_as_keras_does(way):
    thresholds = {"value": 0.7, "norm": 0.9, "global_norm": 1.1}
    ours, keras_own = (
        network(SGD(0.05, 0.9, **settings)) for settings in ({}, {KERAS[way]: thresholds[way]})
    )
    history = fit(ours, [GradientClipping(way, thresholds[way])], 2)
    fit(keras_own, [], 2)
    assert min(history["clipped"]) > 0
    assert max(history["clipped"]) < 1
    for one, other in zip(ours.get_weights(), keras_own.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("percentile", "window"), [(10, 100), (35, 4), (100, 100), (50, 1)])
def test_auto_clips_at_the_percentile_of_the_latest_norms(percentile, window):
    rows = RNG.normal(size=(12, 2)) * RNG.lognormal(size=(12, 1))
    norms = np.linalg.norm(rows, axis=1)
    limits = [
        np.percentile(norms[max(0, step + 1 - window) : step + 1], percentile)
        for step in range(len(norms))
    ]
    shares = np.minimum(1, limits / norms)
    clipping = GradientClipping("auto", percentile=percentile, window=window)
    history, moved = steps(linear(), rows, clipping)
    assert moved == pytest.approx(-(rows * shares[:, None]).sum(axis=0), rel=1e-5)
    assert history["clip_threshold"] == pytest.approx([np.mean(limits)], rel=1e-5)
    assert history["clipped"] == pytest.approx([np.mean(shares < 1 - 1e-9)])


@pytest.mark.parametrize(("way", "threshold"), [(None, None), ("auto", None), ("norm", 7.0)])
def test_gradients_that_are_no_numbers_do_not_count(way, threshold):
    rows = [[3, 4], [np.inf, 0], [np.nan, 1], [0, 1]]
    clipping = GradientClipping(way, threshold, percentile=50)
    history, _ = steps(linear(), rows, clipping)
    assert history["gradient_norm"] == pytest.approx([3])
    assert history["gradient_norm_max"] == pytest.approx([5])
    if way == "auto":
        assert history["clip_threshold"] == pytest.approx([(5 + 3) / 2])


def test_the_scale_of_a_float16_loss_is_not_seen():
    # 4 times 2^15, or 2^14, is more than a float16 can hold: two steps are skipped.
    model = linear(LossScaleOptimizer(SGD(1.0), initial_scale=2.0**15), policy="mixed_float16")
    history, moved = steps(model, [[3, 4]] * 5, GradientClipping("global_norm", 1.0))
    assert moved == pytest.approx(3 * np.array([-0.6, -0.8]), rel=1e-3)
    assert history["gradient_norm"] == pytest.approx([5])
    assert history["clipped"] == [1]


def test_an_accumulation_is_clipped_when_it_is_complete():
    model = linear(SGD(1.0, gradient_accumulation_steps=2))
    rows = [[3, 40], [3, -40], [0, 1], [0, 3]]  # On average, 3 and 2 long.
    history, moved = steps(model, rows, GradientClipping("global_norm", 2.5))
    assert moved == pytest.approx([-2.5, -2])
    assert history["gradient_norm"] == pytest.approx([2.5])
    assert history["gradient_norm_max"] == pytest.approx([3])
    assert history["clipped"] == [0.5]


@pytest.mark.parametrize(
    ("way", "threshold", "expected"),
    [
        pytest.param(None, None, [1, 2, 0], id="none"),
        pytest.param("value", 1.5, [1, 1.5, 0], id="value"),
        pytest.param("norm", 10**0.5 / 2, [0.5, 1, 0], id="norm"),
        pytest.param("global_norm", 10**0.5 / 2, [0.5, 1, 0], id="global-norm"),
    ],
)
def test_an_embedding_is_clipped_by_the_sum_over_equal_ids(way, threshold, expected):
    model = embedding(SGD(1.0))
    history, moved = steps(model, np.array([[1, 0, 1]]), GradientClipping(way, threshold))
    assert moved == pytest.approx(-np.repeat(expected, 2).reshape(3, 2))
    assert history["gradient_norm"] == pytest.approx([10**0.5])


def test_the_clipping_of_the_optimizer_itself_stays_in_force():
    model = linear(SGD(1.0, clipvalue=1.0))
    history, moved = steps(model, [[3, 4]], GradientClipping("global_norm", 2.5))
    assert moved == pytest.approx([-1, -1])
    assert history["gradient_norm"] == pytest.approx([5])


def test_clips_only_while_it_is_in_the_list():
    model = linear()
    for callbacks in ([], [GradientClipping("global_norm", 2.5)], []):
        history, moved = steps(model, [[3, 4]], *callbacks)
        assert moved == pytest.approx([-1.5, -2] if callbacks else [-3, -4])
        assert ("clipped" in history) == bool(callbacks)


def test_does_the_same_however_the_steps_are_run():
    rows = RNG.normal(size=(6, 2))
    history, moved = steps(linear(), rows, GradientClipping("auto", percentile=40))
    for settings in ({"jit_compile": True}, {"run_eagerly": True}, {"steps_per_execution": 4}):
        clipping = GradientClipping("auto", percentile=40)
        other, elsewhere = steps(linear(**settings), rows, clipping)
        assert elsewhere == pytest.approx(moved)
        for name in history.keys() - {"loss"}:
            assert other[name] == pytest.approx(history[name])


def test_a_resumed_training_clips_as_one_never_stopped(tmp_path):
    def make():
        return [GradientClipping("auto", percentile=40, window=5)]

    model, other = network(), network()
    _, expected = whole(model, make, epochs=2)
    _, logs = split(tmp_path, other, make, epoch=1, step=4, epochs=2)
    assert logs == [pytest.approx(each) for each in expected]
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"by": "sum"}, r"by must be None or one of value, norm, global_norm, auto, got 'sum'\."),
        ({"by": "norm"}, r"threshold must be above 0 to clip by norm, got None\."),
        ({"by": "value", "threshold": -1}, r"threshold must be above 0 to clip by value, got -1\."),
        ({"by": "auto", "percentile": 0}, r"percentile must be in \(0, 100\], got 0\."),
        ({"by": "auto", "window": 0}, r"window must be at least 1 update, got 0\."),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        GradientClipping(**settings)
