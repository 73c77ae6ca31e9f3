import keras
import pytest

from dlapps.errors import UserError
from dlapps.optimizers import clipping, optimizer
from dlapps.training_config import OPTIMIZERS

KINDS = {
    "sgd": keras.optimizers.SGD,
    "momentum": keras.optimizers.SGD,
    "nesterov": keras.optimizers.SGD,
    "adagrad": keras.optimizers.Adagrad,
    "rmsprop": keras.optimizers.RMSprop,
    "adadelta": keras.optimizers.Adadelta,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
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
