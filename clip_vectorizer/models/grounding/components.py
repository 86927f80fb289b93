"""Boxes from a map: the parts of it that are above a level and hang together.

h, w rows and columns of a map · N boxes
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Map = npt.NDArray[np.float32]  # (h, w)
Mask = npt.NDArray[np.bool_]  # (h, w)
LEVELS = (0.35, 0.5, 0.65, 0.8)  # between the least and the largest value of a map


def find_parts(values_hw: Map, levels: Sequence[float] = LEVELS) -> list[Mask]:
    """The connected parts above each level, the same part once; none of a map that is flat."""
    least, most = float(values_hw.min()), float(values_hw.max())
    if most - least < np.finfo(np.float32).eps:
        return []
    parts: dict[bytes, Mask] = {}
    for level in levels:
        for mask in split_components(values_hw > least + level * (most - least)):
            parts.setdefault(mask.tobytes(), mask)
    return list(parts.values())


def split_components(mask_hw: Mask) -> Iterator[Mask]:
    """One mask for each set of cells that touch at a side, in the order of their first cells.

    >>> mask = np.array([[1, 1, 0], [0, 0, 0], [1, 0, 1]], bool)
    >>> [int(part.sum()) for part in split_components(mask)]
    [2, 1, 1]
    """
    labels_hw = label_components(mask_hw)
    for label in np.unique(labels_hw[mask_hw]):
        yield labels_hw == label


def label_components(mask_hw: Mask) -> npt.NDArray[np.int64]:
    """The least index of its part for each cell of the mask, -1 elsewhere. Cells take their neighbours'."""
    high, wide = mask_hw.shape
    outside = high * wide
    labels = np.where(mask_hw, np.arange(outside).reshape(high, wide), outside)
    while True:
        edged = np.pad(labels, 1, constant_values=outside)
        around = np.minimum.reduce([edged[:-2, 1:-1], edged[2:, 1:-1], edged[1:-1, :-2], edged[1:-1, 2:], labels])
        spread = np.where(mask_hw, around, outside)
        if np.array_equal(spread, labels):
            return np.where(mask_hw, labels, -1)
        labels = spread


def bound(mask_hw: Mask) -> tuple[float, float, float, float]:
    """The box around a mask, as shares of the map.

    >>> bound(np.array([[0, 0], [0, 1]], bool))
    (0.5, 0.5, 1.0, 1.0)
    """
    rows, columns = np.flatnonzero(mask_hw.any(axis=1)), np.flatnonzero(mask_hw.any(axis=0))
    high, wide = mask_hw.shape
    left, top, right, bottom = columns[0] / wide, rows[0] / high, (columns[-1] + 1) / wide, (rows[-1] + 1) / high
    return float(left), float(top), float(right), float(bottom)
