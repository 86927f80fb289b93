"""Images that look alike although their bytes differ: their perceptual hashes are a few bits apart.

N distinct hashes
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

HashBits = npt.NDArray[np.uint64]
IndexArray = npt.NDArray[np.intp]
IndexPair = tuple[int, int]

HASH_BITS = 64
MAX_COMPARISONS = 4_000_000  # comparisons; 32 MB


@dataclass(frozen=True, slots=True, order=True)
class NearDuplicateGroup:
    """Images each of which is near another one of the group; the two ends of a chain may be further apart."""

    keys: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {"paths": list(self.keys)}


def find_near_duplicates(hashes: Iterable[tuple[str, str]], distance: int) -> list[NearDuplicateGroup]:
    """Group the images whose hashes are at most `distance` bits apart. `hashes`: pairs of key and 16 hex digits.

    >>> find_near_duplicates([("a", "00ff" * 4), ("b", "00fe" * 4), ("c", "ff00" * 4)], 4)
    [NearDuplicateGroup(keys=('a', 'b'))]
    """
    keys = defaultdict[int, list[str]](list)
    for key, phash in hashes:
        if phash:
            keys[int(phash, 16)].append(key)
    bits_n = np.array(list(keys), dtype=np.uint64)
    linked = join_groups(find_pairs(bits_n, distance), len(bits_n))
    alike = (sorted(key for index in group for key in keys[int(bits_n[index])]) for group in linked)
    return sorted(NearDuplicateGroup(tuple(group)) for group in alike if len(group) > 1)


def find_pairs(bits_n: HashBits, distance: int) -> Iterator[IndexPair]:
    """Yield pairs of indices at most `distance` bits apart, some of them several times.

    Two hashes that differ in at most d bits are equal in at least one of d + 1 bands, so only those are compared.
    `bits_n`: (N,) uint64.
    """
    for band in split_bands(distance + 1):
        for group in group_by_band(bits_n, band):
            yield from find_close_pairs(bits_n, group, distance)


def split_bands(count: int) -> Iterator[int]:
    """Yield `count` masks that divide the 64 bits as evenly as possible."""
    edges = [HASH_BITS * number // count for number in range(count + 1)]
    return ((1 << end) - (1 << start) for start, end in pairwise(edges))


def group_by_band(bits_n: HashBits, band: int) -> Iterator[IndexArray]:
    """Yield the indices of hashes that are equal in the band, in groups of two or more."""
    parts = bits_n & np.uint64(band)
    order = np.argsort(parts, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(parts[order])) + 1):
        if len(group) > 1:
            yield group


def find_close_pairs(bits_n: HashBits, group: IndexArray, distance: int) -> Iterator[IndexPair]:
    rows = max(1, MAX_COMPARISONS // len(group))
    for start in range(0, len(group), rows):
        apart = np.bitwise_count(bits_n[group[start : start + rows], None] ^ bits_n[None, group])
        for i, j in np.argwhere(apart <= distance).tolist():
            if start + i < j:
                yield int(group[start + i]), int(group[j])


def join_groups(linked: Iterable[IndexPair], count: int) -> Iterator[Sequence[int]]:
    """Return the connected parts of 0..count - 1 (union-find).

    >>> sorted(sorted(group) for group in join_groups([(0, 2)], 3))
    [[0, 2], [1]]
    """
    above = list(range(count))

    def top(index: int) -> int:
        while above[index] != index:
            above[index] = index = above[above[index]]
        return index

    for one, other in linked:
        above[top(one)] = top(other)
    members: Mapping[int, list[int]] = defaultdict(list)
    for index in range(count):
        members[top(index)].append(index)
    return iter(members.values())
