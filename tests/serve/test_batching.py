import asyncio
import threading

import numpy as np
import pytest

from dlapps.serve.batching import Batcher, BusyError
from tests.serve.echo import lengths


def texts(*each):
    return {"text": np.array([*each, None], object)[:-1]}


class Slow:
    """Counts bytes when told to, and remembers its batches."""

    def __init__(self):
        self.go = threading.Event()
        self.began = threading.Event()
        self.batches = []

    def __call__(self, inputs):
        self.batches.append(len(inputs["text"]))
        self.began.set()
        assert self.go.wait(10)
        if b"bad" in inputs["text"]:
            raise ValueError("bad")
        return {"length": np.array([len(text) for text in inputs["text"]])}


def together(slow, requests, **settings):
    """Sends a request, and when it is being computed all others; returns what each one got."""
    batcher = Batcher(lengths(slow), **{"most_rows": 4, "most_waiting": 8, **settings})

    async def run():
        first = asyncio.create_task(batcher.ask(requests[0]))
        await asyncio.to_thread(slow.began.wait, 10)
        rest = [asyncio.create_task(batcher.ask(each)) for each in requests[1:]]
        await asyncio.sleep(0)
        slow.go.set()
        return await asyncio.gather(first, *rest, return_exceptions=True)

    try:
        return asyncio.run(run())
    finally:
        slow.go.set()
        batcher.stop()


def test_what_waits_is_computed_together_and_goes_to_whom_it_belongs():
    slow = Slow()
    found = together(slow, [texts(b"a"), texts(b"bb", b"ccc"), texts(b""), texts(b"dddd")])
    assert [each["length"].tolist() for each in found] == [[1], [2, 3], [0], [4]]
    assert slow.batches == [1, 4]


def test_a_batch_has_so_many_rows_at_most():
    slow = Slow()
    together(slow, [texts(b"a")] * 8)
    assert slow.batches == [1, 4, 3]


def test_a_request_of_more_rows_goes_by_itself():
    slow = Slow()
    found = together(slow, [texts(b"a"), texts(*[b"b"] * 6), texts(b"c")])
    assert slow.batches == [1, 6, 1]
    assert found[1]["length"].tolist() == [1] * 6


def test_when_too_many_wait_the_rest_is_refused():
    slow = Slow()
    found = together(slow, [texts(b"a")] * 6, most_waiting=3)
    assert [isinstance(each, BusyError) for each in found] == [False] * 4 + [True] * 2


def test_one_that_fails_does_not_spoil_the_others():
    slow = Slow()
    found = together(slow, [texts(b"a"), texts(b"bb"), texts(b"bad"), texts(b"ccc")])
    assert isinstance(found[2], ValueError)
    assert [found[k]["length"].tolist() for k in (0, 1, 3)] == [[1], [2], [3]]
    assert slow.batches == [1, 3, 1, 1, 1]


def test_arrays_of_differing_shapes_are_not_mixed():
    slow = Slow()
    one, other = ({"text": np.full((1, width), b"a", object)} for width in (1, 2))
    together(slow, [one, one, other, one])
    assert slow.batches == [1, 1, 1, 1]


def test_at_the_end_what_waits_is_answered():
    slow = Slow()
    batcher = Batcher(lengths(slow), 4, 8)

    async def run():
        asked = [asyncio.create_task(batcher.ask(texts(b"a"))) for _ in range(3)]
        await asyncio.to_thread(slow.began.wait, 10)
        slow.go.set()
        await asyncio.to_thread(batcher.stop)
        return await asyncio.gather(*asked)

    assert len(asyncio.run(run())) == 3
    assert not batcher.thread.is_alive()


def test_what_its_client_has_left_is_not_computed():
    slow = Slow()
    batcher = Batcher(lengths(slow), 1, 8)

    async def run():
        asked = [asyncio.create_task(batcher.ask(texts(b"a"))) for _ in range(3)]
        await asyncio.to_thread(slow.began.wait, 10)
        asked[1].cancel()
        await asyncio.sleep(0)
        slow.go.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    found = asyncio.run(run())
    batcher.stop()
    assert slow.batches == [1, 1]
    assert isinstance(found[1], asyncio.CancelledError)


def test_an_empty_batcher_ends():
    batcher = Batcher(lengths(), 4, 8)
    batcher.stop()
    with pytest.raises(RuntimeError, match="once"):
        batcher.thread.start()
