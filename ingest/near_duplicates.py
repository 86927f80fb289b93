"""Images that look alike though their bytes differ: perceptual hashes a few bits apart.

N images
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.intp]

BITS = 64
MOST_DISTANCE = 15  # beyond it the bands below are so short that everything would be compared with everything
MOST_EQUAL = 1000  # a hash that more images share, that of blank pages, tells nothing: each would pair with each
AT_ONCE = 4_000_000  # comparisons; 32 MB


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    one: str  # key
    other: str
    distance: int  # bits of 64

    def as_json(self) -> dict[str, Any]:
        return {"paths": [self.one, self.other], "distance": self.distance}


def near_duplicates(hashes: Iterable[tuple[str, str]], distance: int) -> list[Pair]:
    """All pairs at most `distance` bits apart, of (key, hash in 16 hex digits); in the order of their keys.

    Two hashes that differ in at most d bits agree wholly in at least one of d + 1 bands: only those are compared.
    """
    known = sorted((key, int(phash, 16)) for key, phash in hashes if phash)
    bits_n = np.array([bits for _, bits in known], dtype=np.uint64)
    telling = np.flatnonzero(rare(bits_n))
    found: set[tuple[int, int]] = set()
    for band in bands(distance + 1):
        for group in groups_in(bits_n, telling, band):
            found.update(close_pairs(bits_n, group, distance))
    return [Pair(known[i][0], known[j][0], (known[i][1] ^ known[j][1]).bit_count()) for i, j in sorted(found)]


def rare(bits_n: Bits) -> npt.NDArray[np.bool_]:
    _, place_n, counts = np.unique(bits_n, return_inverse=True, return_counts=True)
    few: npt.NDArray[np.bool_] = counts[place_n] <= MOST_EQUAL
    return few


def groups_in(bits_n: Bits, among: Indices, band: int) -> Iterator[Indices]:
    """Indices, rising, of hashes that agree in the band: two or more."""
    parts = bits_n[among] & np.uint64(band)
    order = np.argsort(parts, kind="stable")
    for group in np.split(among[order], np.flatnonzero(np.diff(parts[order])) + 1):
        if len(group) > 1:
            yield group


def close_pairs(bits_n: Bits, group: Indices, distance: int) -> Iterator[tuple[int, int]]:
    rows = max(1, AT_ONCE // len(group))
    for start in range(0, len(group), rows):
        apart = np.bitwise_count(bits_n[group[start : start + rows], None] ^ bits_n[None, group])
        for i, j in np.argwhere(apart <= distance).tolist():
            if start + i < j:
                yield int(group[start + i]), int(group[j])


def bands(count: int) -> Iterator[int]:
    """Masks that share the bits among them as evenly as possible."""
    edges = [BITS * number // count for number in range(count + 1)]
    return ((1 << end) - (1 << start) for start, end in pairwise(edges))
