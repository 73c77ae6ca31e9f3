"""The model card: what a model is, what it takes and gives, and how it was checked."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlapps import runs
from dlapps.export.gate import Row, table
from dlapps.serving import DEFAULT, Checks
from dlapps.weights import builtin


def card(
    name: str, source: str, kind: str, model: Any, app: Any, rows: Sequence[Row], checks: Checks
) -> str:
    """Returns the card in Markdown.

    Args:
        name: What the model is called.
        source: The run, file or built-in model that it comes from.
        kind: The format.
        model: The trained model.
        app: Its app's module `serving`.
        rows: How the export compares with the trained model.
        checks: What it was compared on.
    """
    parts = [f"# {name}", _about(source)]
    parts.append(_signatures(model, app) if kind == "savedmodel" else _numbers(kind, model, app))
    if kind == "savedmodel":
        parts.append(_example(name, model, app))
    parts.append(
        f"## Checked\n\nAsked in a fresh process and compared with the trained model on "
        f"{checks.source}:\n\n{table(rows)}"
    )
    if checks.left_out:
        count = len(checks.left_out)
        parts.append(f"Left out: {count} input{'s' * (count > 1)} that could not be compared.")
    parts.append(_versions())
    return "\n\n".join(parts) + "\n"


def _about(source: str) -> str:
    """Returns what the model is, what it learnt from, and how good it is."""
    known = next((each for each in builtin.MODELS if each.name == source), None)
    if known is not None:
        return (
            f"{known.about}; {known.source}. Licence of the weights: {known.licence}. "
            f"How good: {known.figure}."
        )
    if not (Path(source) / runs.RECORD).is_file():
        return f"From the file {Path(source).name}."
    record = runs.load(source).record
    learnt = record.get("dataset", {})
    data = learnt.get("data")
    data = " ".join(data) if isinstance(data, list) else data
    lines = [
        f"A model of `dlapps {record['app']}`, trained on {data} "
        f"({learnt.get('train')} to learn from, {learnt.get('validation')} held out)."
    ]
    figures = {k: v for k, v in record.get("figures", {}).items() if isinstance(v, int | float)}
    if figures:
        lines += ["", "| measure | |", "| --- | --- |"]
        lines += [f"| {key} | {value:.6g} |" for key, value in figures.items()]
    return "\n".join(lines)


def _signatures(model: Any, app: Any) -> str:
    lines = ["## Inputs and outputs", "", "| signature | inputs | outputs |", "| --- | --- | --- |"]
    for name, function in app.signatures(model).items():
        concrete = function.get_concrete_function()
        inputs = {spec.name: spec for spec in function.input_signature}
        lines.append(f"| `{name}` | {_specs(inputs)} | {_specs(concrete.structured_outputs)} |")
    about = " ".join(app.signatures.__doc__.split("Returns:")[1].split())
    return "\n".join([*lines, "", about])


def _specs(specs: dict[str, Any]) -> str:
    return ", ".join(
        f"`{name}` {spec.dtype.name} ({', '.join(str(side or 'any') for side in spec.shape)})"
        for name, spec in specs.items()
    )


def _numbers(kind: str, model: Any, app: Any) -> str:
    about = app.numeric(model).about
    lines = ["## Inputs and outputs", "", "| name | kind |", "| --- | --- |"]
    lines += [
        f"| `{name}` | {text} |" for name, text in {**about["inputs"], **about["outputs"]}.items()
    ]
    if kind != "keras":
        lines += ["", "`description.json` holds the labels and the preprocessing."]
    lines += ["", *(f"{k}. {step}" for k, step in enumerate(about["preprocessing"]["steps"], 1))]
    return "\n".join(lines)


def _example(name: str, model: Any, app: Any) -> str:
    body = json.dumps(app.example(model), ensure_ascii=False)
    return (
        "## Example\n\n```\n"
        f"docker run -p 8501:8501 -v $PWD/{name}:/models/{name} -e MODEL_NAME={name} "
        "tensorflow/serving\n"
        f"curl http://127.0.0.1:8501/v1/models/{name}:predict -d '{body}'\n```\n\n"
        f"The signature is `{DEFAULT}` unless the body names another as `signature_name`."
    )


def _versions() -> str:
    from importlib import metadata  # noqa: PLC0415

    names = ("dlapps", "tensorflow", "keras", "numpy", "pillow")
    return "Written by " + ", ".join(f"{each} {metadata.version(each)}" for each in names) + "."
