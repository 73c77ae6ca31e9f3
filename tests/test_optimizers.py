import keras
import numpy as np
import pytest
import tensorflow as tf

from dlapps.errors import UserError
from dlapps.optimizers import FastAdam, FastAdamW, clipping, optimizer
from dlapps.training_config import OPTIMIZERS

KINDS = {
    "sgd": keras.optimizers.SGD,
    "momentum": keras.optimizers.SGD,
    "nesterov": keras.optimizers.SGD,
    "adagrad": keras.optimizers.Adagrad,
    "rmsprop": keras.optimizers.RMSprop,
    "adadelta": keras.optimizers.Adadelta,
    "adam": FastAdam,
    "adamw": FastAdamW,
}


def moved(made, *gradients, start=2.0):
    """Returns a weight after each of some gradients."""
    weight = keras.Variable([start])
    made.build([weight])
    path = []
    for gradient in gradients:
        made.apply([keras.ops.convert_to_tensor([gradient])])
        path.append(float(weight[0]))
    return path


def test_every_name_of_the_command_line_is_known():
    assert {*OPTIMIZERS} == KINDS.keys()


@pytest.mark.parametrize("name", KINDS)
def test_a_name_makes_its_optimizer(name):
    made = optimizer(name, 0.25)
    assert type(made) is KINDS[name]
    assert float(made.learning_rate) == 0.25


def test_momentum_and_nesterov_are_sgd_with_it():
    momentum, nesterov, plain = (optimizer(name, 0.1) for name in ("momentum", "nesterov", "sgd"))
    assert (plain.momentum, momentum.momentum, nesterov.momentum) == (0, 0.9, 0.9)
    assert nesterov.nesterov
    assert not momentum.nesterov


@pytest.mark.parametrize("name", KINDS)
def test_the_learning_rate_can_be_changed(name):
    made = optimizer(name, 0.25)
    made.learning_rate = 0.5
    assert float(made.learning_rate) == 0.5


@pytest.mark.parametrize("name", KINDS)
def test_each_goes_down_the_gradient(name):
    path = moved(optimizer(name, 0.1), 1.0, 1.0, 1.0)
    assert 2 > path[0] > path[1] > path[2]


@pytest.mark.parametrize("name", KINDS)
def test_weights_decay_apart_from_the_gradients(name):
    decayed = moved(optimizer(name, 0.1, weight_decay=0.5), 0.0, 0.0)
    assert decayed == pytest.approx([2 * 0.95, 2 * 0.95**2])


@pytest.mark.parametrize("name", KINDS)
def test_without_decay_no_gradient_means_no_change(name):
    assert moved(optimizer(name, 0.1, weight_decay=0.0), 0.0, 0.0) == [2, 2]


@pytest.mark.parametrize("name", KINDS)
def test_accumulated_gradients_make_one_update_of_their_mean(name):
    path = moved(optimizer(name, 0.1, accumulate=3), 1.0, 2.0, 6.0)
    assert path[:2] == [2, 2]
    assert path[2] == pytest.approx(moved(optimizer(name, 0.1), 3.0)[0])


def trained(made, policy="float32", jit_compile=False, steps=18):
    """Returns the weights of an embedding and a layer after some steps, and the optimizer's."""
    keras.utils.set_random_seed(0)
    vectors = keras.layers.Embedding(8, 4, dtype=policy)
    model = keras.Sequential([vectors, keras.layers.Dense(3, "tanh", dtype=policy)])
    if policy == "mixed_float16":
        made = keras.optimizers.LossScaleOptimizer(made, initial_scale=1024.0)
    model.compile(made, "mse", jit_compile=jit_compile)
    rng = np.random.default_rng(0)
    ids, targets = rng.integers(0, 8, (4 * steps, 5)), rng.normal(size=(4 * steps, 5, 3))
    model.fit(ids, targets, batch_size=4, verbose=0, shuffle=False)
    return [np.asarray(each) for each in (*model.weights, *model.optimizer.variables)]


@pytest.mark.parametrize(
    ("settings", "ways"),
    [
        pytest.param({}, {}, id="plain"),
        pytest.param({}, {"jit_compile": True}, id="compiled"),
        pytest.param({}, {"policy": "mixed_bfloat16"}, id="bfloat16"),
        # Few, for later one rounds a weight up where the other rounds it down.
        pytest.param({}, {"policy": "mixed_float16", "steps": 4}, id="float16"),
        pytest.param({"amsgrad": True}, {}, id="amsgrad"),
        pytest.param({"clipnorm": 0.01}, {}, id="clipped"),
        pytest.param({"gradient_accumulation_steps": 3}, {}, id="accumulated"),
        pytest.param({"weight_decay": 0.5}, {}, id="weight-decay"),
    ],
)
def test_fast_adam_takes_the_steps_of_keras_own(settings, ways):
    ours, keras_own = FastAdam, keras.optimizers.Adam
    if "weight_decay" in settings:
        ours, keras_own = FastAdamW, keras.optimizers.AdamW
    pairs = zip(
        *(
            trained(kind(0.1, beta_1=0.8, epsilon=1e-4, **settings), **ways)
            for kind in (ours, keras_own)
        ),
        strict=True,
    )
    for found, expected in pairs:
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5)


def test_fast_adam_moves_each_weight_in_one_operation():
    counts = []
    for kind in (FastAdam, keras.optimizers.Adam):
        made, weight = kind(0.1), keras.Variable(np.ones((4, 3)))
        made.build([weight])

        def step(made=made):
            made.apply([tf.ones((4, 3))])

        graph = tf.function(step, autograph=False).get_concrete_function().graph
        counts.append([each.type for each in graph.get_operations()].count("ResourceApplyAdam"))
    assert counts == [1, 0]


def test_an_unknown_optimizer_is_named_with_those_there_are():
    with pytest.raises(ValueError, match=r"name must be one of sgd, .*, adamw, got 'lion'\."):
        optimizer("lion", 0.1)


@pytest.mark.parametrize(
    ("clip", "expected"),
    [
        pytest.param("none", (None, None), id="none"),
        pytest.param("auto", ("auto", None), id="auto"),
        pytest.param("value:0.5", ("value", 0.5), id="value"),
        pytest.param("norm:1", ("norm", 1.0), id="norm"),
        pytest.param("global-norm:1e3", ("global_norm", 1000.0), id="global-norm"),
    ],
)
def test_clip_says_how_and_from_where(clip, expected):
    assert clipping(clip) == expected


def test_a_threshold_that_is_no_number_is_refused():
    with pytest.raises(UserError, match=r"--clip norm:one: 'one' is no threshold\."):
        clipping("norm:one")
