"""Whether a side computes the same vectors as open_clip with the same weights: its row is worth nothing otherwise.

N items · D dimensions
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.peers.environments import PeerUnavailable
from benchmarks.peers.sides import Kind, PeerSide

LEAST_COSINE = 0.999  # of fp32 and bf16; other decoders and resizers reach it with ease, another model does not
LEAST_INT8_COSINE = 0.98


@dataclass(frozen=True, slots=True)
class SampleVectors:
    """Vectors of the same few items from one side, by kind."""

    rows: Mapping[Kind, np.ndarray]

    def compare(self, reference: "SampleVectors") -> float:
        """The least cosine to the reference's vectors, over images and texts."""
        return min(compute_least_cosine(rows_nd, reference.rows[kind]) for kind, rows_nd in self.rows.items())

    def compute_neighbours(self) -> float:
        """The most that vectors of two different items have: a cosine below it would prove nothing."""
        return max(float(np.max(rows_nd @ rows_nd.T - 2 * np.eye(len(rows_nd)))) for rows_nd in self.rows.values())


def embed_samples(side: PeerSide, samples: Mapping[Kind, Sequence[str]]) -> SampleVectors:
    return SampleVectors({kind: side.embed(kind, items) for kind, items in samples.items()})


def compute_least_cosine(rows_nd: np.ndarray, reference_nd: np.ndarray) -> float:
    """The least cosine of rows with the same number. Raises PeerUnavailable for another shape.

    >>> compute_least_cosine(np.array([[1.0, 0.0], [0.0, 3.0]]), np.array([[2.0, 0.0], [3.0, 4.0]]))
    0.8
    """
    if rows_nd.shape != reference_nd.shape:
        raise PeerUnavailable(f"vectors of shape {rows_nd.shape} instead of {reference_nd.shape}")
    lengths_n = np.linalg.norm(rows_nd, axis=1) * np.linalg.norm(reference_nd, axis=1)
    return float(((rows_nd * reference_nd).sum(axis=1) / lengths_n).min())


def check_cosine(cosine: float, precision: str) -> None:
    """Raise PeerUnavailable for vectors of another model."""
    least = LEAST_INT8_COSINE if precision == "int8" else LEAST_COSINE
    if not cosine >= least:
        raise PeerUnavailable(f"computes other vectors: cosine {cosine:.4f} to open_clip's, at least {least} is needed")
