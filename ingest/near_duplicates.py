"""Images that look alike though their bytes differ: perceptual hashes a few bits apart."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

BITS = 64
MOST_DISTANCE = 15  # beyond it the bands below are so short that everything would be compared with everything
MOST_IN_A_BAND = 1000  # blank pages and the like agree in whole bands: among so many a pair tells nothing


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
    known = [(key, int(phash, 16)) for key, phash in sorted(hashes) if phash]
    found: set[tuple[int, int]] = set()
    for band in bands(distance + 1):
        groups: dict[int, list[int]] = defaultdict(list)
        for index, (_, bits) in enumerate(known):
            groups[bits & band].append(index)
        for group in groups.values():
            if len(group) <= MOST_IN_A_BAND:
                found.update(pair for pair in combinations(group, 2) if apart(known, pair) <= distance)
    return sorted(Pair(known[one][0], known[other][0], apart(known, (one, other))) for one, other in found)


def bands(count: int) -> Iterator[int]:
    """Masks that share the bits among them as evenly as possible."""
    edges = [BITS * number // count for number in range(count + 1)]
    return ((1 << end) - (1 << start) for start, end in pairwise(edges))


def apart(known: list[tuple[str, int]], pair: tuple[int, int]) -> int:
    return (known[pair[0]][1] ^ known[pair[1]][1]).bit_count()
