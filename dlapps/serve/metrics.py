"""Counts what a server does, for Prometheus."""

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram
from prometheus_client import generate_latest as text_of

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The figures of one server."""

    kind = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "dlapps_requests", "Requests for predictions.", ["model", "status"],
            registry=self.registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "dlapps_request_seconds", "From a request to its answer.", ["model"],
            buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self.rows = Histogram(
            "dlapps_batch_rows", "Rows computed at once.", ["model"],
            buckets=ROWS, registry=self.registry,
        )  # fmt: skip
        self.known: set[str] = set()

    def batch(self, model: str) -> Callable[[int], None]:
        """Returns what counts the rows of a batch of a model."""
        self.known.add(model)
        return self.rows.labels(model).observe

    def request(self, model: str, status: int, seconds: float) -> None:
        """Counts a request."""
        # A name that no model has is not kept: clients could make any number of them up.
        model = model if model in self.known else "unknown"
        self.requests.labels(model, status).inc()
        self.seconds.labels(model).observe(seconds)

    def text(self) -> bytes:
        """Returns the figures as Prometheus reads them."""
        return text_of(self.registry)
