"""Computes requests that wait at the same time together."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future

import numpy as np

from dlapps.serve.signatures import Signature

Arrays = Mapping[str, np.ndarray]


class BusyError(Exception):
    """Says that too many rows wait already."""


class Batcher:
    """Answers requests in a thread, as many at once as wait when it becomes free.

    Nothing waits for company: a request that finds the thread idle is computed at once, by
    itself. Those that come meanwhile are the next batch, so that it grows with the load.

    Args:
        signature: What computes.
        most_rows: Of a batch.
        most_waiting: Rows that may wait; more are refused.
        seen: Called with the rows of each batch.
    """

    def __init__(
        self, signature: Signature, most_rows: int, most_waiting: int,
        seen: Callable[[int], None] = lambda rows: None,
    ):  # fmt: skip
        self.signature = signature
        self.most_rows = most_rows
        self.most_waiting = most_waiting
        self.seen = seen
        self.queue: deque[tuple[Arrays, Future]] = deque()
        self.waiting = 0
        self.changed = threading.Condition()
        self.stopped = False
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    async def ask(self, inputs: Arrays) -> dict[str, np.ndarray]:
        """Answers one request of several rows.

        Raises:
            BusyError: If too many rows wait.
        """
        answer: Future = Future()
        rows = _rows(inputs)
        with self.changed:
            # One large request may come alone, however many rows it has.
            if self.waiting and self.waiting + rows > self.most_waiting:
                raise BusyError
            self.waiting += rows
            self.queue.append((inputs, answer))
            self.changed.notify()
        return await asyncio.wrap_future(answer)

    def stop(self) -> None:
        """Ends the thread when all that waits is answered."""
        with self.changed:
            self.stopped = True
            self.changed.notify()
        self.thread.join()

    def _work(self) -> None:
        while batch := self._next():
            self._answer(batch)

    def _next(self) -> list[tuple[Arrays, Future]]:
        """Waits for requests, and returns those that go together; none at the end."""
        with self.changed:
            while True:
                while not self.queue and not self.stopped:
                    self.changed.wait()
                if not self.queue:
                    return []
                if batch := self._taken():
                    return batch

    def _taken(self) -> list[tuple[Arrays, Future]]:
        """Takes from the queue what goes together; what its client has left is dropped."""
        batch: list[tuple[Arrays, Future]] = []
        rows = 0
        while self.queue:
            inputs, answer = self.queue[0]
            added = _rows(inputs)
            if batch and not (rows + added <= self.most_rows and _alike(batch[0][0], inputs)):
                break
            self.queue.popleft()
            self.waiting -= added
            if answer.set_running_or_notify_cancel():
                batch.append((inputs, answer))
                rows += added
        return batch

    def _answer(self, batch: list[tuple[Arrays, Future]]) -> None:
        try:
            self._together(batch)
        except Exception as error:
            if len(batch) == 1:
                batch[0][1].set_exception(error)
                return
            # One may have spoilt it for the others.
            for each in batch:
                self._answer([each])

    def _together(self, batch: list[tuple[Arrays, Future]]) -> None:
        names = batch[0][0]
        joined = {name: np.concatenate([inputs[name] for inputs, _ in batch]) for name in names}
        self.seen(_rows(joined))
        outputs = self.signature.call(joined)
        start = 0
        for inputs, answer in batch:
            end = start + _rows(inputs)
            answer.set_result({name: array[start:end] for name, array in outputs.items()})
            start = end


def _rows(inputs: Arrays) -> int:
    return len(next(iter(inputs.values()), ()))


def _alike(one: Arrays, other: Arrays) -> bool:
    return all(one[name].shape[1:] == other[name].shape[1:] for name in one)
