"""How many of the exact neighbours each quantisation finds, and how fast. Q queries · N vectors · D dimensions

A collection that lives for one measurement: made, filled, quantised, searched, dropped. N vectors · D dimensions
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

from clip_vectorizer.database.connection import weaviate_errors
from clip_vectorizer.database.schema import VECTOR
from clip_vectorizer.defaults import MEASURED_QUANTIZERS, MIN_INDEX_CANDIDATES
from clip_vectorizer.errors import InputError, VectorizerError
from clip_vectorizer.query.evaluation.dataset import Progress
from clip_vectorizer.query.evaluation.index_data import compute_index_recalls
from clip_vectorizer.query.evaluation.statistics import RESAMPLES, SEED, resample_means
from clip_vectorizer.query.evaluation.tables import CellValue, Table
from clip_vectorizer.vectors import Vectors

NEIGHBOURS_SEARCHED = 10
ROUNDS = 3  # each index in turn, so that a machine that slows down slows all
WARM_UP_SEARCHES = 50  # searches before the clock is read
COLLECTION_PREFIX = "ClipEvalIndex"  # nothing else's name begins so
ROWS_PER_REQUEST, REQUESTS_AT_ONCE = 256, 2  # more gain nothing on two cores
INDEXED_SECONDS = 1800.0  # longest that Weaviate may take to index, or to train PQ, in the background
INDEX_POLL_SECONDS = 0.5
PQ = "pq"


@dataclass(frozen=True, slots=True)
class IndexConfig:
    """How a collection's vectors are to be indexed."""

    quantizer: str  # of QUANTIZERS
    rescore_limit: int | None = None  # candidates compared anew with whole vectors; None: Weaviate's own
    ef: int = MIN_INDEX_CANDIDATES  # candidates kept while searching; Weaviate's own are 100 for ten neighbours


@dataclass(slots=True)
class IndexMeasurement:
    """What one index answered, and how long each answer took."""

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
    """A row for each of `indexes`, which are made for it and dropped."""
    searched = measure_indexes(client, url, indexes, vectors_nd, queries_qd, progress)
    rows = [build_index_row(each, vectors_nd, queries_qd) for each in searched]
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
    """All are filled with the same vectors first, then searched in turns, then dropped."""
    with ExitStack() as held:
        filled = [fill_index(held, client, url, index, vectors_nd, progress) for index in indexes]
        search_in_turns(url, filled, queries_qd, progress)
        return [searched for _, searched in filled]


class TemporaryIndex:
    """One such collection with vectors in it."""

    def __init__(self, client: WeaviateClient, url: str, name: str, index: IndexConfig) -> None:
        self.index, self.name = index, name
        self._client, self._url = client, url
        self._collection = client.collections.use(name)

    def fill(self, vectors_nd: Vectors, progress: Progress) -> None:
        """On return all are stored and indexed; PQ is trained on them. Raises VectorizerError when some are refused."""
        starts = range(0, len(vectors_nd), ROWS_PER_REQUEST)
        with weaviate_errors(self._url), ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
            for start in pool.map(lambda start: self._insert(vectors_nd, start), starts):
                if start % (40 * ROWS_PER_REQUEST) == 0:
                    progress(f"{self.index.quantizer}: {start} of {len(vectors_nd)} vectors inserted")
            self._wait(lambda shard: shard.vector_queue_length == 0, progress)
            if self.index.quantizer == PQ:  # Weaviate trains it on what is there: there must be something first
                self._train()
                self._wait(lambda shard: shard.compressed and shard.vector_indexing_status != "READONLY", progress)

    def search(self, query_d: Sequence[float], k: int) -> list[int]:
        """The numbers of the nearest vectors, by gRPC."""
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
    held: ExitStack, client: WeaviateClient, url: str, index: IndexConfig, vectors_nd: Vectors, progress: Progress
) -> tuple[TemporaryIndex, IndexMeasurement]:
    temporary = held.enter_context(create_temporary_index(client, url, index))
    start = time.monotonic()
    temporary.fill(vectors_nd, progress)
    return temporary, IndexMeasurement(index, time.monotonic() - start)


def search_in_turns(
    url: str, filled: Sequence[tuple[TemporaryIndex, IndexMeasurement]], queries_qd: Vectors, progress: Progress
) -> None:
    """Each query goes to each index once, one at a time, as a single user's would."""
    rows = queries_qd.tolist()
    with weaviate_errors(url):
        for part in np.array_split(np.arange(len(rows)), ROUNDS):
            for temporary, searched in filled:
                progress(f"{searched.index.quantizer}: searching")
                search_part(temporary, searched, [rows[place] for place in part])


def search_part(temporary: TemporaryIndex, searched: IndexMeasurement, rows: Sequence[Sequence[float]]) -> None:
    for row in rows[-WARM_UP_SEARCHES:]:
        temporary.search(row, NEIGHBOURS_SEARCHED)
    for row in rows:
        start = time.perf_counter()
        searched.found.append(temporary.search(row, NEIGHBOURS_SEARCHED))
        searched.milliseconds.append(1000 * (time.perf_counter() - start))


def build_index_row(searched: IndexMeasurement, vectors_nd: Vectors, queries_qd: Vectors) -> dict[str, CellValue]:
    recalls_q = compute_index_recalls(searched.found, queries_qd, vectors_nd, NEIGHBOURS_SEARCHED)
    low, high = np.quantile(resample_means(recalls_q, RESAMPLES, SEED), (0.025, 0.975))
    p50, p95 = np.quantile(searched.milliseconds, (0.5, 0.95))
    return {
        "quantizer": searched.index.quantizer,
        "vectors": len(vectors_nd),
        "dimension": vectors_nd.shape[1],
        "queries": len(queries_qd),
        f"recall@{NEIGHBOURS_SEARCHED}": float(recalls_q.mean()),
        "low": float(low),
        "high": float(high),
        "p50_ms": float(p50),
        "p95_ms": float(p95),
        "seconds_to_fill": float(round(searched.seconds_to_fill, 1)),
    }


@contextmanager
def create_temporary_index(client: WeaviateClient, url: str, index: IndexConfig) -> Iterator[TemporaryIndex]:
    """Dropped at the end, however it ends."""
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
    """What the collection is made with. PQ comes later. Raises InputError for another name."""
    make = Configure.VectorIndex.Quantizer
    match index.quantizer:
        case "none" | "pq":
            return make.none()
        case "rq-8" | "rq-1":
            return make.rq(bits=int(index.quantizer[-1]), rescore_limit=index.rescore_limit)
        case other:
            raise InputError(f"no quantizer is called {other!r}; there are {', '.join(MEASURED_QUANTIZERS)}")
