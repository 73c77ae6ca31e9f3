"""Measures the time of a work without that of the evaluations in it."""

import contextlib
import time
from collections.abc import Iterator


class Stopwatch:
    """Runs from the moment it is made, except while paused."""

    def __init__(self):
        self.started = time.perf_counter()
        self.waited = 0.0

    @property
    def seconds(self) -> float:
        """Wall seconds so far, pauses left out."""
        return time.perf_counter() - self.started - self.waited

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Does not count what happens inside the block."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.waited += time.perf_counter() - began
