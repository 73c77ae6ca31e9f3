import contextlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlapps.serve import bodies
from tests.serve.echo import lengths, sums

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["b64", "x", "times", "text", "a"]), inner, max_size=3)
    ),
    max_leaves=12,
)


def read(body, signature):
    return bodies.inputs(bodies.read(json.dumps(body).encode()), signature)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"instances": ["a", "bc"]}, id="rows"),
        pytest.param({"instances": [{"text": "a"}, {"text": "bc"}]}, id="rows-by-name"),
        pytest.param({"instances": [{"b64": "YQ=="}, {"b64": "YmM="}]}, id="rows-of-bytes"),
        pytest.param({"instances": [{"text": {"b64": "YQ=="}}, {"text": "bc"}]}, id="mixed"),
        pytest.param({"inputs": ["a", "bc"]}, id="column"),
        pytest.param({"inputs": {"text": ["a", {"b64": "YmM="}]}}, id="column-by-name"),
    ],
)
def test_takes_the_forms_of_tensorflow_serving(body):
    arrays, in_rows = read(body, lengths())
    assert arrays["text"].tolist() == [b"a", b"bc"]
    assert in_rows == ("instances" in body)


def test_takes_several_inputs_in_rows_and_columns():
    rows = [{"x": [1, 2, 3], "times": 1}, {"x": [4, 5, 6.5], "times": 2}]
    for body in ({"instances": rows}, {"inputs": {"x": [[1, 2, 3], [4, 5, 6.5]], "times": [1, 2]}}):
        arrays, _ = read(body, sums())
        np.testing.assert_array_equal(arrays["x"], [[1, 2, 3], [4, 5, 6.5]])
        assert arrays["x"].dtype == np.float32
        assert arrays["times"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param({}, "either 'instances' or 'inputs'", id="neither"),
        pytest.param({"instances": ["a"], "inputs": ["a"]}, "either", id="both"),
        pytest.param({"instances": []}, "at least one row", id="empty"),
        pytest.param({"inputs": {"text": []}}, "There are no rows", id="empty-column"),
        pytest.param({"instances": "a"}, "at least one row", id="no-list"),
        pytest.param({"instances": [1]}, 'or bytes as {"b64": "..."}', id="number"),
        pytest.param({"instances": [{"b64": "YQ="}]}, "text is not base64", id="base64"),
        pytest.param({"instances": [{"b64": "Y Q="}]}, "text is not base64", id="blank"),
        pytest.param({"instances": [{"b64": 1}]}, "must hold texts", id="b64-of-a-number"),
        pytest.param({"instances": [{"txt": "a"}]}, "no input 'txt', only 'text'", id="name"),
        pytest.param({"instances": ["\ud800"]}, "half a character", id="surrogate"),
        pytest.param({"inputs": "a"}, "must be a list", id="one-text"),
    ],
)
def test_says_what_is_wrong_with_texts(body, message):
    with pytest.raises(bodies.RefusedError, match=r".") as caught:
        read(body, lengths())
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("x", "times", "message"),
    [
        pytest.param([[1, 2, 3]], [1, 2], "1 and 2 rows", id="rows"),
        pytest.param([[1, 2]], [1], "the shape (any, 3), got (1, 2)", id="shape"),
        pytest.param([1, 2, 3], [1], "got (3,)", id="rank"),
        pytest.param([[1, 2, 3], [1]], [1, 1], "not of one shape", id="ragged"),
        pytest.param([["a", "b", "c"]], [1], "x must hold numbers", id="texts"),
        pytest.param([[True, True, False]], [1], "x must hold numbers", id="booleans"),
        pytest.param([[None, 1, 2]], [1], "x must hold numbers", id="null"),
        pytest.param([[1e300, 1, 2]], [1], "too large for float32", id="large"),
        pytest.param([[1, 2, 3]], [1.5], "times must hold whole numbers", id="fraction"),
        pytest.param([[1, 2, 3]], [2**31], "times must lie in", id="large-integer"),
        pytest.param([[1, 2, 3]], [10**30], "times must hold whole numbers", id="huge-integer"),
    ],
)
def test_says_what_is_wrong_with_numbers(x, times, message):
    with pytest.raises(bodies.RefusedError, match=r".") as caught:
        read({"inputs": {"x": x, "times": times}}, sums())
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(b"", "not JSON", id="nothing"),
        pytest.param(b'{"instances": [', "not JSON", id="cut"),
        pytest.param(b"[1]", "must be a JSON object", id="list"),
        pytest.param(b"\xff\xfe", "not JSON", id="bytes"),
        pytest.param(b'{"inputs": NaN}', "NaN is no number", id="nan"),
        pytest.param(b'{"inputs": ' + b"[" * 100_000, "nested too deeply", id="deep"),
        pytest.param(b'{"inputs": ' + b"9" * 5000 + b"}", "not JSON", id="long-number"),
    ],
)
def test_a_body_that_is_no_object_is_refused(body, message):
    with pytest.raises(bodies.RefusedError, match=message):
        bodies.read(body)


@settings(max_examples=300, deadline=None)
@given(ANYTHING, st.sampled_from(["instances", "inputs"]), st.booleans())
def test_anything_is_either_taken_or_refused(value, form, texts):
    signature = lengths() if texts else sums()
    try:
        arrays, _ = bodies.inputs({form: value}, signature)
    except bodies.RefusedError:
        return
    for name, spec in signature.inputs.items():
        assert arrays[name].dtype == spec.dtype
        assert arrays[name].ndim == len(spec.shape)
    signature.call(arrays)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_either_an_object_or_refused(body):
    with contextlib.suppress(bodies.RefusedError):
        assert isinstance(bodies.read(body), dict)


def test_answers_in_the_form_of_the_request():
    outputs = {"total": np.array([1.5, 2]), "said": np.array([b"a", "ü".encode()], object)}
    rows = {"predictions": [{"total": 1.5, "said": "a"}, {"total": 2.0, "said": "ü"}]}
    assert json.loads(bodies.answer(outputs, True)) == rows
    columns = {"outputs": {"total": [1.5, 2.0], "said": ["a", "ü"]}}
    assert json.loads(bodies.answer(outputs, False)) == columns


def test_an_only_output_goes_without_its_name():
    outputs = {"a_bytes": np.array([b"\xff"], object)}
    assert json.loads(bodies.answer(outputs, True)) == {"predictions": [{"b64": "/w=="}]}
    assert json.loads(bodies.answer(outputs, False)) == {"outputs": [{"b64": "/w=="}]}


def test_an_error_is_one_line():
    assert bodies.error("a\nb\t c") == b'{"error":"a b c"}'
