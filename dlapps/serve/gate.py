"""Lets through to the page for people what it needs, and nothing that reaches further.

Gradio can do more than a page of ours wants: pass on requests to other machines, hand out files,
take calls from any site. What is not on the list here is not there.
"""

import asyncio
import contextlib
import re
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dlapps.serve import bodies
from dlapps.serve.predictor import JSON, Settings

WANTED = re.compile(
    r"/?|/config|/theme\.css|/favicon\.ico|/(?:assets|static|svelte)/.+"
    r"|/gradio_api/(?:info|upload|upload_progress|queue/join|queue/data|cancel|reset|app_id"
    r"|startup-events|theme\.css|heartbeat/\w+)"
)
FILE = "/gradio_api/file="
# Whatever gradio's files name, a browser asks nobody else for anything.
POLICY = "; ".join(
    (
        "default-src 'self'", "script-src 'self' 'unsafe-inline'",
        "style-src 'self' 'unsafe-inline'", "img-src 'self' data: blob:", "font-src 'self' data:",
        "worker-src 'self' blob:", "object-src 'none'", "base-uri 'self'", "form-action 'self'",
        "frame-ancestors 'none'",
    )
)  # fmt: skip
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Gate:
    """Stands before the page for people.

    Args:
        app: What answers behind it.
        place: Path of the page; others are let through.
        folder: The only one whose files may be seen.
        settings: How long a body may be, and how long it may take.
    """

    def __init__(self, app: ASGIApp, place: str, folder: Path, settings: Settings):
        self.app = app
        self.place = place
        self.folder = folder
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or not (path + "/").startswith(f"{self.place}/"):
            await self.app(scope, receive, send)
            return

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        headers = Headers(scope=scope)
        if refused := self._refusal(path.removeprefix(self.place), scope["method"], headers):
            await Response(bodies.error(refused[1]), refused[0], media_type=JSON)(
                scope, receive, sealed
            )
            return
        # Its body did not come, or not in time.
        with contextlib.suppress(ClientDisconnect):
            await self.app(scope, self._in_time(receive), sealed)

    def _refusal(self, path: str, method: str, headers: Headers) -> tuple[int, str] | None:
        """Returns status and reason if a request is not let through."""
        if path.startswith(FILE):
            if not Path(path.removeprefix(FILE)).resolve().is_relative_to(self.folder):
                return 404, "Not Found"
        elif not WANTED.fullmatch(path):
            return 404, "Not Found"
        # A browser that knows the password sends it with what other sites make it ask, too.
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != headers.get("host"):
            return 403, "Another site may not ask."
        if headers.get("sec-fetch-site", "none") in ("cross-site", "same-site") and (
            headers.get("sec-fetch-mode") != "navigate"
        ):
            return 403, "Another site may not ask."
        if method == "POST":
            length = headers.get("content-length", "")
            if not length.isdecimal():
                return 411, "The length of the body is missing."
            if int(length[:20]) > self.settings.max_body:
                return 413, f"The body is longer than {self.settings.max_body} bytes."
        return None

    def _in_time(self, receive: Receive) -> Receive:
        """Hangs up on a client whose body takes too long to arrive."""
        end = asyncio.get_running_loop().time() + self.settings.body_seconds
        arrived = False

        async def wait() -> Message:
            nonlocal arrived
            if arrived:
                return await receive()
            try:
                async with asyncio.timeout_at(end):
                    message = await receive()
            except TimeoutError:
                return {"type": "http.disconnect"}
            arrived = not message.get("more_body", False)
            return message

        return wait
