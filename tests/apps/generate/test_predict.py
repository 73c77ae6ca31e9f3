import itertools

import keras
import numpy as np
import pytest

from dlapps.apps.generate.predict import Reader, Style, predict
from tests.apps.generate.tiny import UNITS, cycling, made

INPUTS = {
    "one-hot": {},
    "embedding": {"embedding": 5},
    "tied": {"embedding": UNITS, "tied": True},
}


@pytest.mark.parametrize("given", INPUTS)
@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_step_of_the_reader_is_one_of_the_model(cell, depth, given):
    ids = np.array([[3, 0, 4, 4, 1]])
    for layer_norm, residual in itertools.product((False, True), repeat=2):
        settings = {"layer_norm": layer_norm, "residual": residual, **INPUTS[given]}
        model = made(cell=cell, depth=depth, **settings)
        expected, after = model.read(ids)
        reader = Reader(model)
        states = reader.start()
        for place, character in enumerate(ids[0]):
            logits, states = reader.step(int(character), states)
            assert logits.dtype == np.float32
            np.testing.assert_allclose(logits, expected[0, place], atol=1e-5)
        for ours, theirs in zip(states, after, strict=True):
            for one, other in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(one, keras.ops.convert_to_numpy(other)[0], atol=1e-5)


def test_a_step_leaves_the_states_before_as_they_were():
    """So that several texts can go on from one prompt."""
    reader = Reader(made())
    _, states = reader.step(2, reader.start())
    (one, _), (other, _) = (reader.step(3, states) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_a_model_in_half_precision_is_read_too():
    model = made(dtype="mixed_bfloat16")
    reader = Reader(model)
    logits, _ = reader.step(2, reader.start())
    np.testing.assert_allclose(logits, model(np.array([[2]]))[0, 0], atol=0.05)


def write(model, prompt=(0,), length=40, seed=0, **style):
    return [*predict(model, prompt, length, Style(**style), np.random.default_rng(seed))]


@pytest.mark.parametrize("length", [1, 2, 77])
def test_a_text_has_the_length_asked_for(length):
    assert len("".join(write(made(), length=length))) == length


def test_the_seed_fixes_the_text():
    model = made()
    one, same, other = (write(model, seed=seed) for seed in (1, 1, 2))
    assert one == same != other


def test_the_prompt_is_read_and_not_written():
    assert "".join(write(cycling("abcd"), [0, 1], 5)) == "cdabc"


def test_among_one_the_likeliest_is_picked_each_time():
    model = made()
    ids = np.array([[2, 0] + [0] * 20])
    for place in range(2, 22):
        ids[0, place] = np.argmax(model(ids)[0, place - 1])  # What stands behind plays no part.
    expected = "".join(model.characters[k] for k in ids[0, 2:])
    for seed in range(3):
        assert "".join(write(model, [2, 0], 20, seed, top_k=1)) == expected


def test_a_low_temperature_and_a_small_part_come_to_the_likeliest():
    model = made()
    likeliest = write(model, top_k=1)
    assert write(model, temperature=1e-6) == likeliest
    assert write(model, top_p=1e-6) == likeliest
    assert write(model, temperature=5.0) != likeliest


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        pytest.param("d", "bc", id="one character"),
        pytest.param("de", "bc", id="two, which come one by one"),
        pytest.param("cdefab", "b", id="over the end of the cycle"),
        pytest.param("b", "", id="at once"),
        pytest.param("dx", "bcdefabcde", id="never, though it begins"),
        pytest.param("abcdx", "bcdefabcde", id="never, though it has begun at the end"),
    ],
)
def test_the_stop_ends_the_text_and_is_not_written(stop, expected):
    model = cycling("abcdefx")
    model.logits.kernel.assign(np.roll(np.eye(7), 1, axis=1) * 100)
    kernel = model.logits.kernel.numpy()
    kernel[5] = np.eye(7)[0] * 100  # From f back to a, past x.
    model.logits.kernel.assign(kernel)
    assert "".join(write(model, [0], 10, stop=stop)) == expected


@pytest.mark.parametrize("stop", ["a", "ab", "aab", "abab", "aabaa", "ba\n"])
def test_with_a_stop_the_text_is_the_one_without_up_to_there(stop):
    """Whatever stood before it, near misses that overlap with it too."""
    model = made("ab\n", units=4, depth=1)
    for seed in range(15):
        whole = "".join(write(model, seed=seed))
        pieces = write(model, seed=seed, stop=stop)
        end = whole.find(stop)
        assert "".join(pieces) == (whole[:end] if end >= 0 else whole)
        assert all(pieces)


def test_pieces_come_as_they_are_written():
    pieces = predict(cycling("abc"), [0], 10**9, Style(), np.random.default_rng(0))
    assert [*itertools.islice(pieces, 4)] == ["b", "c", "a", "b"]


@pytest.mark.parametrize(
    ("characters", "first"),
    [
        pytest.param("a\nbc", 1, id="a new line"),
        pytest.param("abc", 0, id="the first character"),
    ],
)
def test_without_a_prompt_it_begins_as_behind_a_new_line(characters, first):
    model = made(characters)
    assert write(model, []) == write(model, np.array([], int)) == write(model, [first])
