"""Answers the requests for predictions."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from fastapi import Request, Response
from starlette.exceptions import HTTPException

from dlapps.serve import bodies
from dlapps.serve.batching import Batcher, BusyError
from dlapps.serve.bodies import RefusedError
from dlapps.serve.signatures import Served
from dlapps.serving import DEFAULT, Limits

JSON = "application/json"
# From this size on, reading a body takes long enough to keep others waiting.
LARGE = 64 * 1024  # bytes
MESSAGE = 400  # characters of an error


@dataclass(frozen=True)
class Settings:
    """What a server takes and how.

    Args:
        max_batch: Rows computed at once.
        max_waiting: Rows that may wait for each model; more are refused with 429.
        max_body: Bytes of a request.
        max_held: Bytes of all requests that are being read or wait; more are refused with 429.
        body_seconds: For how long a body may take to arrive.
        limits: Of what a request may ask for.
        key: The bearer token that clients must show, or nothing.
    """

    max_batch: int = 32
    max_waiting: int = 256
    max_body: int = 32_000_000
    max_held: int = 256_000_000
    body_seconds: float = 30.0
    limits: Limits = field(default_factory=Limits)
    key: str = ""


class Predictor:
    """Answers the requests for predictions.

    Args:
        models: By name.
        batchers: By names of model and signature.
        settings: What it takes and how.
    """

    def __init__(
        self, models: Mapping[str, Served], batchers: Mapping[tuple[str, str], Batcher],
        settings: Settings,
    ):  # fmt: skip
        self.models = models
        self.batchers = batchers
        self.settings = settings
        self.held = 0  # bytes

    async def answer(self, request: Request, name: str, version: str | None) -> Response:
        """Answers one request."""
        model = found(self.models, name, version)
        body = bytearray()
        try:
            await self._receive(request, body)
            return await self._answer(model, bytes(body))
        finally:
            self.held -= len(body)

    async def _answer(self, model: Served, body: bytes) -> Response:
        if len(body) > LARGE:
            read = await asyncio.to_thread(self._read, model, body)
        else:
            read = self._read(model, body)
        inputs, in_rows, signature = read
        outputs = await self.computed(model, signature, inputs)
        return Response(bodies.answer(outputs, in_rows), media_type=JSON)

    async def computed(
        self, model: Served, signature: str, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Computes what a signature says to its inputs, together with others that wait.

        Raises:
            HTTPException: If too many wait, or the graph refuses the inputs.
        """
        try:
            return await self.batchers[model.name, signature].ask(inputs)
        except BusyError as error:
            raise _busy() from error
        except (ValueError, RuntimeError) as error:
            raise HTTPException(400, _of_the_graph(error)) from error
        except Exception as error:
            # TensorFlow's own: what the graph refused, such as a damaged picture.
            if type(error).__name__ not in ("InvalidArgumentError", "OutOfRangeError"):
                raise
            raise HTTPException(400, _of_the_graph(error)) from error

    def _read(self, model: Served, body: bytes) -> tuple[dict[str, Any], bool, str]:
        asked = bodies.read(body)
        name = asked.get("signature_name") or DEFAULT
        if not isinstance(name, str) or name not in model.signatures:
            known = ", ".join(model.signatures)
            raise RefusedError(f"{model.name} has no signature '{str(name)[:80]}', only {known}.")
        inputs, in_rows = bodies.inputs(asked, model.signatures[name])
        if why := model.refusal(inputs, self.settings.limits):
            raise RefusedError(why)
        return inputs, in_rows, name

    async def _receive(self, request: Request, body: bytearray) -> None:
        """Reads a body, unless it is too long or too slow, or too much is held already."""
        most = self.settings.max_body
        too_long = RefusedError(f"The body is longer than {most} bytes.", 413)
        length = request.headers.get("content-length", "0")
        if length.isdecimal() and int(length[:20]) > most:
            raise too_long
        try:
            async with asyncio.timeout(self.settings.body_seconds):
                async for part in request.stream():
                    body += part
                    self.held += len(part)
                    if len(body) > most:
                        raise too_long
                    if self.held > self.settings.max_held:
                        raise _busy()
        except TimeoutError as error:
            raise RefusedError("The body did not arrive in time.", 408) from error


def _busy() -> HTTPException:
    text = "Too many requests wait already; try again soon."
    return HTTPException(429, text, {"Retry-After": "1"})


def found(models: Mapping[str, Served], name: str, version: str | None) -> Served:
    """Returns a model by what the URL says.

    Raises:
        HTTPException: If there is none.
    """
    model = models.get(name)
    if model is None:
        raise HTTPException(404, f"There is no model '{name[:80]}', only {', '.join(models)}.")
    if version is not None and version != str(model.version):
        raise HTTPException(404, f"{name} has no version {version[:20]}, only {model.version}.")
    return model


def _of_the_graph(error: Exception) -> str:
    """Returns the line of TensorFlow's message that says what was wrong with the input."""
    if isinstance(error, UnicodeDecodeError):
        error = ValueError()  # TensorFlow quotes the bytes of the input, which are no text.
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Detected", "File", "[[", "("))]
    text = (telling or ["The input cannot be computed with."])[-1]
    for start in ("{{function_node", "assertion failed: "):
        if start in text:
            text = text.rpartition("}} ")[2].removeprefix("assertion failed: ")
    return text[:MESSAGE].strip("[]")
