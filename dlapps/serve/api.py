"""The HTTP interface: TensorFlow Serving's REST API, and what an operator looks at."""

import asyncio
import contextlib
import hmac
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from dlapps.serve import bodies, metadata, page
from dlapps.serve.batching import Batcher, BusyError
from dlapps.serve.bodies import RefusedError
from dlapps.serve.metrics import Metrics
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
        body_seconds: For how long a body may take to arrive.
        limits: Of what a request may ask for.
        key: The bearer token that clients must show, or nothing.
    """

    max_batch: int = 32
    max_waiting: int = 256
    max_body: int = 32 * 1024 * 1024
    body_seconds: float = 30.0
    limits: Limits = field(default_factory=Limits)
    key: str = ""


def application(models: Mapping[str, Served], settings: Settings) -> FastAPI:
    """Returns the application that answers for some models.

    Args:
        models: By name.
        settings: What it takes and how.
    """
    metrics = Metrics()
    batchers = {
        (model.name, name): Batcher(
            signature, settings.max_batch, settings.max_waiting, metrics.batch(model.name)
        )
        for model in models.values()
        for name, signature in model.signatures.items()
    }

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        for batcher in batchers.values():
            await asyncio.to_thread(batcher.stop)

    app = FastAPI(
        title="dlapps serve", lifespan=lifespan, docs_url=None, redoc_url=None,
        description="Trained models in the way of TensorFlow Serving's REST API.",
    )  # fmt: skip
    _guard(app, settings, metrics)
    _operate(app, models, metrics)
    _describe(app, models)
    _predict(app, Predictor(models, batchers, settings))
    metadata.name_models(app.openapi(), models)
    return app


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

    async def answer(self, request: Request, name: str, version: str | None) -> Response:
        """Answers one request."""
        model = found(self.models, name, version)
        body = await self._body(request)
        if len(body) > LARGE:
            read = await asyncio.to_thread(self._read, model, body)
        else:
            read = self._read(model, body)
        inputs, in_rows, signature = read
        try:
            outputs = await self.batchers[name, signature].ask(inputs)
        except BusyError as error:
            raise HTTPException(
                429, "Too many requests wait already; try again soon.", {"Retry-After": "1"}
            ) from error
        except (ValueError, RuntimeError) as error:
            raise HTTPException(400, _of_the_graph(error)) from error
        except Exception as error:
            # TensorFlow's own: what the graph refused, such as a damaged picture.
            if type(error).__name__ not in ("InvalidArgumentError", "OutOfRangeError"):
                raise
            raise HTTPException(400, _of_the_graph(error)) from error
        return Response(bodies.answer(outputs, in_rows), media_type=JSON)

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

    async def _body(self, request: Request) -> bytes:
        """Returns the body, unless it is too long or too slow."""
        most = self.settings.max_body
        too_long = RefusedError(f"The body is longer than {most} bytes.", 413)
        length = request.headers.get("content-length", "0")
        if length.isdecimal() and int(length[:20]) > most:
            raise too_long
        parts, count = [], 0
        try:
            async with asyncio.timeout(self.settings.body_seconds):
                async for part in request.stream():
                    parts.append(part)
                    count += len(part)
                    if count > most:
                        raise too_long
        except TimeoutError as error:
            raise RefusedError("The body did not arrive in time.", 408) from error
        return b"".join(parts)


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
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Detected", "File", "[[", "("))]
    text = (telling or ["The input cannot be computed with."])[-1]
    for start in ("{{function_node", "assertion failed: "):
        if start in text:
            text = text.rpartition("}} ")[2].removeprefix("assertion failed: ")
    return text[:MESSAGE].strip("[]")


def _guard(app: FastAPI, settings: Settings, metrics: Metrics) -> None:
    """Asks for the token, times requests, and makes one line of JSON of every error."""

    @app.middleware("http")
    async def watch(request: Request, call_next: Any) -> Response:
        started = time.perf_counter()
        if settings.key and request.url.path != "/healthz" and not _shows(request, settings.key):
            text = "The request shows no valid token: Authorization: Bearer TOKEN is needed."
            response = Response(bodies.error(text), 401, {"WWW-Authenticate": "Bearer"}, JSON)
        else:
            response = await call_next(request)
        if request.url.path.endswith(":predict"):
            model = request.scope.get("path_params", {}).get("name", "")
            metrics.request(model, response.status_code, time.perf_counter() - started)
        return response

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> Response:
        return Response(bodies.error(str(error.detail)), error.status_code, error.headers, JSON)

    @app.exception_handler(RefusedError)
    async def wrong(_: Request, error: RefusedError) -> Response:
        return Response(bodies.error(str(error)), error.status, media_type=JSON)

    @app.exception_handler(Exception)
    async def ours(_: Request, error: Exception) -> Response:
        return Response(
            bodies.error(f"The server failed: {type(error).__name__}."), 500, None, JSON
        )


def _shows(request: Request, key: str) -> bool:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    same = hmac.compare_digest(token.strip().encode(), key.encode())
    return same and kind.lower() == "bearer"


def _operate(app: FastAPI, models: Mapping[str, Served], metrics: Metrics) -> None:
    @app.get("/healthz", summary="Whether the server is up")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/metrics", summary="Figures for Prometheus", response_class=Response)
    async def figures() -> Response:
        return Response(metrics.text(), media_type=metrics.kind)

    @app.get("/", include_in_schema=False)
    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page.page(models, app.openapi()))


def _describe(app: FastAPI, models: Mapping[str, Served]) -> None:
    errors = metadata.errors(404, 401)

    @app.get("/v1/models/{name}", summary="State of a model", responses=errors)
    async def status(name: str) -> dict[str, Any]:
        return metadata.status(found(models, name, None))

    @app.get("/v1/models/{name}/versions/{version}", summary="State of a version", responses=errors)
    async def status_of_version(name: str, version: str) -> dict[str, Any]:
        return metadata.status(found(models, name, version))

    @app.get("/v1/models/{name}/metadata", summary="Signatures of a model", responses=errors)
    async def signatures(name: str) -> dict[str, Any]:
        return metadata.metadata(found(models, name, None))

    @app.get(
        "/v1/models/{name}/versions/{version}/metadata", summary="Signatures of a version",
        responses=errors,
    )  # fmt: skip
    async def signatures_of_version(name: str, version: str) -> dict[str, Any]:
        return metadata.metadata(found(models, name, version))


def _predict(app: FastAPI, predictor: Predictor) -> None:
    about: dict[str, Any] = {
        "responses": {200: metadata.ANSWER, **metadata.errors(400, 401, 404, 408, 413, 429)},
        "openapi_extra": {"requestBody": metadata.REQUEST},
        "response_class": Response,
    }

    @app.post("/v1/models/{name}:predict", summary="Ask a model", **about)
    async def predict(request: Request, name: str) -> Response:
        return await predictor.answer(request, name, None)

    @app.post("/v1/models/{name}/versions/{version}:predict", summary="Ask a version", **about)
    async def predict_version(request: Request, name: str, version: str) -> Response:
        return await predictor.answer(request, name, version)
