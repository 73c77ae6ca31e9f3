import numpy as np
import pytest
from keras import ops

from dlapps.apps.caption import showing
from dlapps.apps.caption.model import new_model
from dlapps.apps.caption.predict import Style, predict
from dlapps.data.inputs import Input
from dlapps.errors import UserError
from tests.graphs.files import saved, smooth

WORDS = ["<end>", "<start>", "<unknown>", "a", "dog", "'s", "n't", "-lrb-"]
SMALL = {"image_size": 64, "longest": 6, "embedding": 8, "units": 12, "attention": 5}


def made(decoder, seed):
    """Returns a captioner that says much and at random."""
    model = new_model(WORDS, np.ones(len(WORDS)), {**SMALL, "decoder": decoder})
    rng = np.random.default_rng(1)
    pictures = rng.integers(0, 256, (4, 64, 64, 3)).astype(np.uint8)
    model.standardize(ops.convert_to_numpy(model.regions(pictures)).reshape(-1, 320))
    rng = np.random.default_rng(seed)
    weights = [rng.normal(scale=0.3, size=each.shape) for each in model.teller.get_weights()]
    model.teller.set_weights(weights)
    bias = ops.convert_to_numpy(model.teller.bias).copy()
    bias[WORDS.index("<end>")] -= 3  # Else chance may have it that it says nothing.
    model.teller.bias.assign(bias)
    return model


@pytest.mark.parametrize("decoder", ["attend", "show-tell"])
def test_shows_what_prediction_says_and_where_it_looked_if_it_did(decoder):
    model = made(decoder, 1)
    file = saved(smooth((90, 70)), "PNG")
    how = showing.shown(model)
    found = how.answer(file, None)
    (wanted,) = predict([Input("a", file)], model, Style(), {})
    assert found.text == wanted.captions[0][0]
    assert wanted.words
    looks = decoder == "attend"
    assert how.parts == (("text", "picture") if looks else ("text",))
    assert (found.picture is not None) == looks
    if looks:
        rows = -(-(1 + len(wanted.words)) // showing.COLUMNS)
        assert found.picture.height == rows * (124 + 28) + 8
        with pytest.raises(UserError, match="cannot be read: not a picture"):
            how.answer(b"no picture", None)
