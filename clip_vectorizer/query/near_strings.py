"""Near strings: the ones with the least edit distance to a query, and the name that was probably meant.

N strings · k of them
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from clip_vectorizer.errors import InputError

BLOCK = 25_000  # strings a thread compares before it hears how near the others have come
THREADS = min(os.cpu_count() or 1, 8)  # of more, the first ones would all compare without a bound
TIES = 20  # equally near names that are looked at more closely

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SimilarString:
    text: str
    distance: int  # Levenshtein: insertions, deletions and substitutions of one code point each
    index: int  # where it stands among the strings


def similar_strings(
    query: str, strings: Sequence[str], k: int = 10, *, block: int = BLOCK, threads: int = THREADS
) -> list[SimilarString]:
    """The k nearest, nearest first; equally near ones in the order of `strings`; all of them where there are fewer.

    Exact. Block by block: what comes later must be nearer than the k-th so far, and of most strings it is soon clear
    that they are not (benchmarks/lookup.py). `threads` blocks are compared at a time. Raises InputError for k below 1.
    """
    if k < 1:
        raise InputError(f"k={k}: expected at least 1 string to look for")
    best = NearestStrings.nothing()
    with ThreadPoolExecutor(threads) as pool:
        for starts in split_into_waves(len(strings), block, threads):
            most = None if len(best.indices) < k else int(best.distances[-1]) - 1
            if most == -1:  # k strings equal the query
                break
            blocks = (strings[start : start + block] for start in starts)
            found = pool.map(compare_block, repeat(query), blocks, starts, repeat(most))
            best = best.joined(found, k)
    pairs = zip(best.indices.tolist(), best.distances.tolist(), strict=True)
    return [SimilarString(strings[index], distance, index) for index, distance in pairs]


@dataclass(frozen=True, slots=True)
class NearestStrings:
    """Sorted by distance, then index. (k,) each."""

    distances: Int64Array
    indices: Int64Array

    @classmethod
    def nothing(cls) -> "NearestStrings":
        return cls(np.empty(0, np.int64), np.empty(0, np.int64))

    def joined(self, later: Iterable["NearestStrings"], k: int) -> "NearestStrings":
        """The k nearest of all. `later` have larger indices, so a stable sort keeps ties in their order."""
        all_of_them = [self, *later]
        distances = np.concatenate([each.distances for each in all_of_them])
        indices = np.concatenate([each.indices for each in all_of_them])
        order = np.argsort(distances, kind="stable")[:k]
        return NearestStrings(distances[order], indices[order])


def split_into_waves(count: int, block: int, threads: int) -> Iterator[range]:
    """Where the blocks begin that are compared at the same time."""
    wave = block * threads
    for start in range(0, count, wave):
        yield range(start, min(start + wave, count), block)


def compare_block(query: str, block: Sequence[str], start: int, most: int | None) -> NearestStrings:
    """Those of the block at `start` that are at most `most` away, in their order; None: all of them."""
    # int32: by default distances above 255 would wrap. What is farther than the cutoff is told as cutoff + 1.
    distances_n = cdist([query], block, scorer=Levenshtein.distance, score_cutoff=most, dtype=np.int32)[0]
    near = np.flatnonzero(distances_n <= (np.iinfo(np.int32).max if most is None else most))
    return NearestStrings(distances_n[near].astype(np.int64), near + start)


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`did you mean fruit? `, ready to stand in a sentence, or nothing where none of `names` is near."""
    near = find_near_name(name, names)
    return "" if near is None else f"did you mean {near}? "


def find_near_name(name: str, names: Iterable[str]) -> str | None:
    """The nearest of `names`, small and capital letters being the same; None where too much would have to change.

    Capitals decide between names that are otherwise equally near, then the alphabet: databases list in any order.
    """
    found = list(names)
    nearest = similar_strings(name.casefold(), [each.casefold() for each in found], TIES)
    if not nearest or nearest[0].distance > max_edits(name):
        return None
    ties = [found[each.index] for each in nearest if each.distance == nearest[0].distance]
    return min(ties, key=lambda each: (Levenshtein.distance(name, each), each.swapcase()))


def max_edits(name: str) -> int:
    """A third of the letters, rounded up: two letters that changed places count two. More, and it is another word."""
    return (len(name) + 2) // 3
