"""MapPlaces of images in two dimensions, so that like ones are near each other: PCA here, UMAP in umap_layout.py.

N images · D dimensions
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from clip_vectorizer.errors import InputError
from clip_vectorizer.vectors import Vectors

PCA, UMAP = METHODS = ("pca", "umap")
EXTRA = "pip install 'clip-vectorizer[gallery,map]'"
ROWS_AT_ONCE = 500  # of 64-bit copies
FLAT = 1e-9  # a range below this is one place

MapPlaces = npt.NDArray[np.float64]  # (N, 2): x to the right, y down, 0..1 of the map


@dataclass(frozen=True, slots=True)
class Projection:
    """The two directions in which images differ most, and the place of each image along them."""

    scores_n2: npt.NDArray[np.float64]
    mean_d: npt.NDArray[np.float64]
    axes_d2: npt.NDArray[np.float64]  # orthonormal columns; the entry of each that is furthest from 0 is positive
    shares: tuple[float, float]  # of all variance, 0..1


@dataclass(frozen=True, slots=True)
class Plane:
    """Scales scores to places on the map; where all scores are equal, to its middle."""

    low_2: npt.NDArray[np.float64]
    range_2: npt.NDArray[np.float64]

    @classmethod
    def around(cls, scores_n2: npt.NDArray[np.float64]) -> "Plane":
        low, high = scores_n2.min(axis=0), scores_n2.max(axis=0)
        return cls(low, high - low)

    def place(self, scores_n2: npt.NDArray[np.float64]) -> MapPlaces:
        flat = self.range_2 < FLAT
        places = (scores_n2 - self.low_2) / np.where(flat, 1.0, self.range_2)
        places[:, flat] = 0.5
        places[:, 1] = 1 - places[:, 1]  # a page counts from its top
        return places


def project(vectors_nd: Vectors) -> Projection:
    """Return the principal components of at least one vector: (N, D) float32.

    From the eigenvectors of the covariance, summed up in 64 bits; numpy's SVD of the centred vectors has the same.
    """
    count, dimensions = vectors_nd.shape
    mean = vectors_nd.mean(axis=0, dtype=np.float64)
    scatter = np.zeros((dimensions, dimensions))
    for start in range(0, count, ROWS_AT_ONCE):
        centred = vectors_nd[start : start + ROWS_AT_ONCE] - mean
        scatter += centred.T @ centred
    values, vectors = np.linalg.eigh(scatter)  # ascending
    axes = turn_axes(pad_axes(vectors[:, ::-1][:, :2]))
    largest = [max(float(value), 0.0) for value in (*values[::-1][:2], 0.0)]
    total = float(np.trace(scatter)) or 1.0
    scores = np.concatenate(
        [(vectors_nd[start : start + ROWS_AT_ONCE] - mean) @ axes for start in range(0, count, ROWS_AT_ONCE)]
    )
    return Projection(scores, mean, axes, (largest[0] / total, largest[1] / total))


def pad_axes(axes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Vectors of one number have one direction; the other one is empty."""
    return axes if axes.shape[1] == 2 else np.hstack([axes, np.zeros_like(axes)])


def turn_axes(axes_d2: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the axes in the direction that makes the entry furthest from 0 positive: a solver may return either."""
    furthest = axes_d2[np.abs(axes_d2).argmax(axis=0), np.arange(axes_d2.shape[1])]
    return axes_d2 * np.where(furthest < 0, -1.0, 1.0)


def check_method(method: str, find: Callable[[str], object] = find_spec) -> None:
    """Raises InputError for one that does not exist, and for UMAP without its extra. `find`: None for no module."""
    if method not in METHODS:
        raise InputError(f"layout={method}: expected pca or umap")
    if method == UMAP and find("umap") is None:
        raise InputError(f"the layout umap needs umap-learn, which is not installed; run `{EXTRA}`, or use layout=pca")
