"""How many of the exact neighbours each quantisation finds, and how fast. Q queries · N vectors · D dimensions"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
from weaviate import WeaviateClient

from clip_vectorizer.failures import weaviate_errors
from clip_vectorizer.query.evaluation.ann.exact import recalls
from clip_vectorizer.query.evaluation.ann.temporary import Index, TemporaryIndex, temporary_index
from clip_vectorizer.query.evaluation.data import Progress
from clip_vectorizer.query.evaluation.intervals import RESAMPLES, SEED, resampled_means
from clip_vectorizer.query.evaluation.tables import Table, Value
from clip_vectorizer.vectors import Vectors

K = 10
ROUNDS = 3  # each index in turn, so that a machine that slows down slows all
WARM_UP = 50  # searches before the clock is read


@dataclass(slots=True)
class Searched:
    """What one index answered, and how long each answer took."""

    index: Index
    seconds_to_fill: float
    found: list[list[int]] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)


def index_table(
    client: WeaviateClient,
    url: str,
    indexes: Sequence[Index],
    vectors_nd: Vectors,
    queries_qd: Vectors,
    progress: Progress,
) -> Table:
    """A row for each of `indexes`, which are made for it and dropped."""
    searched = measured(client, url, indexes, vectors_nd, queries_qd, progress)
    rows = [row_of(each, vectors_nd, queries_qd) for each in searched]
    return Table("index", f"Weaviate's {K} nearest of {len(vectors_nd)} vectors against exact search", rows)


def measured(
    client: WeaviateClient,
    url: str,
    indexes: Sequence[Index],
    vectors_nd: Vectors,
    queries_qd: Vectors,
    progress: Progress,
) -> list[Searched]:
    """All are filled with the same vectors first, then searched in turns, then dropped."""
    with ExitStack() as held:
        filled = [fill(held, client, url, index, vectors_nd, progress) for index in indexes]
        search_in_turns(url, filled, queries_qd, progress)
        return [searched for _, searched in filled]


def fill(
    held: ExitStack, client: WeaviateClient, url: str, index: Index, vectors_nd: Vectors, progress: Progress
) -> tuple[TemporaryIndex, Searched]:
    temporary = held.enter_context(temporary_index(client, url, index))
    start = time.monotonic()
    temporary.fill(vectors_nd, progress)
    return temporary, Searched(index, time.monotonic() - start)


def search_in_turns(
    url: str, filled: Sequence[tuple[TemporaryIndex, Searched]], queries_qd: Vectors, progress: Progress
) -> None:
    """Each query goes to each index once, one at a time, as a single user's would."""
    rows = queries_qd.tolist()
    with weaviate_errors(url):
        for part in np.array_split(np.arange(len(rows)), ROUNDS):
            for temporary, searched in filled:
                progress(f"{searched.index.quantizer}: searching")
                search_part(temporary, searched, [rows[place] for place in part])


def search_part(temporary: TemporaryIndex, searched: Searched, rows: Sequence[Sequence[float]]) -> None:
    for row in rows[-WARM_UP:]:
        temporary.search(row, K)
    for row in rows:
        start = time.perf_counter()
        searched.found.append(temporary.search(row, K))
        searched.milliseconds.append(1000 * (time.perf_counter() - start))


def row_of(searched: Searched, vectors_nd: Vectors, queries_qd: Vectors) -> dict[str, Value]:
    recalls_q = recalls(searched.found, queries_qd, vectors_nd, K)
    low, high = np.quantile(resampled_means(recalls_q, RESAMPLES, SEED), (0.025, 0.975))
    p50, p95 = np.quantile(searched.milliseconds, (0.5, 0.95))
    return {
        "quantizer": searched.index.quantizer,
        "vectors": len(vectors_nd),
        "dimension": vectors_nd.shape[1],
        "queries": len(queries_qd),
        f"recall@{K}": float(recalls_q.mean()),
        "low": float(low),
        "high": float(high),
        "p50_ms": float(p50),
        "p95_ms": float(p95),
        "seconds_to_fill": float(round(searched.seconds_to_fill, 1)),
    }
