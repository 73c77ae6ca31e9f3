"""Stops a training in order when the user or the system asks for it."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from dlapps import terminal

NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Makes SIGTERM raise KeyboardInterrupt, as Ctrl-C does, for as long as the block runs."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt(NAMES[signal.Signals(number)])

    with _handling(interrupt):
        yield


@contextlib.contextmanager
def polled() -> Iterator[Callable[[], str | None]]:
    """Notes Ctrl-C and SIGTERM instead of raising at once; the second time raises.

    Yields:
        A function that returns what was asked for, "Ctrl-C" or "SIGTERM", or None.
    """
    asked: list[str] = []

    def note(number: int, frame: FrameType | None) -> None:
        name = NAMES[signal.Signals(number)]
        asked.append(name)
        if len(asked) > 1:
            raise KeyboardInterrupt(name)
        terminal.note(f"{name}: stopping after this step. Once more to stop at once.")

    with _handling(note):
        yield lambda: asked[0] if asked else None


@contextlib.contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # Python takes signals in its main thread only.
        return
    before = {number: signal.signal(number, handler) for number in NAMES}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
