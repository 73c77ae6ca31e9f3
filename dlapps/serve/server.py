"""Runs the server until it is told to stop, and lets what it has begun come to its end."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Mapping
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from dlapps.errors import UserError, reason
from dlapps.serve.api import Extend, application
from dlapps.serve.predictor import Settings
from dlapps.serve.signatures import Served

# For how long a client may take to say what it wants, and requests to end after SIGTERM.
HEAD_SECONDS = 10
DRAIN_SECONDS = 30
BACKLOG = 1024  # connections
LOG: dict[str, Any] = {"version": 1, "disable_existing_loggers": False}


class Protocol(H11Protocol):
    """Reads requests, and hangs up on a client that begins one and falls silent."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.silent = False
        self._look_again()

    def _look_again(self) -> None:
        loop = asyncio.get_running_loop()
        self.patience = loop.call_later(HEAD_SECONDS / 2, self._look)

    def _look(self) -> None:
        """Hangs up if neither a request nor a rest between two has been seen, twice."""
        answering = self.cycle is not None and not self.cycle.response_complete
        resting = self.timeout_keep_alive_task is not None
        if self.silent and not answering and not resting:
            self.transport.close()
            return
        self.silent = not answering and not resting
        self._look_again()

    def connection_lost(self, error: Exception | None) -> None:
        self.patience.cancel()
        super().connection_lost(error)


def listening(host: str, port: int) -> socket.socket:
    """Returns a socket that listens.

    Args:
        host: An address of this machine.
        port: Of it; 0 for any that is free.

    Raises:
        UserError: If that is not possible.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        place = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise UserError(
            f"{host}:{port} cannot be listened on: {reason(error)}. Name another --port or --host."
        ) from error
    # What it accepts inherits this. Else the body of an answer waits until the client acknowledges
    # its head, 40 ms (Nagle 1984, RFC 896). asyncio turns that off only where a socket names its
    # protocol, and this one does not.
    place.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return place


def serve(
    models: Mapping[str, Served], settings: Settings, place: socket.socket,
    extend: Extend | None = None,
) -> None:  # fmt: skip
    """Answers requests until SIGTERM or Ctrl-C; then what is begun is ended, at most for a while.

    Args:
        models: By name.
        settings: What it takes and how.
        place: Where it listens.
        extend: Adds the page on which people use them.
    """
    config = uvicorn.Config(
        application(models, settings, extend), http=Protocol, ws="none", log_config=LOG,
        access_log=False, log_level="warning", server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS, timeout_keep_alive=60,
    )  # fmt: skip
    # uvicorn raises the signal anew when all is done; then it has no more to say.
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[place])
    finally:
        signal.signal(signal.SIGTERM, before)
