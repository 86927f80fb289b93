"""What goes on, for Prometheus: `GET /metrics`."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache as remembered
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from clip_vectorizer import __version__
from clip_vectorizer.models.encoder import ModelInfo
from clip_vectorizer.server.cache import VectorCache
from clip_vectorizer.server.engine import Made
from clip_vectorizer.server.lanes import Batch, Kind
from clip_vectorizer.server.limits import Gate
from clip_vectorizer.server.memory import bytes_of, device_bytes
from clip_vectorizer.server.times import STAGES, Times

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """One registry a sidecar, so that several may live in one process."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)  # process_resident_memory_bytes, CPU seconds, open files
        counter, histogram = self._counter, self._histogram
        self._requests = counter("clip_requests", "Answers by route and status.", "route", "status")
        self._errors = counter("clip_errors", "Refusals and failures by kind.", "kind")
        self._items = counter("clip_items", "Items answered, by where the row came from.", "kind", "source")
        self._hits = counter("clip_cache_lookups", "Items looked up in the cache.", "result")
        self._received = counter("clip_received_bytes", "Of bodies.")
        self._stages = histogram("clip_stage_seconds", "Of one request, by stage.", SECONDS, "stage")
        self._waits = histogram("clip_queue_wait_seconds", "Of one item, for the model.", SECONDS, "kind")
        self._sizes = histogram("clip_batch_size", "Items in one pass.", SIZES, "kind")
        self._passes = histogram("clip_pass_seconds", "Of one pass of the model.", SECONDS, "kind")

    def _counter(self, name: str, help_text: str, *labels: str) -> Callable[..., Any]:
        return children(Counter(name, help_text, labels, registry=self._registry))

    def _histogram(self, name: str, help_text: str, buckets: Sequence[float], *labels: str) -> Callable[..., Any]:
        return children(Histogram(name, help_text, labels, buckets=buckets, registry=self._registry))

    def answered(self, route: str, status: int, size: int) -> None:
        """One request, whatever became of it, with a body of `size` bytes."""
        self._requests(route, str(status)).inc()
        self._received().inc(size)

    def stages(self, times: Times) -> None:
        for stage in STAGES:
            self._stages(stage).observe(getattr(times, stage))

    def error(self, kind: str) -> None:
        self._errors(kind).inc()

    def items(self, kind: Kind, made: Sequence[Made | BaseException]) -> None:
        for each in made:
            if isinstance(each, Made):
                self._items(kind, "cache" if each.cached else "joined" if each.joined else "model").inc()
                self._hits("hit" if each.cached else "miss").inc()

    def batch(self, batch: Batch) -> None:
        self._sizes(batch.kind).observe(batch.size)
        self._passes(batch.kind).observe(batch.seconds)
        wait = self._waits(batch.kind)
        for seconds in batch.waits_seconds:
            wait.observe(seconds)

    def watch_model(self, depth: Callable[[Kind], int], cache: VectorCache, info: ModelInfo | None = None) -> None:
        """Gauges that are read when somebody asks: where the model is."""
        if info:
            self._describe(info)
        waiting = Gauge("clip_queue_depth", "Items that wait for the model.", ["kind"], registry=self._registry)
        waiting.labels("text").set_function(lambda: depth("text"))
        waiting.labels("image").set_function(lambda: depth("image"))
        self._gauge("clip_cache_rows", "Vectors in the cache.", lambda: len(cache))
        self._gauge("clip_cache_bytes", "Bytes of the cache.", lambda: cache.size_bytes)

    def _describe(self, info: ModelInfo) -> None:
        facts = {"version": __version__, **{name: str(value) for name, value in asdict(info).items()}}
        Gauge("clip_info", "Always 1: what runs here.", facts, registry=self._registry).labels(**facts).set(1)
        memory = Gauge("clip_device_memory_bytes", "Taken on an accelerator.", ["device"], registry=self._registry)
        for device in device_bytes():
            memory.labels(device).set_function(partial(bytes_of, device))

    def watch_gates(self, items: Gate, size: Gate) -> None:
        """Gauges that are read when somebody asks: where the requests are."""
        self._gauge("clip_items_in_flight", "Items of all requests in flight.", lambda: items.inside)
        self._gauge("clip_bytes_in_flight", "Bytes of all bodies in flight.", lambda: size.inside)

    def _gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        Gauge(name, help_text, registry=self._registry).set_function(read)

    def page(self) -> bytes:
        return generate_latest(self._registry)


def children(metric: Counter | Histogram) -> Callable[..., Any]:
    """By label values, each looked up once: `labels` takes longer than the counting."""
    return remembered(lambda *values: metric.labels(*values) if values else metric)
