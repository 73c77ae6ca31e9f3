"""What is on a tab of the page for people: a picture and what is seen in it, or a text."""

import asyncio
import contextlib
import html
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from starlette.exceptions import HTTPException

from dlapps.errors import UserError
from dlapps.serve.bodies import RefusedError
from dlapps.serve.predictor import Predictor
from dlapps.serve.signatures import Served
from dlapps.serving import DEFAULT
from dlapps.showing import Answer, Looking, Writing

LENGTH, TEMPERATURE = 500, 0.8  # to begin with
MOST_TEMPERATURE = 2.0
# A text is shown so often; oftener, sending it takes longer than writing it.
BETWEEN = 0.05  # seconds
# Requests worked on at once: pictures of models that answer in batches; of those that compute by
# themselves, and texts.
TOGETHER, ALONE = 16, 1


def fill(model: Served, predictor: Predictor) -> None:
    """Fills the tab of a model.

    Args:
        model: One of those of `predictor`.
        predictor: What answers.
    """
    if isinstance(model.shown, Looking):
        _looking(model, model.shown, predictor)
    elif isinstance(model.shown, Writing):
        _writing(model, model.shown, predictor)
    else:
        gr.Markdown("This model is none of an app of dlapps; it is asked over HTTP alone.")


def _looking(model: Served, how: Looking, predictor: Predictor) -> None:
    """Fills a tab: a picture on the left, what is said of it on the right."""
    with gr.Row():
        with gr.Column():
            given: Any = gr.Image(label="Picture", sources=["upload", "clipboard"], height=380)
            # Gradio's own would decode a picture before it is known how large it is.
            given.preprocess = _bytes
            _offline(given)
        with gr.Column():
            note = _lines("note", visible=False)
            parts = [PARTS[part]() for part in how.parts]

    def look(file: bytes | None) -> list[Any]:
        answer = None
        with _told() as lines:
            if file is not None:
                answer = how.answer(file, _asked(model, file, predictor))
        seen = [SEEN[part](answer, how) if answer else None for part in how.parts]
        return [_note(lines), *seen]

    given.change(
        look, given, [note, *parts], api_visibility="private", show_progress="minimal",
        trigger_mode="always_last", concurrency_limit=ALONE if how.alone else TOGETHER,
    )  # fmt: skip


def _offline(*inputs: Any) -> None:
    """Keeps gradio from fetching a file from where a request says it is, whatever the input."""
    for each in inputs:
        each.async_move_resource_to_block_cache = _here


async def _here(path: str | Path | None) -> str | None:
    """Returns the path of a file that was uploaded; gradio refuses what is no path."""
    return str(path) if path and Path(path).is_file() else None


def _bytes(payload: Any) -> bytes | None:
    return Path(payload.path).read_bytes() if payload and payload.path else None


def _asked(model: Served, file: bytes, predictor: Predictor) -> Callable[[], Any]:
    """Returns what asks a model about a picture, unless it is not worth asking."""
    (name,) = model.signatures[DEFAULT].inputs
    inputs = {name: np.array([file, None], object)[:-1]}
    if why := model.refusal(inputs, predictor.settings.limits):
        raise RefusedError(why)
    return lambda: asyncio.run(predictor.computed(model, DEFAULT, inputs))


def _classes() -> gr.Label:
    return gr.Label(label="Classes", num_top_classes=5, show_heading=False)


def _picture() -> gr.Image:
    return gr.Image(
        label="Where", show_label=False, interactive=False, format="jpeg", buttons=["fullscreen"]
    )


def _lines(kind: str, visible: bool = True) -> gr.Markdown:
    """Returns what shows HTML; gradio's own for that would evaluate a script."""
    return gr.Markdown(elem_classes=kind, latex_delimiters=[], visible=visible)


def _note(lines: list[str]) -> Any:
    """Returns what shows a line of what went wrong, or nothing."""
    return gr.update(value=_line(" ".join(lines)), visible=bool(lines))


def _line(text: str) -> str:
    """Returns HTML in which Markdown finds nothing of its own."""
    return f"<div>{html.escape(' '.join(text.split()))}</div>" if text else ""


PARTS: dict[str, Callable[[], Any]] = {
    "classes": _classes,
    "picture": _picture,
    "text": lambda: _lines("sentence"),
    "rows": lambda: _lines("rows"),
}
SEEN: dict[str, Callable[[Answer, Looking], Any]] = {
    "classes": lambda answer, how: dict(answer.classes),
    "picture": lambda answer, how: answer.picture,
    "text": lambda answer, how: _line(answer.text),
    "rows": lambda answer, how: _table(how.columns, answer.rows) if answer.rows else "",
}


def _table(columns: Any, rows: Any) -> str:
    head = "".join(f"<th>{html.escape(each)}</th>" for each in columns)
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(each)}</td>' for each in row)}</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _writing(model: Served, how: Writing, predictor: Predictor) -> None:
    """Fills a tab: a prompt and its settings, and below them the text as it is written."""
    most = predictor.settings.limits.length
    prompt = gr.Textbox(how.prompt, label="Prompt", lines=2, max_lines=8)
    with gr.Row():
        length = gr.Slider(1, most, min(LENGTH, most), step=1, label="Length")
        temperature = gr.Slider(0.1, MOST_TEMPERATURE, TEMPERATURE, step=0.05, label="Temperature")
        seed = gr.Textbox(label="Seed", placeholder="by chance", max_lines=1)
    _offline(prompt, length, temperature, seed)
    with gr.Row():
        start = gr.Button("Write", variant="primary")
        stop = gr.Button("Stop")
    note = _lines("note", visible=False)
    text = gr.Textbox(label="Text", lines=12, max_lines=30, interactive=False, buttons=["copy"])

    def write(prompt: str, length: float, temperature: float, seed: str) -> Iterator[Any]:
        with _told() as lines:
            _check(model, predictor, prompt, int(length), temperature)
            pieces = how.write(prompt, int(length), temperature, _seed(seed))
            for written in _often(pieces):
                yield _note([]), prompt + written
        if lines:
            yield _note(lines), ""

    running = gr.on(
        [start.click, prompt.submit], write, [prompt, length, temperature, seed], [note, text],
        api_visibility="private", show_progress="hidden", concurrency_limit=ALONE,
    )  # fmt: skip
    stop.click(None, cancels=[running], api_visibility="private")


def _seed(text: str) -> int:
    text = text.strip()
    if not text:
        return secrets.randbelow(1 << 31)
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise RefusedError("The seed must be a whole number, not below 0, of 19 digits at most.")
    return int(text)


def _check(
    model: Served, predictor: Predictor, prompt: str, length: int, temperature: float
) -> None:
    if not prompt:
        raise RefusedError("The prompt is empty. Type a text to go on from.")
    if not temperature > 0 or length < 1:
        raise RefusedError("Length and temperature must be above 0.")
    inputs = {
        "prompts": np.array([prompt.encode(errors="replace")], object),
        "length": np.array([length]),
    }
    if why := model.refusal(inputs, predictor.settings.limits):
        raise RefusedError(why)


def _often(pieces: Iterator[str]) -> Iterator[str]:
    """Yields all that is written so far, not more often than it can be shown."""
    written, shown = "", time.perf_counter()
    for piece in pieces:
        written += piece
        if time.perf_counter() - shown > BETWEEN:
            yield written
            shown = time.perf_counter()
    yield written


@contextlib.contextmanager
def _told() -> Iterator[list[str]]:
    """Makes one line of what goes wrong, for the page."""
    lines: list[str] = []
    try:
        yield lines
    except HTTPException as error:
        lines.append(str(error.detail))
    except (RefusedError, UserError) as error:
        # There is but one picture or prompt on the page.
        line = str(error.args[0] if error.args else error)
        line = line.replace("Picture 0", "The file").replace("Prompt 0", "The prompt")
        lines.append(line)
    except Exception as error:
        logging.getLogger("uvicorn.error").exception("The page failed.")
        lines.append(f"The server failed: {type(error).__name__}.")
