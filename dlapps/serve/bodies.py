"""Reads the bodies of requests and writes those of answers, as TensorFlow Serving does.

The form is that of https://www.tensorflow.org/tfx/serving/api_rest: a row or a column at a time.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np

from dlapps.serve.signatures import Signature, Spec


class RefusedError(ValueError):
    """Says why a request is not answered.

    Args:
        message: What is wrong with it, one line.
        status: Of HTTP.
    """

    def __init__(self, message: str, status: int = 400):
        super().__init__(message)
        self.status = status


def read(body: bytes) -> dict[str, Any]:
    """Returns the object that a body holds.

    Raises:
        RefusedError: If it is no JSON, or no object.
    """
    try:
        found = json.loads(body, parse_constant=_not_json)
    except RecursionError as error:
        raise RefusedError("The body is nested too deeply.") from error
    except ValueError as error:
        raise RefusedError(f"The body is not JSON: {_line(error)}.") from error
    if not isinstance(found, dict):
        raise RefusedError('The body must be a JSON object such as {"instances": [...]}.')
    return found


def _not_json(word: str) -> None:
    raise ValueError(f"{word} is no number in JSON")


def inputs(body: Mapping[str, Any], signature: Signature) -> tuple[dict[str, np.ndarray], bool]:
    """Returns the arrays of a request by name, and whether they came in rows.

    Raises:
        RefusedError: If they do not fit the signature.
    """
    if ("instances" in body) == ("inputs" in body):
        raise RefusedError("The body must have either 'instances' or 'inputs'.")
    in_rows = "instances" in body
    given = _columns(body["instances"], signature) if in_rows else body["inputs"]
    if not isinstance(given, dict) or _is_bytes(given):
        if len(signature.inputs) > 1:
            raise RefusedError(f"inputs must be an object of {_names(signature)}.")
        given = {next(iter(signature.inputs)): given}
    _check_names(given, signature)
    arrays = {name: _array(name, given[name], spec) for name, spec in signature.inputs.items()}
    counts = {len(array) for array in arrays.values()}
    if len(counts) > 1:
        raise RefusedError(f"The inputs have {' and '.join(map(str, sorted(counts)))} rows.")
    if counts == {0}:
        raise RefusedError("There are no rows.")
    return arrays, in_rows


def _columns(rows: Any, signature: Signature) -> dict[str, list]:
    if not isinstance(rows, list) or not rows:
        raise RefusedError("instances must be a list of at least one row.")
    if not all(isinstance(row, dict) and not _is_bytes(row) for row in rows):
        if len(signature.inputs) > 1:
            raise RefusedError(f"Each row must be an object of {_names(signature)}.")
        return {next(iter(signature.inputs)): rows}
    for row in rows:
        _check_names(row, signature)
    return {name: [row[name] for row in rows] for name in signature.inputs}


def _check_names(given: Mapping[str, Any], signature: Signature) -> None:
    for name in given:
        if name not in signature.inputs:
            raise RefusedError(f"There is no input '{name[:80]}', only {_names(signature)}.")
    for name in signature.inputs:
        if name not in given:
            raise RefusedError(f"The input '{name}' is missing; {_names(signature)} are needed.")


def _names(signature: Signature) -> str:
    return ", ".join(f"'{name}'" for name in signature.inputs)


def _is_bytes(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"b64"}


def _array(name: str, value: Any, spec: Spec) -> np.ndarray:
    if spec.dtype == np.object_:
        if not isinstance(value, list):
            raise RefusedError(f"{name} must be a list of texts.")
        return np.array([*(_text(name, each) for each in value), None], object)[:-1]
    if _holds_texts(value):
        # NumPy would give each as much room as the longest.
        kind = "numbers" if spec.dtype.kind == "f" else "whole numbers"
        raise RefusedError(f"{name} must hold {kind}.")
    try:
        found = np.array(value)
    except (ValueError, OverflowError) as error:
        raise RefusedError(f"The rows of {name} are not of one shape.") from error
    if found.size == 0:
        raise RefusedError(f"{name} is empty.")
    if found.dtype.kind not in ("iuf" if spec.dtype.kind == "f" else "iu"):
        kind = "numbers" if spec.dtype.kind == "f" else "whole numbers"
        raise RefusedError(f"{name} must hold {kind}.")
    shape = ", ".join("any" if side is None else str(side) for side in spec.shape)
    fits = found.ndim == len(spec.shape) and all(
        want in (None, side) for want, side in zip(spec.shape, found.shape, strict=True)
    )
    if not fits:
        raise RefusedError(f"{name} must have the shape ({shape}), got {found.shape}.")
    if spec.dtype.kind == "i":
        range_ = np.iinfo(spec.dtype)
        if found.min() < range_.min or found.max() > range_.max:
            raise RefusedError(f"{name} must lie in [{range_.min}, {range_.max}].")
    with np.errstate(over="ignore"):
        cast = found.astype(spec.dtype)
    if not np.isfinite(cast).all():
        raise RefusedError(f"{name} holds numbers too large for float32.")
    return cast


def _holds_texts(value: Any) -> bool:
    """Tells whether a text stands in lists in lists."""
    level = [value]
    while list in (kinds := set(map(type, level))):
        if str in kinds:
            return True
        level = [*chain.from_iterable(each for each in level if isinstance(each, list))]
    return str in kinds


def _text(name: str, value: Any) -> bytes:
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise RefusedError(f"{name} holds half a character.") from error
    if not _is_bytes(value) or not isinstance(value["b64"], str):
        raise RefusedError(f'{name} must hold texts, or bytes as {{"b64": "..."}}.')
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise RefusedError(f"{name} is not base64: {_line(error)}.") from error


def answer(outputs: Mapping[str, np.ndarray], in_rows: bool) -> bytes:
    """Returns the body of an answer, in rows if the request came so."""
    columns = {name: _plain(array.tolist(), name) for name, array in outputs.items()}
    only = next(iter(columns.values())) if len(columns) == 1 else None
    if not in_rows:
        return _json({"outputs": columns if only is None else only})
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return _json({"predictions": rows if only is None else only})


def _plain(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return [_plain(each, name) for each in value]
    if not isinstance(value, bytes):
        return value
    if name.endswith("_bytes"):  # As TensorFlow Serving has it.
        return {"b64": base64.b64encode(value).decode()}
    return value.decode(errors="replace")


def error(message: str) -> bytes:
    """Returns the body of an answer that says what went wrong, one line."""
    return _json({"error": " ".join(message.split())[:500]})


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")[:200]
