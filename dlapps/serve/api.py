"""The HTTP interface: TensorFlow Serving's REST API, and what an operator looks at."""

import asyncio
import base64
import contextlib
import hmac
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from dlapps.serve import bodies, metadata, page
from dlapps.serve.batching import Batcher
from dlapps.serve.bodies import RefusedError
from dlapps.serve.metrics import Metrics
from dlapps.serve.predictor import JSON, Predictor, Settings, found
from dlapps.serve.signatures import Served

# Where the page for people is.
PLACE = "/ui"
BASIC = 'Basic realm="dlapps", charset="UTF-8"'

Extend = Callable[[FastAPI, Predictor], None]


def application(
    models: Mapping[str, Served], settings: Settings, extend: Extend | None = None
) -> FastAPI:
    """Returns the application that answers for some models.

    Args:
        models: By name.
        settings: What it takes and how.
        extend: Adds the page on which people use them, at `PLACE`.
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
    _operate(app, models, metrics, extend is not None)
    _describe(app, models)
    predictor = Predictor(models, batchers, settings)
    _predict(app, predictor)
    metadata.name_models(app.openapi(), models)
    if extend:
        extend(app, predictor)
    return app


def _guard(app: FastAPI, settings: Settings, metrics: Metrics) -> None:
    """Asks for the token, times requests, and makes one line of JSON of every error."""

    @app.middleware("http")
    async def watch(request: Request, call_next: Any) -> Response:
        started = time.perf_counter()
        if settings.key and request.url.path != "/healthz" and not _shows(request, settings.key):
            text = "The request shows no valid token: Authorization: Bearer TOKEN is needed."
            how = {"WWW-Authenticate": BASIC if _is_for_people(request) else "Bearer"}
            response = Response(bodies.error(text), 401, how, JSON)
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
    known = "bearer"
    if _is_for_people(request) and kind.lower() == "basic":
        known, token = "basic", _password(token)
    same = hmac.compare_digest(token.strip().encode(), key.encode())
    return same and kind.lower() == known


def _is_for_people(request: Request) -> bool:
    """Returns whether a browser asks, which cannot be told a bearer token, but a password."""
    return request.url.path == PLACE or request.url.path.startswith(f"{PLACE}/")


def _password(token: str) -> str:
    """Returns the password of HTTP's Basic scheme, whatever the user is called."""
    try:
        return base64.b64decode(token, validate=True).decode().partition(":")[2]
    except ValueError:  # Neither base64 nor UTF-8.
        return ""


def _operate(app: FastAPI, models: Mapping[str, Served], metrics: Metrics, shown: bool) -> None:
    @app.get("/healthz", summary="Whether the server is up")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/metrics", summary="Figures for Prometheus", response_class=Response)
    async def figures() -> Response:
        return Response(metrics.text(), media_type=metrics.kind)

    @app.get("/", include_in_schema=False)
    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page.page(models, app.openapi(), PLACE if shown else ""))


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
