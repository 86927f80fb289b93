"""What goes on, for Prometheus: `GET /metrics`."""

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from clip_vectorizer.server.cache import VectorCache
from clip_vectorizer.server.engine import Made
from clip_vectorizer.server.lanes import Batch, Kind
from clip_vectorizer.server.limits import Gate
from clip_vectorizer.server.times import Times

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """One registry a sidecar, so that several may live in one process."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._requests = Counter(
            "clip_requests", "Answers by route and status.", ["route", "status"], registry=registry
        )
        self._errors = Counter("clip_errors", "Refusals and failures by kind.", ["kind"], registry=registry)
        self._items = Counter("clip_items", "Items answered.", ["kind", "source"], registry=registry)
        self._stages = Histogram(
            "clip_stage_seconds", "Of one request, by stage.", ["stage"], buckets=SECONDS, registry=registry
        )
        self._waits = Histogram(
            "clip_queue_wait_seconds", "Of one item, for the model.", ["kind"], buckets=SECONDS, registry=registry
        )
        self._sizes = Histogram("clip_batch_size", "Items in one pass.", ["kind"], buckets=SIZES, registry=registry)
        self._passes = Histogram(
            "clip_pass_seconds", "Of one pass of the model.", ["kind"], buckets=SECONDS, registry=registry
        )

    def request(self, route: str, status: int, times: Times | None = None) -> None:
        self._requests.labels(route, str(status)).inc()
        for stage, seconds in times.stages().items() if times else ():
            self._stages.labels(stage).observe(seconds)

    def error(self, kind: str) -> None:
        self._errors.labels(kind).inc()

    def items(self, made: Sequence[Made]) -> None:
        for each in made:
            self._items.labels("any", "cache" if each.cached else "model").inc()

    def batch(self, batch: Batch) -> None:
        self._sizes.labels(batch.kind).observe(batch.size)
        self._passes.labels(batch.kind).observe(batch.seconds)
        for seconds in batch.waits_seconds:
            self._waits.labels(batch.kind).observe(seconds)

    def watch_model(self, depth: Callable[[Kind], int], cache: VectorCache) -> None:
        """Gauges that are read when somebody asks: where the model is."""
        waiting = Gauge("clip_queue_depth", "Items that wait for the model.", ["kind"], registry=self._registry)
        waiting.labels("text").set_function(lambda: depth("text"))
        waiting.labels("image").set_function(lambda: depth("image"))
        self._gauge("clip_cache_rows", "Vectors in the cache.", lambda: len(cache))
        self._gauge("clip_cache_bytes", "Bytes of the cache.", lambda: cache.size_bytes)

    def watch_gates(self, items: Gate, size: Gate) -> None:
        """Gauges that are read when somebody asks: where the requests are."""
        self._gauge("clip_items_in_flight", "Items of all requests in flight.", lambda: items.inside)
        self._gauge("clip_bytes_in_flight", "Bytes of all bodies in flight.", lambda: size.inside)

    def _gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        Gauge(name, help_text, registry=self._registry).set_function(read)

    def page(self) -> bytes:
        return generate_latest(self._registry)
