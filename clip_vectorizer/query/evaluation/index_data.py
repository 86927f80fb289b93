"""More vectors like those there are, to measure an index at a size that nobody has images for at hand.

Random directions would not do: in hundreds of dimensions they are all about equally far from each other, and no index
finds their nearest. Images lie on few directions, in clusters of uneven density. So each made vector is a stored one,
moved part of the way to one of its ten nearest neighbours (Chawla et al. 2002), and shifted by parts of the ways
between other pairs of neighbours: its own neighbours lie in directions and at distances as stored ones' do.

N made · S stored · D dimensions

Nearest neighbours by comparing with everything: the truth. Q queries · N vectors · D dimensions · K neighbours
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
MAX_STORED = 20_000  # enough to make others of; their neighbours are found exactly
EXACT_QUERIES_PER_BLOCK = 256  # 100 MB of similarities at 100,000 vectors
ROUNDING = 1e-6  # by which two float32 products of the same vectors may differ


def synthesise_vectors(stored_sd: Vectors, count: int, seed: int) -> Vectors:
    """(count, D) unit rows, the same for the same seed. Raises InputError for too few stored ones."""
    stored_sd = np.unique(stored_sd, axis=0)
    if len(stored_sd) < LEAST_STORED:
        raise InputError(
            f"{len(stored_sd)} different vectors are too few to make others of; store at least {LEAST_STORED}"
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
    """`rows` stored vectors by number, and for each the way to one of its neighbours."""
    starts_n = random.integers(len(stored_sd), size=rows)
    ends_n = near_sk[starts_n, random.integers(NEIGHBOURS, size=rows)]
    return starts_n, stored_sd[ends_n] - stored_sd[starts_n]


def find_neighbours(stored_sd: Vectors) -> IntegerArray:
    """(S, 10) numbers of the nearest others of each."""
    parts: list[IntegerArray] = []
    for start in range(0, len(stored_sd), 1000):
        similarities = stored_sd[start : start + 1000] @ stored_sd.T
        own = np.arange(len(similarities))
        similarities[own, start + own] = -np.inf
        parts.append(np.argpartition(similarities, -NEIGHBOURS, axis=1)[:, -NEIGHBOURS:])
    return np.concatenate(parts)


def find_kth_similarities(queries_qd: Vectors, vectors_nd: Vectors, k: int) -> Vectors:
    """(Q,) the similarity of each query's k-th nearest vector. Unit rows in; k at most N."""
    blocks = range(0, len(queries_qd), EXACT_QUERIES_PER_BLOCK)
    return np.concatenate(
        [
            np.partition(queries_qd[start : start + EXACT_QUERIES_PER_BLOCK] @ vectors_nd.T, -k, axis=1)[:, -k]
            for start in blocks
        ]
    )


def compute_index_recalls(
    found: Sequence[Sequence[int]], queries_qd: Vectors, vectors_nd: Vectors, k: int
) -> npt.NDArray[np.float64]:
    """(Q,) the share of the k that are as near as the k-th nearest, or nearer: 0..1.

    By similarity, not by number: of vectors that are equally near any will do.
    """
    limit_q = find_kth_similarities(queries_qd, vectors_nd, k) - ROUNDING
    return np.array(
        [
            (vectors_nd[list(dict.fromkeys(numbers))[:k]] @ query_d >= limit).sum() / k
            for numbers, query_d, limit in zip(found, queries_qd, limit_q, strict=True)
        ]
    )
