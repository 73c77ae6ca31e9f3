import numpy as np
import pytest

from dlapps.apps.generate import showing
from dlapps.apps.generate.predict import Style, predict
from dlapps.errors import UserError
from tests.apps.generate.tiny import cycling, made


def test_writes_what_prediction_writes_with_that_seed():
    model = made()
    wanted = predict(model, [0, 1], 30, Style(0.8), np.random.default_rng(7))
    found = showing.shown(model).write("ab", 30, 0.8, 7)
    assert "".join(found) == "".join(wanted)


def test_an_unknown_character_is_named_before_anything_is_written():
    with pytest.raises(UserError, match="holds 'x' 'z', which the model does not know"):
        showing.shown(made()).write("abzx", 3, 1.0, 0)


@pytest.mark.parametrize(
    ("characters", "prompt"),
    [("ROMEO:\n", "ROMEO:"), ("\nTHhe ", "The "), ("xyz", "x"), ("\n xyz", "x")],
)
def test_its_example_is_of_characters_that_it_knows(characters, prompt):
    assert showing.shown(cycling(characters)).prompt == prompt
