"""Data for measuring an index: synthetic vectors, and exact nearest neighbours.

Synthetic vectors allow measuring more vectors than there are images. Random directions would not do: in hundreds of
dimensions all are about equally far apart, and no index finds the nearest. Image vectors lie in few directions, in
clusters of uneven density. So each synthetic vector is a stored one, moved part of the way to one of its ten nearest
neighbours (Chawla et al. 2002), and shifted by parts of the steps between other pairs of neighbours. Its neighbours
then lie in similar directions and distances as those of stored vectors.

N vectors · S stored · Q queries · D dimensions · K neighbours
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.evaluation.statistics import IntegerArray
from clip_vectorizer.vectors import Vectors, unit

NEIGHBOURS = 10
SHIFTS = 2
LEAST_STORED = 2 * NEIGHBOURS
ROWS_PER_BLOCK = 10_000
MAX_STORED = 20_000  # enough to synthesise from; their neighbours are computed exactly
MOST_EXACT_QUERIES_PER_BLOCK = 256
SIMILARITIES_PER_BLOCK = 50_000_000  # 200 MB, which np.partition copies once
ROUNDING = 1e-6  # difference between two float32 products of the same vectors


def synthesise_vectors(stored_sd: Vectors, count: int, seed: int) -> Vectors:
    """Return (count, D) unit rows, equal for equal seeds. Raises InputError for too few stored vectors."""
    stored_sd = np.unique(stored_sd, axis=0)
    if len(stored_sd) < LEAST_STORED:
        raise InputError(
            f"{len(stored_sd)} different vectors are too few to synthesise others from; store at least {LEAST_STORED}"
        )
    random = np.random.default_rng(seed)
    if len(stored_sd) > MAX_STORED:
        stored_sd = stored_sd[random.choice(len(stored_sd), MAX_STORED, replace=False)]
    near_sk = find_neighbours(stored_sd)
    blocks = [min(ROWS_PER_BLOCK, count - start) for start in range(0, count, ROWS_PER_BLOCK)]
    return np.concatenate([synthesise_block(stored_sd, near_sk, rows, random) for rows in blocks])


def synthesise_block(stored_sd: Vectors, near_sk: IntegerArray, rows: int, random: np.random.Generator) -> Vectors:
    starts_n, steps_nd = draw_neighbour_steps(stored_sd, near_sk, rows, random)
    made_nd = stored_sd[starts_n] + random.uniform(0, 1, (rows, 1)) * steps_nd
    for _ in range(SHIFTS):
        _, steps_nd = draw_neighbour_steps(stored_sd, near_sk, rows, random)
        made_nd = made_nd + random.uniform(-0.5, 0.5, (rows, 1)) * steps_nd
    return unit(made_nd.astype(np.float32))


def draw_neighbour_steps(
    stored_sd: Vectors, near_sk: IntegerArray, rows: int, random: np.random.Generator
) -> tuple[IntegerArray, Vectors]:
    """Return the numbers of `rows` stored vectors, and for each the step to one of its neighbours."""
    starts_n = random.integers(len(stored_sd), size=rows)
    ends_n = near_sk[starts_n, random.integers(NEIGHBOURS, size=rows)]
    return starts_n, stored_sd[ends_n] - stored_sd[starts_n]


def find_neighbours(stored_sd: Vectors) -> IntegerArray:
    """Return (S, 10) numbers of the nearest neighbours of each."""
    parts: list[IntegerArray] = []
    for start in range(0, len(stored_sd), 1000):
        similarities = stored_sd[start : start + 1000] @ stored_sd.T
        own = np.arange(len(similarities))
        similarities[own, start + own] = -np.inf
        parts.append(np.argpartition(similarities, -NEIGHBOURS, axis=1)[:, -NEIGHBOURS:])
    return np.concatenate(parts)


def find_kth_similarities(queries_qd: Vectors, vectors_nd: Vectors, k: int) -> Vectors:
    """Return (Q,) similarities of the k-th nearest vector of each query. Unit rows in; k at most N."""
    size = min(MOST_EXACT_QUERIES_PER_BLOCK, max(1, SIMILARITIES_PER_BLOCK // len(vectors_nd)))
    return np.concatenate(
        [
            np.partition(queries_qd[start : start + size] @ vectors_nd.T, -k, axis=1)[:, -k]
            for start in range(0, len(queries_qd), size)
        ]
    )


def compute_index_recalls(
    found: Sequence[Sequence[int]], queries_qd: Vectors, vectors_nd: Vectors, k: int
) -> npt.NDArray[np.float64]:
    """Return (Q,) shares, 0..1, of the k results that are at least as near as the k-th nearest.

    Compared by similarity, not by number: equally near vectors are interchangeable.
    """
    limit_q = find_kth_similarities(queries_qd, vectors_nd, k) - ROUNDING
    return np.array(
        [
            (vectors_nd[list(dict.fromkeys(numbers))[:k]] @ query_d >= limit).sum() / k
            for numbers, query_d, limit in zip(found, queries_qd, limit_q, strict=True)
        ]
    )
