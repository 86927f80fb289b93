"""Near strings: those with the least edit distance to a query, and the name that was probably meant.

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

from clip_vectorizer.errors import InputError, Suggestion

BLOCK = 25_000  # strings per thread before the bound on the distance is updated
THREADS = min(os.cpu_count() or 1, 8)  # with more, the first blocks would all be compared without a bound
TIES = 20  # equally near names that are compared by capitals

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SimilarString:
    text: str
    distance: int  # Levenshtein: insertions, deletions and substitutions of one code point each
    index: int  # into the strings


def similar_strings(
    query: str, strings: Sequence[str], k: int = 10, *, block: int = BLOCK, threads: int = THREADS
) -> list[SimilarString]:
    """Return the k nearest strings, nearest first, equally near ones in their order; all where there are fewer.

    >>> similar_strings("owk", ["cat", "owl", "cow"], k=1)
    [SimilarString(text='owl', distance=1, index=1)]

    Exact. Compares block by block: a later string must be nearer than the k-th so far, which rules most out early
    (benchmarks/lookup.py). `threads` blocks are compared at a time. Raises InputError for k below 1.
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
    """Distances and indices of the nearest strings so far, (k,) each, sorted by distance, then index."""

    distances: Int64Array
    indices: Int64Array

    @classmethod
    def nothing(cls) -> "NearestStrings":
        return cls(np.empty(0, np.int64), np.empty(0, np.int64))

    def joined(self, later: Iterable["NearestStrings"], k: int) -> "NearestStrings":
        """Return the k nearest of all. `later` has larger indices, so a stable sort keeps ties in their order."""
        blocks = [self, *later]
        distances = np.concatenate([each.distances for each in blocks])
        indices = np.concatenate([each.indices for each in blocks])
        order = np.argsort(distances, kind="stable")[:k]
        return NearestStrings(distances[order], indices[order])


def split_into_waves(count: int, block: int, threads: int) -> Iterator[range]:
    """Yield, for each wave of `threads` blocks, where its blocks start."""
    wave = block * threads
    for start in range(0, count, wave):
        yield range(start, min(start + wave, count), block)


def compare_block(query: str, block: Sequence[str], start: int, most: int | None) -> NearestStrings:
    """Return the strings of the block at `start` that are at most `most` away, in their order; None: all of them."""
    # int32: by default distances above 255 would wrap. A distance above the cutoff comes back as cutoff + 1.
    distances_n = cdist([query], block, scorer=Levenshtein.distance, score_cutoff=most, dtype=np.int32)[0]
    near = np.flatnonzero(distances_n <= (np.iinfo(np.int32).max if most is None else most))
    return NearestStrings(distances_n[near].astype(np.int64), near + start)


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return the nearest of `names` as part of an error message, or "" where none is near.

    >>> did_you_mean("fruti", ["bird", "fruit"])
    'did you mean fruit? '
    """
    return str(suggest(name, names) or "")


def suggest(name: str, names: Iterable[str]) -> Suggestion | None:
    """Return the nearest of `names`, for an InputError and its message; None where none is near.

    >>> suggest("fruti", ["bird", "fruit"])
    Suggestion(given='fruti', meant='fruit')
    """
    near = find_near_name(name, names)
    return None if near is None else Suggestion(name, near)


def find_near_name(name: str, names: Iterable[str]) -> str | None:
    """Return the nearest of `names`, ignoring case; None where more than `max_edits` letters differ.

    Between equally near names capitals decide, then the alphabet: databases list names in any order.
    """
    found = list(names)
    nearest = similar_strings(name.casefold(), [each.casefold() for each in found], TIES)
    if not nearest or nearest[0].distance > max_edits(name):
        return None
    ties = [found[each.index] for each in nearest if each.distance == nearest[0].distance]
    return min(ties, key=lambda each: (Levenshtein.distance(name, each), each.swapcase()))


def max_edits(name: str) -> int:
    """Return a third of the letters, rounded up: two swapped letters count two, more makes it another word."""
    return (len(name) + 2) // 3
