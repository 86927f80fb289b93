"""More vectors like those there are, to measure an index at a size that nobody has images for at hand.

Random directions would not do: in hundreds of dimensions they are all about equally far from each other, and no index
finds their nearest. Images lie on few directions, in clusters of uneven density. So each made vector is a stored one,
moved part of the way to one of its ten nearest neighbours (Chawla et al. 2002), and shifted by parts of the ways
between other pairs of neighbours: its own neighbours lie in directions and at distances as stored ones' do.

N made · S stored · D dimensions
"""

import numpy as np

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.evaluation.metrics import Numbers
from clip_vectorizer.vectors import Vectors, unit

NEIGHBOURS = 10
SHIFTS = 2
LEAST = 2 * NEIGHBOURS
ROWS_A_BLOCK = 10_000
STORED = 20_000  # enough to make others of; their neighbours are found exactly


def made_vectors(stored_sd: Vectors, count: int, seed: int) -> Vectors:
    """(count, D) unit rows, the same for the same seed. Raises InputError for too few stored ones."""
    stored_sd = np.unique(stored_sd, axis=0)
    if len(stored_sd) < LEAST:
        raise InputError(f"{len(stored_sd)} different vectors are too few to make others of; store at least {LEAST}")
    random = np.random.default_rng(seed)
    if len(stored_sd) > STORED:
        stored_sd = stored_sd[random.choice(len(stored_sd), STORED, replace=False)]
    near_sk = neighbours(stored_sd)
    blocks = [min(ROWS_A_BLOCK, count - start) for start in range(0, count, ROWS_A_BLOCK)]
    return np.concatenate([made_block(stored_sd, near_sk, rows, random) for rows in blocks])


def made_block(stored_sd: Vectors, near_sk: Numbers, rows: int, random: np.random.Generator) -> Vectors:
    starts_n, steps_nd = steps(stored_sd, near_sk, rows, random)
    made_nd = stored_sd[starts_n] + random.uniform(0, 1, (rows, 1)) * steps_nd
    for _ in range(SHIFTS):
        _, steps_nd = steps(stored_sd, near_sk, rows, random)
        made_nd = made_nd + random.uniform(-0.5, 0.5, (rows, 1)) * steps_nd
    return unit(made_nd.astype(np.float32))


def steps(stored_sd: Vectors, near_sk: Numbers, rows: int, random: np.random.Generator) -> tuple[Numbers, Vectors]:
    """`rows` stored vectors by number, and for each the way to one of its neighbours."""
    starts_n = random.integers(len(stored_sd), size=rows)
    ends_n = near_sk[starts_n, random.integers(NEIGHBOURS, size=rows)]
    return starts_n, stored_sd[ends_n] - stored_sd[starts_n]


def neighbours(stored_sd: Vectors) -> Numbers:
    """(S, 10) numbers of the nearest others of each."""
    parts: list[Numbers] = []
    for start in range(0, len(stored_sd), 1000):
        similarities = stored_sd[start : start + 1000] @ stored_sd.T
        own = np.arange(len(similarities))
        similarities[own, start + own] = -np.inf
        parts.append(np.argpartition(similarities, -NEIGHBOURS, axis=1)[:, -NEIGHBOURS:])
    return np.concatenate(parts)
