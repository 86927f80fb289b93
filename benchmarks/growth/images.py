"""How cost grows with images stored: inserts, searches, memory, look-ups of a second run.

Each size is a collection of its own, in a Weaviate of its own that is started anew before it is searched: memory and
times are those of a server that has run a while, not of one that has just been filled.

N images · Q queries · D dimensions
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from weaviate import WeaviateClient

from benchmarks.gallery.stored import EXAMPLES, make_key
from benchmarks.growth.curves import Curve, Panel
from benchmarks.growth.index_design import IndexDesign, apply_design
from benchmarks.growth.processes import MIB, ProcessMemory, find_listener, read_cpu_seconds, read_process_memory
from benchmarks.growth.stored_images import COLLECTION, FillMark, FillRecord, ImagePlan, ensure_filled, get_settings
from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.database.connection import connect_weaviate
from clip_vectorizer.database.schema import VECTOR
from clip_vectorizer.query.evaluation.dataset import LabelledImage, group_captions, load_labelled_folder
from clip_vectorizer.query.evaluation.index_data import compute_index_recalls, synthesise_vectors
from clip_vectorizer.query.evaluation.statistics import SEED
from clip_vectorizer.vectors import Vectors
from ingest.embedded import LocalSidecar, LocalWeaviate
from ingest.pipeline import LOOKUP_KEYS, split_groups
from ingest.store.open import open_store

STEPS = (1_000, 10_000, 100_000, 1_000_000)
ROUND = 10_000  # vectors are made in blocks: those of a smaller collection are the first of a larger one's
NEIGHBOURS = 10
PAGE = 40  # results of a page of clip-gallery
WARM_UP = 100  # searches before the measured ones
LOOKED_UP = 20_000  # keys, spread over the collection
REQUESTS = 2  # as `clip-ingest` sends them
COLUMNS = (
    "images stored",
    "inserted/s, last decade",
    "of these ms of Weaviate's cores an image",
    "search p50 ms",
    "p95 ms",
    "of Weaviate's cores ms",
    "recall@10 by image",
    "recall@10 by text",
    "40 results, p50 ms",
    "of Weaviate's cores ms",
    "memory MB (RSS)",
    "of it heap MB",
    "looked up/s",
    "disk MB",
    "start s",
)


@dataclass(frozen=True, slots=True)
class ImageQueries:
    """Vectors that are searched: made images, and real texts, which lie elsewhere than images."""

    images_qd: Vectors
    texts_qd: Vectors


@dataclass(frozen=True, slots=True)
class SearchTimes:
    """Of searches one after the other."""

    found: Sequence[Sequence[int]]
    milliseconds: Sequence[float]
    cores_ms: float  # of Weaviate's cores, a search

    def quantile(self, share: float) -> float:
        return float(np.quantile(self.milliseconds, share))


@dataclass(frozen=True, slots=True)
class ImageStep:
    """Costs at one size."""

    count: int
    record: FillRecord
    start_seconds: float
    by_image: SearchTimes
    by_text: SearchTimes
    of_page: SearchTimes  # PAGE results each
    image_recall: float
    text_recall: float
    memory: ProcessMemory
    looked_up: float  # keys a second

    @property
    def p50(self) -> float:
        return float(np.quantile([*self.by_image.milliseconds, *self.by_text.milliseconds], 0.5))

    @property
    def cores_ms(self) -> float:
        return (self.by_image.cores_ms + self.by_text.cores_ms) / 2

    @property
    def p95(self) -> float:
        return float(np.quantile([*self.by_image.milliseconds, *self.by_text.milliseconds], 0.95))


def measure_images(
    most: int, quantizer: str, queries: int, data: Path, progress: Callable[[str], None]
) -> list[ImageStep]:
    """Fill and measure each of STEPS up to `most`. Collections that are under `data` already are not filled again."""
    counts = list_counts(most)
    with LocalSidecar("emoji", data / "sidecar.log") as sidecar:
        items, stored_sd, texts_qd = embed_examples(sidecar.url, progress)
        vectors_nd, found = make_image_vectors(stored_sd, texts_qd, counts[-1], queries)
        return [
            measure_step(ImagePlan(each, quantizer), data, sidecar.url, items, vectors_nd[:each], found, progress)
            for each in counts
        ]


def list_counts(most: int) -> list[int]:
    return [each for each in STEPS if each <= most]


def make_image_vectors(stored_sd: Vectors, texts_qd: Vectors, count: int, queries: int) -> tuple[Vectors, ImageQueries]:
    """Return (N, D) that lie as the S stored vectors do, N being `count`, and what is searched among them."""
    vectors_nd = synthesise_vectors(stored_sd, -(-count // ROUND) * ROUND, SEED)
    return vectors_nd[:count], ImageQueries(synthesise_vectors(stored_sd, queries, SEED + 1), texts_qd[:queries])


def embed_examples(url: str, progress: Callable[[str], None]) -> tuple[Sequence[LabelledImage], Vectors, Vectors]:
    """Return the S examples, (S, D) of them, and (Q, D) of their captions in both languages, in a mixed order."""
    with VectorizerClient(url) as sidecar:
        labelled = load_labelled_folder(EXAMPLES, sidecar, progress)
        texts = [text for captions in group_captions(labelled.items) for text in captions.texts]
        texts_qd = sidecar.embed_texts(texts)
    return labelled.items, labelled.vectors_nd, np.random.default_rng(SEED).permutation(texts_qd)


def measure_step(
    plan: ImagePlan,
    data: Path,
    url: str,
    items: Sequence[LabelledImage],
    vectors_nd: Vectors,
    queries: ImageQueries,
    progress: Callable[[str], None],
) -> ImageStep:
    record = ensure_filled(plan, data, url, items, vectors_nd, progress)
    progress(f"{plan.count:,} images: searching")
    start = time.perf_counter()
    with LocalWeaviate(plan.choose_folder(data), url) as weaviate:
        ready = time.perf_counter() - start
        pid = find_listener(urlsplit(weaviate.url).port or 0)
        with connect_weaviate(weaviate.url, weaviate.grpc_port, weaviate.api_key) as client:
            apply_design(client, IndexDesign(), plan.quantizer)  # kept collections may be older than it
            search_each(client, pid, queries.images_qd[:WARM_UP], NEIGHBOURS)
            by_image = search_each(client, pid, queries.images_qd, NEIGHBOURS)
            by_text = search_each(client, pid, queries.texts_qd, NEIGHBOURS)
            of_page = search_each(client, pid, queries.texts_qd, PAGE)
        looked_up = measure_look_ups(weaviate, url, plan.count)
        memory = read_process_memory(pid)
    return ImageStep(
        plan.count,
        record,
        ready,
        by_image,
        by_text,
        of_page,
        measure_recall(by_image, queries.images_qd, vectors_nd),
        measure_recall(by_text, queries.texts_qd, vectors_nd),
        memory,
        looked_up,
    )


def search_each(client: WeaviateClient, pid: int, queries_qd: Vectors, limit: int) -> SearchTimes:
    """Search one query after the other, like a single user, by gRPC. `pid`: of Weaviate."""
    collection = client.collections.use(COLLECTION)
    cores = read_cpu_seconds(pid)
    found: list[list[str]] = []
    times = []
    for query_d in queries_qd.tolist():
        start = time.perf_counter()
        answer = collection.query.near_vector(query_d, limit=limit, target_vector=VECTOR, return_properties=["path"])
        times.append(1000 * (time.perf_counter() - start))
        found.append([str(row.properties["path"]) for row in answer.objects])
    cores_ms = 1000 * (read_cpu_seconds(pid) - cores) / len(queries_qd)
    return SearchTimes([[read_number(path) for path in paths] for paths in found], times, cores_ms)


def read_number(path: str) -> int:
    """Return the number in a key of `make_key`.

    >>> read_number(make_key(41_002))
    41002
    """
    return int(Path(path).stem)


def measure_recall(searched: SearchTimes, queries_qd: Vectors, vectors_nd: Vectors, k: int = NEIGHBOURS) -> float:
    return float(compute_index_recalls(searched.found, queries_qd, vectors_nd, k).mean())


def measure_look_ups(weaviate: LocalWeaviate, url: str, count: int) -> float:
    """Return keys a second whose states are read, as a second run of `clip-ingest` reads them."""
    keys = list(spread_keys(count))
    with (
        open_store(get_settings(weaviate, url), COLLECTION, create=False) as store,
        ThreadPoolExecutor(REQUESTS) as threads,
    ):
        store.states(keys[0])
        start = time.perf_counter()
        found = sum(map(len, threads.map(store.states, keys)))
        seconds = time.perf_counter() - start
    wanted = sum(map(len, keys))
    if found != wanted:
        raise RuntimeError(f"{found} of {wanted} stored images are found by their keys")
    return wanted / seconds


def spread_keys(count: int) -> Iterator[list[str]]:
    """Yield groups of neighbouring keys, as a listing yields them, from the whole collection."""
    groups = list(split_groups(range(count), LOOKUP_KEYS))
    wanted = max(1, LOOKED_UP // LOOKUP_KEYS)
    for group in groups[:: max(1, len(groups) // wanted)][:wanted]:
        yield [make_key(number) for number in group]


def compute_decade_rates(marks: Sequence[FillMark], count: int) -> tuple[float, float]:
    """Return images a second, and milliseconds of Weaviate's cores an image, between a tenth of `count` and `count`."""
    end = next(mark for mark in marks if mark.stored >= count)
    start = next((mark for mark in marks if mark.stored >= count / 10), None)
    if start is None or start is end:
        start = FillMark(0, 0.0, 0.0, 0.0)
    stored = end.stored - start.stored
    weaviate_seconds = end.weaviate_seconds - start.weaviate_seconds
    return stored / (end.seconds - start.seconds), 1000 * weaviate_seconds / stored


def list_rows(steps: Sequence[ImageStep]) -> Iterator[tuple[float, ...]]:
    """Yield the values of COLUMNS."""
    for step in steps:
        rate, cores = compute_decade_rates(step.record.marks, step.count)
        yield (
            *(step.count, rate, cores, step.p50, step.p95, step.cores_ms, step.image_recall, step.text_recall),
            *(step.of_page.quantile(0.5), step.of_page.cores_ms, step.memory.rss / MIB, step.memory.anonymous / MIB),
            *(step.looked_up, step.record.disk_bytes / MIB, step.start_seconds),
        )


def build_panels(steps: Sequence[ImageStep]) -> list[Panel]:
    xs = [float(step.count) for step in steps]
    stored = "images stored"
    return [
        Panel("Inserts", stored, "images/s", list_insert_curves(steps)),
        Panel(
            f"One search, {NEIGHBOURS} nearest",
            stored,
            "ms",
            [Curve("p95", xs, [step.p95 for step in steps]), Curve("p50", xs, [step.p50 for step in steps])],
        ),
        Panel(
            "Memory of Weaviate",
            stored,
            "MB",
            [
                Curve("resident", xs, [step.memory.rss / MIB for step in steps]),
                Curve("of it heap", xs, [step.memory.anonymous / MIB for step in steps]),
            ],
        ),
        Panel(
            "Look-up, second run of clip-ingest",
            stored,
            "images/s",
            [Curve("looked up", xs, [step.looked_up for step in steps])],
        ),
    ]


def list_insert_curves(steps: Sequence[ImageStep]) -> list[Curve]:
    """Rates in each decade of the largest fills: with thumbnails, and without."""
    curves = []
    for with_thumbnails, name in ((True, "with thumbnails"), (False, "without")):
        records = [step.record for step in steps if step.record.thumbnails is with_thumbnails]
        if records:
            largest = max(records, key=lambda each: each.count)
            counts = [each for each in STEPS if each <= largest.count]
            rates = [compute_decade_rates(largest.marks, each)[0] for each in counts]
            curves.append(Curve(name, [float(each) for each in counts], rates))
    return curves
