"""Nearest neighbours by comparing with everything: the truth. Q queries · N vectors · D dimensions · K neighbours"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from clip_vectorizer.vectors import Vectors

QUERIES_A_BLOCK = 256  # 100 MB of similarities at 100,000 vectors
ROUNDING = 1e-6  # by which two float32 products of the same vectors may differ


def farthest_of_nearest(queries_qd: Vectors, vectors_nd: Vectors, k: int) -> Vectors:
    """(Q,) the similarity of each query's k-th nearest vector. Unit rows in; k at most N."""
    blocks = range(0, len(queries_qd), QUERIES_A_BLOCK)
    return np.concatenate(
        [
            np.partition(queries_qd[start : start + QUERIES_A_BLOCK] @ vectors_nd.T, -k, axis=1)[:, -k]
            for start in blocks
        ]
    )


def recalls(
    found: Sequence[Sequence[int]], queries_qd: Vectors, vectors_nd: Vectors, k: int
) -> npt.NDArray[np.float64]:
    """(Q,) the share of the k that are as near as the k-th nearest, or nearer: 0..1.

    By similarity, not by number: of vectors that are equally near any will do.
    """
    limit_q = farthest_of_nearest(queries_qd, vectors_nd, k) - ROUNDING
    return np.array(
        [
            (vectors_nd[list(dict.fromkeys(numbers))[:k]] @ query_d >= limit).sum() / k
            for numbers, query_d, limit in zip(found, queries_qd, limit_q, strict=True)
        ]
    )
