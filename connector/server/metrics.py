"""What the server counts about itself, for Prometheus: requests, stages, queues, batches, models, rejections, memory."""

from __future__ import annotations

from typing import Literal, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

Stage: TypeAlias = Literal["decode", "embed", "search", "store", "load"]
Outcome: TypeAlias = Literal["loaded", "failed"]

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The numbers of one server, in a registry of their own. Every method is cheap and may be called by any thread."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)  # memory, processor time, open files
        self._requests = Counter(
            "connector_requests", "Requests answered.", ("method", "route", "status"), registry=registry
        )
        self._request_seconds = Histogram(
            "connector_request_seconds",
            "From a request's header to the end of its answer.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._in_hand = Gauge("connector_requests_in_hand", "Requests not answered yet.", registry=registry)
        self._stage_seconds = Histogram(
            "connector_stage_seconds",
            "Seconds in one stage.",
            ("stage",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._queue = Gauge("connector_queue_waiting", "Inputs that wait.", ("model",), registry=registry)
        self._batch = Histogram(
            "connector_batch_size",
            "Inputs embedded in one go.",
            ("model",),
            buckets=_SIZES,
            registry=registry,
        )
        self._loads = Counter(
            "connector_model_loads", "Models loaded, or not.", ("model", "outcome"), registry=registry
        )
        self._load_seconds = Histogram(
            "connector_model_load_seconds",
            "Seconds to load a model.",
            ("model",),
            buckets=(0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600),
            registry=registry,
        )
        self._rejections = Counter(
            "connector_rejections",
            "Rows, inputs and requests refused, by reason.",
            ("code",),
            registry=registry,
        )

    def request(self, method: str, route_template: str, status: int, seconds: float) -> None:
        """One request was answered; the route is its template, such as `/records/{id}`."""
        self._requests.labels(method, route_template, str(status)).inc()
        self._request_seconds.labels(method, route_template).observe(seconds)

    def in_hand(self, requests: int) -> None:
        """So many requests are being answered now."""
        self._in_hand.set(requests)

    def stage(self, name: Stage, seconds: float) -> None:
        """One stage of the work took so long."""
        self._stage_seconds.labels(name).observe(seconds)

    def queue(self, model: str, waiting: int) -> None:
        """So many inputs wait for a model now."""
        self._queue.labels(model).set(waiting)

    def batch(self, model: str, size: int) -> None:
        """A model embedded so many inputs in one go."""
        self._batch.labels(model).observe(size)

    def model_load(self, model: str, outcome: Outcome, seconds: float) -> None:
        """A model was loaded, or could not be."""
        self._loads.labels(model, outcome).inc()
        self._load_seconds.labels(model).observe(seconds)

    def rejection(self, code: str) -> None:
        """A row, an input or a request was refused; `code` is an error's stable word."""
        self._rejections.labels(code).inc()

    def render(self) -> bytes:
        """All of it, in Prometheus' text form (`CONTENT_TYPE`)."""
        return generate_latest(self._registry)
