"""Recall and latency of Weaviate's vector index per quantizer, against exact search, in temporary collections.

Q queries · N vectors · D dimensions
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import numpy as np
from weaviate import WeaviateClient
from weaviate.classes.config import Configure, Reconfigure, VectorDistances
from weaviate.classes.data import DataObject
from weaviate.collections.classes.cluster import Shard
from weaviate.collections.classes.config_base import _QuantizerConfigCreate
from weaviate.collections.classes.types import WeaviateField

from clip_vectorizer.database.collections import choose_rescore_limit
from clip_vectorizer.database.connection import weaviate_errors
from clip_vectorizer.database.schema import VECTOR
from clip_vectorizer.defaults import MEASURED_QUANTIZERS, MIN_INDEX_CANDIDATES, QUANTIZERS
from clip_vectorizer.errors import InputError, VectorizerError
from clip_vectorizer.query.evaluation.dataset import Progress
from clip_vectorizer.query.evaluation.index_data import compute_index_recalls
from clip_vectorizer.query.evaluation.statistics import RESAMPLES, SEED, resample_means
from clip_vectorizer.query.evaluation.tables import CellValue, Table
from clip_vectorizer.vectors import Vectors

NEIGHBOURS_SEARCHED = 10
ROUNDS = 3  # indexes are measurement in turns, so that a slower machine affects all of them
WARM_UP_SEARCHES = 50  # searches before the measured ones
COLLECTION_PREFIX = "ClipEvalIndex"  # reserved for these collections
ROWS_PER_REQUEST, REQUESTS_AT_ONCE = 256, 2  # more are no faster on two cores
INDEXED_SECONDS = 1800.0  # limit for indexing, or training PQ, in the background
INDEX_POLL_SECONDS = 0.5
PQ = "pq"


@dataclass(frozen=True, slots=True)
class IndexConfig:
    """Index settings of a collection."""

    quantizer: str  # one of MEASURED_QUANTIZERS
    rescore_limit: int | None = None  # candidates compared again with unquantised vectors; None: as clip-ingest sets it
    ef: int = MIN_INDEX_CANDIDATES  # candidates kept while searching; Weaviate's default is 100 for ten neighbours


@dataclass(slots=True)
class IndexMeasurement:
    """Results of one index, and the time of each search."""

    index: IndexConfig
    seconds_to_fill: float
    found: list[list[int]] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)


def build_index_table(
    client: WeaviateClient,
    url: str,
    indexes: Sequence[IndexConfig],
    vectors_nd: Vectors,
    queries_qd: Vectors,
    progress: Progress,
) -> Table:
    """Return one row for each of `indexes`, which are created for it and dropped."""
    measurements = measure_indexes(client, url, indexes, vectors_nd, queries_qd, progress)
    rows = [build_index_row(each, vectors_nd, queries_qd) for each in measurements]
    return Table(
        "index", f"Weaviate's {NEIGHBOURS_SEARCHED} nearest of {len(vectors_nd)} vectors against exact search", rows
    )


def measure_indexes(
    client: WeaviateClient,
    url: str,
    indexes: Sequence[IndexConfig],
    vectors_nd: Vectors,
    queries_qd: Vectors,
    progress: Progress,
) -> list[IndexMeasurement]:
    """Fill all indexes with the same vectors, search them in turns, then drop them."""
    with ExitStack() as stack:
        filled = [fill_index(stack, client, url, index, vectors_nd, progress) for index in indexes]
        search_in_turns(url, filled, queries_qd, progress)
        return [measurement for _, measurement in filled]


class TemporaryIndex:
    """A temporary collection of vectors."""

    def __init__(self, client: WeaviateClient, url: str, name: str, index: IndexConfig) -> None:
        self.index, self.name = index, name
        self._client, self._url = client, url
        self._collection = client.collections.use(name)

    def fill(self, vectors_nd: Vectors, progress: Progress) -> None:
        """Store and index all vectors, and train PQ on them. Raises VectorizerError when Weaviate refuses some."""
        starts = range(0, len(vectors_nd), ROWS_PER_REQUEST)
        with weaviate_errors(self._url), ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
            for start in pool.map(lambda start: self._insert(vectors_nd, start), starts):
                if start % (40 * ROWS_PER_REQUEST) == 0:
                    progress(f"{self.index.quantizer}: {start} of {len(vectors_nd)} vectors inserted")
            self._wait(lambda shard: shard.vector_queue_length == 0, progress)
            if self.index.quantizer == PQ:  # Weaviate trains it on stored vectors
                self._train()
                self._wait(lambda shard: shard.compressed and shard.vector_indexing_status != "READONLY", progress)

    def search(self, query_d: Sequence[float], k: int) -> list[int]:
        """Return the numbers of the nearest vectors, by gRPC."""
        found = self._collection.query.near_vector(query_d, limit=k, target_vector=VECTOR, return_properties=[])
        return [row.uuid.int for row in found.objects]

    def _insert(self, vectors_nd: Vectors, start: int) -> int:
        rows: list[DataObject[dict[str, WeaviateField], None]] = [
            DataObject(properties={}, uuid=UUID(int=start + place), vector={VECTOR: vector_d.tolist()})
            for place, vector_d in enumerate(vectors_nd[start : start + ROWS_PER_REQUEST])
        ]
        answer = self._collection.data.insert_many(rows)
        if answer.errors:
            raise VectorizerError(f"Weaviate refused vectors: {next(iter(answer.errors.values())).message}")
        return start

    def _train(self) -> None:
        index = Reconfigure.VectorIndex.hnsw(quantizer=Reconfigure.VectorIndex.Quantizer.pq())
        self._collection.config.update(vector_config=Reconfigure.Vectors.update(name=VECTOR, vector_index_config=index))

    def _wait(self, done: Callable[[Shard], bool], progress: Progress) -> None:
        deadline = time.monotonic() + INDEXED_SECONDS
        while not all(done(shard) for shard in self._shards()):
            progress(f"{self.index.quantizer}: Weaviate is indexing")
            if time.monotonic() > deadline:
                raise VectorizerError(f"Weaviate has not indexed {self.name} in {INDEXED_SECONDS:.0f} s; see its log")
            time.sleep(INDEX_POLL_SECONDS)

    def _shards(self) -> list[Shard]:
        return [shard for node in self._client.cluster.nodes(self.name, output="verbose") for shard in node.shards]


def fill_index(
    stack: ExitStack, client: WeaviateClient, url: str, index: IndexConfig, vectors_nd: Vectors, progress: Progress
) -> tuple[TemporaryIndex, IndexMeasurement]:
    temporary = stack.enter_context(create_temporary_index(client, url, index))
    start = time.monotonic()
    temporary.fill(vectors_nd, progress)
    return temporary, IndexMeasurement(index, time.monotonic() - start)


def search_in_turns(
    url: str, filled: Sequence[tuple[TemporaryIndex, IndexMeasurement]], queries_qd: Vectors, progress: Progress
) -> None:
    """Send each query to each index once, one at a time, like a single user."""
    rows = queries_qd.tolist()
    with weaviate_errors(url):
        for part in np.array_split(np.arange(len(rows)), ROUNDS):
            for temporary, measurement in filled:
                progress(f"{measurement.index.quantizer}: searching")
                search_part(temporary, measurement, [rows[place] for place in part])


def search_part(temporary: TemporaryIndex, measurement: IndexMeasurement, rows: Sequence[Sequence[float]]) -> None:
    for row in rows[-WARM_UP_SEARCHES:]:
        temporary.search(row, NEIGHBOURS_SEARCHED)
    for row in rows:
        start = time.perf_counter()
        measurement.found.append(temporary.search(row, NEIGHBOURS_SEARCHED))
        measurement.milliseconds.append(1000 * (time.perf_counter() - start))


def build_index_row(measurement: IndexMeasurement, vectors_nd: Vectors, queries_qd: Vectors) -> dict[str, CellValue]:
    recalls_q = compute_index_recalls(measurement.found, queries_qd, vectors_nd, NEIGHBOURS_SEARCHED)
    low, high = np.quantile(resample_means(recalls_q, RESAMPLES, SEED), (0.025, 0.975))
    p50, p95 = np.quantile(measurement.milliseconds, (0.5, 0.95))
    return {
        "quantizer": measurement.index.quantizer,
        "vectors": len(vectors_nd),
        "dimension": vectors_nd.shape[1],
        "queries": len(queries_qd),
        f"recall@{NEIGHBOURS_SEARCHED}": float(recalls_q.mean()),
        "low": float(low),
        "high": float(high),
        "p50_ms": float(p50),
        "p95_ms": float(p95),
        "seconds_to_fill": float(round(measurement.seconds_to_fill, 1)),
    }


@contextmanager
def create_temporary_index(client: WeaviateClient, url: str, index: IndexConfig) -> Iterator[TemporaryIndex]:
    """Create a collection; drop it on exit, also after an error."""
    name = f"{COLLECTION_PREFIX}{uuid4().hex[:12]}"
    with weaviate_errors(url):
        try:
            client.collections.create(
                name,
                vector_config=Configure.Vectors.self_provided(
                    name=VECTOR,
                    vector_index_config=Configure.VectorIndex.hnsw(
                        distance_metric=VectorDistances.COSINE, quantizer=build_quantizer(index), ef=index.ef
                    ),
                ),
            )
            yield TemporaryIndex(client, url, name, index)
        finally:
            client.collections.delete(name)


def build_quantizer(index: IndexConfig) -> _QuantizerConfigCreate | None:
    """Return the quantizer of the new collection; PQ is configured later. Raises InputError for another name."""
    make = Configure.VectorIndex.Quantizer
    match index.quantizer:
        case "none" | "pq":
            return make.none()
        case "rq-8" | "rq-1":
            bits = QUANTIZERS[index.quantizer]
            usual = choose_rescore_limit(bits)
            return make.rq(bits=bits, rescore_limit=usual if index.rescore_limit is None else index.rescore_limit)
        case other:
            raise InputError(f"no quantizer is called {other!r}; there are {', '.join(MEASURED_QUANTIZERS)}")
