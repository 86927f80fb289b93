"""Images that look alike though their bytes differ: perceptual hashes a few bits apart.

N hashes, each of them once
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.intp]
Link = tuple[int, int]

BITS = 64
MOST_DISTANCE = 15  # beyond it the bands below are so short that everything would be compared with everything
AT_ONCE = 4_000_000  # comparisons; 32 MB


@dataclass(frozen=True, slots=True, order=True)
class Alike:
    """Images of which each is near to another one of them; two at the ends of a chain may be further apart."""

    keys: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {"paths": list(self.keys)}


def near_duplicates(hashes: Iterable[tuple[str, str]], distance: int) -> list[Alike]:
    """Of (key, hash in 16 hex digits) the groups of two and more, linked by at most `distance` bits; keys in order."""
    keys = defaultdict[int, list[str]](list)
    for key, phash in hashes:
        if phash:
            keys[int(phash, 16)].append(key)
    bits_n = np.array(list(keys), dtype=np.uint64)
    linked = groups(links(bits_n, distance), len(bits_n))
    alike = (sorted(key for index in group for key in keys[int(bits_n[index])]) for group in linked)
    return sorted(Alike(tuple(group)) for group in alike if len(group) > 1)


def links(bits_n: Bits, distance: int) -> Iterator[Link]:
    """Pairs at most `distance` bits apart, some of them several times.

    Two hashes that differ in at most d bits agree wholly in at least one of d + 1 bands: only those are compared.
    """
    for band in bands(distance + 1):
        for group in groups_in(bits_n, band):
            yield from close_pairs(bits_n, group, distance)


def bands(count: int) -> Iterator[int]:
    """Masks that share the bits among them as evenly as possible."""
    edges = [BITS * number // count for number in range(count + 1)]
    return ((1 << end) - (1 << start) for start, end in pairwise(edges))


def groups_in(bits_n: Bits, band: int) -> Iterator[Indices]:
    """Of hashes that agree in the band: two or more."""
    parts = bits_n & np.uint64(band)
    order = np.argsort(parts, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(parts[order])) + 1):
        if len(group) > 1:
            yield group


def close_pairs(bits_n: Bits, group: Indices, distance: int) -> Iterator[Link]:
    rows = max(1, AT_ONCE // len(group))
    for start in range(0, len(group), rows):
        apart = np.bitwise_count(bits_n[group[start : start + rows], None] ^ bits_n[None, group])
        for i, j in np.argwhere(apart <= distance).tolist():
            if start + i < j:
                yield int(group[start + i]), int(group[j])


def groups(linked: Iterable[Link], count: int) -> Iterator[Sequence[int]]:
    """The parts of 0..count - 1 that the links hold together (union-find)."""
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
