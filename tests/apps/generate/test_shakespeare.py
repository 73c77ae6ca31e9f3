import string

import numpy as np
import pytest

from dlapps.apps.generate.data import encoded
from dlapps.apps.generate.evaluate import nats_per_char
from dlapps.apps.generate.model import load_model
from dlapps.apps.generate.predict import Style, predict

# Hamlet, act 3, scene 1; public domain.
HAMLET = """To be, or not to be, that is the question:
Whether 'tis nobler in the mind to suffer
The slings and arrows of outrageous fortune,
Or to take arms against a sea of troubles
And by opposing end them.
"""


@pytest.fixture(scope="module")
def shakespeare():
    return load_model("shakespeare")


def test_the_built_in_model_knows_what_plays_are_written_with(shakespeare):
    assert set(string.ascii_letters + " \n.,;:!?'-") <= set(shakespeare.characters)


def test_the_built_in_model_foretells_verse_far_better_than_chance(shakespeare):
    ids, unknown = encoded(HAMLET, shakespeare.characters)
    assert not unknown
    assert nats_per_char(shakespeare, ids) < np.log(len(shakespeare.characters)) / 2


def test_the_built_in_model_writes_speeches(shakespeare):
    prompt, _ = encoded("ROMEO:", shakespeare.characters)
    rng = np.random.default_rng(7)
    text = "".join(predict(shakespeare, prompt, 1000, Style(temperature=0.5), rng))
    speakers = [line for line in text.splitlines() if line.isupper() and line.endswith(":")]
    assert len(speakers) >= 3


def test_the_built_in_model_writes_without_a_word_from_the_user(dlapps):
    result = dlapps("generate", "--prompt", "ROMEO:", "--length", 40, "--seed", 7)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("ROMEO:")
    assert len(result.stdout) == len("ROMEO:") + 40 + 1
    assert result.stderr == ""
