"""What a server says of its models, as TensorFlow Serving says it, and to OpenAPI."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dlapps.serve.signatures import Served, Signature, Spec

KINDS = {
    "float32": "DT_FLOAT", "float64": "DT_DOUBLE", "int32": "DT_INT32", "int64": "DT_INT64",
    "uint8": "DT_UINT8", "bool": "DT_BOOL", "object": "DT_STRING",
}  # fmt: skip
_VALUE = {
    "description": 'Numbers, texts, {"b64": "..."} for bytes, or lists of these.',
}
REQUEST = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {
                    "signature_name": {"type": "string", "default": "serving_default"},
                    "instances": {
                        "type": "array", "minItems": 1, "items": _VALUE,
                        "description": "A row each: a value, or an object of inputs by name.",
                    },
                    "inputs": {
                        "description": "A column each: a list, or an object of inputs by name."
                    },
                },
                "oneOf": [{"required": ["instances"]}, {"required": ["inputs"]}],
            }
        }
    },
}  # fmt: skip
ANSWER = {
    "description": "The answers, in rows or columns as they were asked for.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "oneOf": [{"required": ["predictions"]}, {"required": ["outputs"]}],
            }
        }
    },
}
_ERRORS = {
    400: "The request does not fit the model.",
    401: "No valid token.",
    404: "No such model or version.",
    408: "The body did not arrive in time.",
    413: "The body is too long.",
    429: "Too many requests wait.",
}


def errors(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Returns what OpenAPI should know of some errors."""
    schema = {
        "type": "object", "required": ["error"], "properties": {"error": {"type": "string"}},
    }  # fmt: skip
    content = {"application/json": {"schema": schema}}
    return {code: {"description": _ERRORS[code], "content": content} for code in codes}


def name_models(description: dict[str, Any], models: Mapping[str, Served]) -> None:
    """Writes into an OpenAPI description which models and versions there are."""
    known = {
        "name": list(models),
        "version": sorted({str(model.version) for model in models.values()}),
    }
    for path in description["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", ()):
                parameter["schema"]["enum"] = known[parameter["name"]]


def status(model: Served) -> dict[str, Any]:
    """Returns the state of a model."""
    well = {"error_code": "OK", "error_message": ""}
    one = {"version": str(model.version), "state": "AVAILABLE", "status": well}
    return {"model_version_status": [one]}


def metadata(model: Served) -> dict[str, Any]:
    """Returns the signatures of a model."""
    signatures = {name: _signature(each) for name, each in model.signatures.items()}
    return {
        "model_spec": {
            "name": model.name, "signature_name": "", "version": str(model.version),
        },
        "metadata": {"signature_def": {"signature_def": signatures}},
    }  # fmt: skip


def _signature(signature: Signature) -> dict[str, Any]:
    return {
        "inputs": {name: _tensor(name, spec) for name, spec in signature.inputs.items()},
        "outputs": {name: _tensor(name, spec) for name, spec in signature.outputs.items()},
        "method_name": "tensorflow/serving/predict",
    }


def _tensor(name: str, spec: Spec) -> dict[str, Any]:
    sides = [{"size": str(-1 if side is None else side), "name": ""} for side in spec.shape]
    return {
        "dtype": KINDS.get(np.dtype(spec.dtype).name, "DT_INVALID"),
        "tensor_shape": {"dim": sides, "unknown_rank": False},
        "name": f"{name}:0",
    }
