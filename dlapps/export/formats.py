"""Writes a model in one of the formats."""

import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dlapps import saving
from dlapps.errors import UserError
from dlapps.serving import DEFAULT, NUMERIC, Check, Numeric

OPSET = 18


def savedmodel(folder: Path, model: Any, app: Any, examples: Check | None) -> None:
    """Writes what `tf.saved_model.load` and TensorFlow Serving read."""
    if examples is not None:
        raise UserError("--quantize is for --format onnx or litert: a SavedModel keeps its floats.")
    module = tf.Module()
    module.functions = app.signatures(model)
    tf.saved_model.save(module, str(folder), signatures=dict(module.functions))


def keras(folder: Path, model: Any, app: Any, examples: Check | None) -> None:
    """Writes what `keras.saving.load_model` reads, with dlapps imported."""
    if examples is not None:
        raise UserError(
            "--quantize is for --format onnx or litert: a .keras file keeps its floats."
        )
    saving.save(model, folder / "model.keras")


def check_installed(kind: str) -> None:
    """Checks that there is what writes a format, before anything is computed.

    Raises:
        UserError: If a package is missing.
    """
    if kind == "onnx":
        _onnx_packages()


def _onnx_packages() -> tuple[Any, Any, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import onnx as library  # noqa: PLC0415  an extra
            import onnxruntime.quantization as quantization  # noqa: PLC0415
            import tf2onnx.convert  # noqa: PLC0415
    except ImportError as error:
        raise UserError(
            f"The package {error.name} is missing. Install it: pip install 'dlapps[onnx]'"
        ) from error
    return library, tf2onnx, quantization


def onnx(folder: Path, model: Any, app: Any, examples: Check | None) -> None:
    """Writes the numeric part for ONNX Runtime and others."""
    library, tf2onnx, quantization = _onnx_packages()
    numeric = app.numeric(model)
    function = numeric.function
    outputs = dict(zip(numeric.outputs, function.outputs, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        proto, _ = tf2onnx.convert.from_graph_def(
            function.graph.as_graph_def(add_shapes=True),
            input_names=[tensor.name for tensor in function.inputs],
            output_names=[tensor.name for tensor in outputs.values()],
            opset=OPSET,
        )
    names = {tensor.name: tensor.name.split(":")[0] for tensor in function.inputs}
    names |= {tensor.name: name for name, tensor in outputs.items()}
    _rename(proto.graph, names)
    library.checker.check_model(proto)
    path = folder / "model.onnx"
    library.save(proto, str(path))
    if examples is not None:
        _quantize_onnx(quantization, path, numeric, examples)
    _describe(folder, numeric)


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in [*graph.input, *graph.output]:
        value.name = names.get(value.name, value.name)


def _quantize_onnx(quantization: Any, path: Path, numeric: Numeric, examples: Check) -> None:
    with tempfile.TemporaryDirectory() as place:
        source = Path(place, "float.onnx")
        shutil.move(path, source)
        if not numeric.quantize_activations:
            quantization.quantize_dynamic(str(source), str(path))
            return
        rows = _rows(examples)

        class Reader(quantization.CalibrationDataReader):
            def get_next(self):
                return next(rows, None)

        quantization.quantize_static(str(source), str(path), Reader(), per_channel=True)


def litert(folder: Path, model: Any, app: Any, examples: Check | None) -> None:
    """Writes the numeric part for LiteRT, once TensorFlow Lite, on phones and boards."""
    numeric = app.numeric(model)
    function = numeric.function
    module = tf.Module()
    specs = [
        tf.TensorSpec(tensor.shape, tensor.dtype, tensor.name.split(":")[0])
        for tensor in function.inputs
    ]
    module.function = tf.function(
        lambda *tensors: numeric(*tensors), autograph=False, input_signature=specs
    )
    with tempfile.TemporaryDirectory() as place:
        tf.saved_model.save(module, place, signatures={DEFAULT: module.function})
        converter = tf.lite.TFLiteConverter.from_saved_model(place, signature_keys=[DEFAULT])
        if examples is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            if numeric.quantize_activations:
                converter.representative_dataset = lambda: (
                    (DEFAULT, row) for row in _rows(examples)
                )
        content = converter.convert()
    (folder / "model.tflite").write_bytes(content)
    _describe(folder, numeric)


def _rows(examples: Check) -> Iterator[dict[str, np.ndarray]]:
    count = len(next(iter(examples.inputs.values())))
    for k in range(count):
        yield {name: array[k : k + 1] for name, array in examples.inputs.items()}


def _describe(folder: Path, numeric: Numeric) -> None:
    text = json.dumps(numeric.about, indent=2, ensure_ascii=False) + "\n"
    (folder / "description.json").write_text(text, encoding="utf-8")


WRITERS: dict[str, Callable[[Path, Any, Any, Check | None], None]] = {
    "savedmodel": savedmodel,
    "onnx": onnx,
    "litert": litert,
    "keras": keras,
}


def numeric_check(checks: list[Check]) -> Check:
    """Returns the check of the numeric part."""
    return next(check for check in checks if check.signature == NUMERIC)
