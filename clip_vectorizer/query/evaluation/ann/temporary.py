"""A collection that lives for one measurement: made, filled, quantised, searched, dropped. N vectors · D dimensions"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

from weaviate import WeaviateClient
from weaviate.classes.config import Configure, Reconfigure, VectorDistances
from weaviate.classes.data import DataObject
from weaviate.collections.classes.cluster import Shard
from weaviate.collections.classes.config_base import _QuantizerConfigCreate
from weaviate.collections.classes.types import WeaviateField

from clip_vectorizer.errors import InputError, VectorizerError
from clip_vectorizer.failures import weaviate_errors
from clip_vectorizer.indexes import LEAST_CANDIDATES
from clip_vectorizer.query.evaluation.data import Progress
from clip_vectorizer.schema import VECTOR
from clip_vectorizer.vectors import Vectors

PREFIX = "ClipEvalIndex"  # nothing else's name begins so
ROWS_A_REQUEST, REQUESTS_AT_ONCE = 256, 2  # more gain nothing on two cores
INDEXED_SECONDS = 1800.0  # longest that Weaviate may take to index, or to train PQ, in the background
POLL_SECONDS = 0.5
PQ = "pq"
QUANTIZERS = ("none", "rq-8", "rq-1", PQ)


@dataclass(frozen=True, slots=True)
class Index:
    """How a collection's vectors are to be indexed."""

    quantizer: str  # of QUANTIZERS
    rescore_limit: int | None = None  # candidates compared anew with whole vectors; None: Weaviate's own
    ef: int = LEAST_CANDIDATES  # candidates kept while searching; Weaviate's own are 100 for ten neighbours


class TemporaryIndex:
    """One such collection with vectors in it."""

    def __init__(self, client: WeaviateClient, url: str, name: str, index: Index) -> None:
        self.index, self.name = index, name
        self._client, self._url = client, url
        self._collection = client.collections.use(name)

    def fill(self, vectors_nd: Vectors, progress: Progress) -> None:
        """On return all are stored and indexed; PQ is trained on them. Raises VectorizerError when some are refused."""
        starts = range(0, len(vectors_nd), ROWS_A_REQUEST)
        with weaviate_errors(self._url), ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
            for start in pool.map(lambda start: self._insert(vectors_nd, start), starts):
                if start % (40 * ROWS_A_REQUEST) == 0:
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
            for place, vector_d in enumerate(vectors_nd[start : start + ROWS_A_REQUEST])
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
            time.sleep(POLL_SECONDS)

    def _shards(self) -> list[Shard]:
        return [shard for node in self._client.cluster.nodes(self.name, output="verbose") for shard in node.shards]


@contextmanager
def temporary_index(client: WeaviateClient, url: str, index: Index) -> Iterator[TemporaryIndex]:
    """Dropped at the end, however it ends."""
    name = f"{PREFIX}{uuid4().hex[:12]}"
    with weaviate_errors(url):
        try:
            client.collections.create(
                name,
                vector_config=Configure.Vectors.self_provided(
                    name=VECTOR,
                    vector_index_config=Configure.VectorIndex.hnsw(
                        distance_metric=VectorDistances.COSINE, quantizer=quantizer_of(index), ef=index.ef
                    ),
                ),
            )
            yield TemporaryIndex(client, url, name, index)
        finally:
            client.collections.delete(name)


def quantizer_of(index: Index) -> _QuantizerConfigCreate | None:
    """What the collection is made with. PQ comes later. Raises InputError for another name."""
    make = Configure.VectorIndex.Quantizer
    match index.quantizer:
        case "none" | "pq":
            return make.none()
        case "rq-8" | "rq-1":
            return make.rq(bits=int(index.quantizer[-1]), rescore_limit=index.rescore_limit)
        case other:
            raise InputError(f"no quantizer is called {other!r}; there are {', '.join(QUANTIZERS)}")
