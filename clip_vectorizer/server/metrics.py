"""Measurements: the times of one request, the metrics for Prometheus (`GET /metrics`), their sums over processes."""

import operator
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache as remembered
from functools import partial
from itertools import product
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from clip_vectorizer import __version__
from clip_vectorizer.models.encoder import ModelInfo
from clip_vectorizer.server.batcher import Batcher
from clip_vectorizer.server.engine import EmbeddedItem, VectorCache
from clip_vectorizer.server.limits import Gate
from clip_vectorizer.server.queues import ITEM_KINDS, BatchStats, ItemKind

SECONDS_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50)
SIZE_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
STAGES = ("parse", "decode", "queue", "encode", "serialise", "total")
SOURCES = ("cache", "joined", "model")  # of a row
TIME_HEADERS = tuple((stage, f"x-{stage}-time".encode()) for stage in STAGES)
GAUGE = "gauge"
MERGE_FUNCTIONS: dict[str, Callable[[float, float], float]] = {
    "process_start_time_seconds": min,
    "process_max_fds": min,
}


@dataclass(slots=True)
class RequestTimes:
    """Seconds. The items of a request run in parallel: the longest of each stage counts, so stages may overlap."""

    parse: float = 0.0  # from the last byte of the body to texts and files
    decode: float = 0.0  # of a file to the model's pixels, waiting for a thread included
    queue: float = 0.0  # for the model
    encode: float = 0.0  # the batch that the item was in
    serialise: float = 0.0
    total: float = 0.0  # from the last byte of the body to the last of the response
    start: float = field(default_factory=time.perf_counter)
    texts: int = 0
    images: int = 0
    cached: int = 0  # texts and images whose rows were in the cache

    def since_start(self) -> float:
        return time.perf_counter() - self.start

    def headers(self) -> list[tuple[bytes, bytes]]:
        """`x-parse-time` and so on, in milliseconds, for ASGI."""
        return [(name, b"%.3f" % (getattr(self, stage) * 1000)) for stage, name in TIME_HEADERS]

    def milliseconds(self) -> dict[str, float]:
        return {stage: round(getattr(self, stage) * 1000, 3) for stage in STAGES}


class Metrics:
    """One registry per sidecar, so that there may be several in one process."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)  # process_resident_memory_bytes, CPU seconds, open files
        counter, histogram = self._counter, self._histogram
        self._requests = counter("clip_requests", "Answers by route and status.", "route", "status")
        self._errors = counter("clip_errors", "Refusals and failures by kind.", "kind")
        self._items = counter("clip_items", "Items answered, by where the row came from.", "kind", "source")
        self._hits = counter("clip_cache_lookups", "Items looked up in the cache.", "result")
        self._received = counter("clip_received_bytes", "Of bodies.")
        self._stages = histogram("clip_stage_seconds", "Of one request, by stage.", SECONDS_BUCKETS, "stage")
        self._waits = histogram("clip_queue_wait_seconds", "Of one item, for the model.", SECONDS_BUCKETS, "kind")
        self._sizes = histogram("clip_batch_size", "Items in one pass.", SIZE_BUCKETS, "kind")
        self._passes = histogram("clip_pass_seconds", "Of one pass of the model.", SECONDS_BUCKETS, "kind")
        self._grounder = histogram(
            "clip_grounder_seconds",
            "Of one picture or its stored regions, breaks for batches included.",
            SECONDS_BUCKETS,
            "operation",
        )
        self._captioner = histogram(
            "clip_captioner_seconds", "Of one pass, breaks for batches included.", SECONDS_BUCKETS
        )
        self._captions = counter("clip_captions", "Captions written.")
        start_at_zero(self._items, product(ITEM_KINDS, SOURCES))
        start_at_zero(self._hits, [("hit",), ("miss",)])

    def _counter(self, name: str, help_text: str, *labels: str) -> Callable[..., Any]:
        return cache_children(Counter(name, help_text, labels, registry=self._registry))

    def _histogram(self, name: str, help_text: str, buckets: Sequence[float], *labels: str) -> Callable[..., Any]:
        return cache_children(Histogram(name, help_text, labels, buckets=buckets, registry=self._registry))

    def answered(self, route: str, status: int, size: int) -> None:
        """Count one request, successful or not, with a body of `size` bytes."""
        self._requests(route, str(status)).inc()
        self._received().inc(size)

    def stages(self, times: RequestTimes) -> None:
        for stage in STAGES:
            self._stages(stage).observe(getattr(times, stage))

    def expect_errors(self, kinds: Iterable[str]) -> None:
        """Show these kinds from the beginning: `rate` misses the first of what appears with it."""
        start_at_zero(self._errors, ((kind,) for kind in kinds))

    def error(self, kind: str) -> None:
        self._errors(kind).inc()

    def items(self, kind: ItemKind, items: Sequence[EmbeddedItem | BaseException]) -> None:
        for each in items:
            if isinstance(each, EmbeddedItem):
                self._items(kind, "cache" if each.cached else "joined" if each.joined else "model").inc()
                self._hits("hit" if each.cached else "miss").inc()

    def batch(self, batch: BatchStats) -> None:
        self._sizes(batch.kind).observe(batch.size)
        self._passes(batch.kind).observe(batch.seconds)
        wait = self._waits(batch.kind)
        for seconds in batch.waits_seconds:
            wait.observe(seconds)

    def grounding(self, operation: str, seconds: float) -> None:
        """Count one picture, `propose` or `ground`, or the stored regions of one, `score`."""
        self._grounder(operation).observe(seconds)

    def captioning(self, pictures: int, seconds: float) -> None:
        """Count one pass, and its captions."""
        self._captioner().observe(seconds)
        self._captions().inc(pictures)

    def watch_model(self, batcher: Batcher, cache: VectorCache, info: ModelInfo) -> None:
        """Add what is read from the model's process at each request of the metrics."""
        self._describe(info)
        self._registry.register(FamilyCollector(lambda: [busy_family(batcher.busy_seconds())]))
        waiting = Gauge("clip_queue_depth", "Items that wait for the model.", ["kind"], registry=self._registry)
        waiting.labels("text").set_function(lambda: batcher.depth("text"))
        waiting.labels("image").set_function(lambda: batcher.depth("image"))
        self._gauge("clip_cache_rows", "Vectors in the cache.", lambda: len(cache))
        self._gauge("clip_cache_bytes", "Bytes of the cache.", lambda: cache.size_bytes)
        self._gauge("clip_cache_max_bytes", "The most bytes of the cache.", lambda: cache.max_bytes)

    def _describe(self, info: ModelInfo) -> None:
        texts = {name: "" if value is None else str(value) for name, value in asdict(info).items()}
        facts = {"version": __version__, **texts}
        Gauge("clip_info", "Always 1: what runs here.", facts, registry=self._registry).labels(**facts).set(1)
        memory = Gauge("clip_device_memory_bytes", "Taken on an accelerator.", ["device"], registry=self._registry)
        for device in read_device_memory():
            memory.labels(device).set_function(partial(read_device_bytes, device))

    def watch_gates(self, items: Gate, size: Gate) -> None:
        """Add the gauges of a process that serves requests, which are read at each request of the metrics."""
        self._gauge(
            "clip_items_in_flight",
            "Items of all requests in flight; eight texts of a request count as one.",
            lambda: items.inside,
        )
        self._gauge("clip_items_in_flight_max", "Above this, requests get 503.", lambda: items.room)
        self._gauge("clip_bytes_in_flight", "Bytes of all bodies in flight.", lambda: size.inside)
        self._gauge("clip_bytes_in_flight_max", "Above this, bodies wait before they are read.", lambda: size.room)

    def _gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        Gauge(name, help_text, registry=self._registry).set_function(read)

    def page(self) -> bytes:
        return generate_latest(self._registry)


def cache_children(metric: Counter | Histogram) -> Callable[..., Any]:
    """Children by label values, each created once: `labels` takes longer than the counting."""
    return remembered(lambda *values: metric.labels(*values) if values else metric)


def start_at_zero(children: Callable[..., Any], labels: Iterable[tuple[str, ...]]) -> None:
    for values in labels:
        children(*values)


def busy_family(seconds: Mapping[str, float]) -> Metric:
    """A counter that is read, not counted."""
    family = CounterMetricFamily("clip_device_busy_seconds", "At work for the model.", labels=["device"])
    for device, value in seconds.items():
        family.add_metric([device], value)
    return family


def read_device_memory() -> dict[str, int]:
    """Memory that the model uses, by device (`cuda:0`). Uses torch if it is loaded, and never imports it."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return {}
    return {f"cuda:{number}": torch.cuda.memory_reserved(number) for number in range(torch.cuda.device_count())}


def read_device_bytes(device: str) -> int:
    return read_device_memory().get(device, 0)


def sum_pages(pages: Iterable[bytes], ended: bytes = b"") -> bytes:
    """Merge pages by adding values of equal names and labels. `ended`, of ended processes, without gauges."""
    families: dict[str, Metric] = {}
    for family in (
        *drop_gauges(parse_families(ended)),
        *(each for page in pages for each in parse_families(page)),
    ):
        add_family(families.setdefault(family.name, Metric(family.name, family.documentation, family.type)), family)
    return generate_latest(FamilyCollector(lambda: list(families.values())))  # it only calls `collect`


def parse_families(page: bytes) -> Iterator[Metric]:
    """All but the creation times of counters, whose sum is meaningless."""
    return (each for each in text_string_to_metric_families(page.decode()) if not each.name.endswith("_created"))


def drop_gauges(families: Iterable[Metric]) -> Iterator[Metric]:
    return (family for family in families if family.type != GAUGE)


def add_family(total: Metric, family: Metric) -> None:
    places = {(sample.name, *sorted(sample.labels.items())): n for n, sample in enumerate(total.samples)}
    for sample in family.samples:
        place = places.get((sample.name, *sorted(sample.labels.items())))
        if place is None:
            total.samples.append(sample)
        else:
            join: Callable[[float, float], float] = MERGE_FUNCTIONS.get(sample.name, operator.add)
            total.samples[place] = sample._replace(value=join(total.samples[place].value, sample.value))


class FamilyCollector:
    def __init__(self, read: Callable[[], Sequence[Metric]]) -> None:
        self._read = read

    def collect(self) -> Sequence[Metric]:
        return self._read()
