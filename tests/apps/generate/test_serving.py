import numpy as np
import pytest
import tensorflow as tf

from dlapps.apps.generate import serving
from dlapps.export import gate
from dlapps.serving import NUMERIC, Limits
from tests.apps.generate.tiny import VARIANTS, cycling, made


def asked(function, *rows):
    prompts, length, temperature, seed = zip(*rows, strict=True)
    found = function(
        tf.constant(prompts), tf.constant(length), tf.constant(temperature, tf.float32),
        tf.constant(seed, tf.int64),
    )  # fmt: skip
    return [text.decode() for text in found["texts"].numpy()], found["unknown"].numpy().tolist()


@pytest.fixture(scope="module")
def write():
    return serving.signatures(cycling("abcé\n"))["serving_default"]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_writes_what_the_trained_model_writes(cell, variant):
    model = made("abcdé\n", cell=cell, **VARIANTS[variant])
    functions, numeric = serving.signatures(model), serving.numeric(model)
    for check in serving.checks("none", model, 4).each:
        if check.signature == NUMERIC:
            found = numeric(*map(tf.constant, check.inputs.values()))
        else:
            found = functions[check.signature](**check.inputs)
        for row in gate.compared(check, {name: each.numpy() for name, each in found.items()}):
            assert row.agreement in (None, 1), row
            assert row.difference is None or row.difference < 1e-4, row


def test_goes_on_with_prompts_of_any_length(write):
    texts, unknown = asked(write, ("ab", 4, 1, 1), ("c", 2, 1, 2), ("abcé", 0, 1, 3))
    assert texts == ["cé\na", "é\n", ""]
    assert unknown == [0, 0, 0]


def test_begins_at_a_line_without_a_prompt(write):
    assert asked(write, ("", 3, 1, 1))[0] == ["abc"]


def test_leaves_out_and_counts_what_it_does_not_know(write):
    assert asked(write, ("aXbüü", 2, 1, 1)) == (["cé"], [3])


def test_a_row_does_not_depend_on_its_neighbours():
    write = serving.signatures(made("abcdé\n"))["serving_default"]
    row, others = ("ab", 20, 1.0, 5), [("dcba" * 5, 50, 2.0, 6), ("", 1, 0.1, 5)]
    alone = asked(write, row)[0][0]
    assert asked(write, others[0], row, others[1])[0][1] == alone
    assert asked(write, (*row[:3], 6))[0][0] != alone
    assert asked(write, ("ab", 10, 1.0, 5))[0][0] == alone[:10]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        pytest.param(("a", -1, 1.0, 1), "length must not be negative", id="length"),
        pytest.param(("a", 1, 0.0, 1), "temperature must be above 0", id="temperature"),
        pytest.param((b"\xff", 1, 1.0, 1), "Invalid formatting", id="not-text"),
    ],
)
def test_refuses_what_cannot_be_meant(write, row, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        asked(write, row)


def test_ids_outside_the_vocabulary_are_refused():
    arrays = serving.signatures(cycling("abc"))["arrays"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="places in `labels`"):
        arrays(tf.constant([[0, 3]]))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        pytest.param({"prompts": [b"a"], "length": [11]}, "length is 11; at most 10", id="length"),
        pytest.param({"prompts": [b"a" * 6], "length": [1]}, "Prompt 0 has 6 char", id="prompt"),
        pytest.param({"prompts": [b"\xff"], "length": [1]}, "Prompt 0 is not text", id="bytes"),
        pytest.param({"prompts": [b"abcde"], "length": [10]}, "", id="fine"),
    ],
)
def test_says_what_is_too_much(inputs, message):
    arrays = {"prompts": np.array(inputs["prompts"], object), "length": np.array(inputs["length"])}
    why = serving.refusal(arrays, Limits(length=10, prompt=5))
    assert why.startswith(message)
    assert bool(why) == bool(message)
