"""Near strings: the ones with the least edit distance to a query, and the name that was probably meant.

N strings · k of them
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from clip_vectorizer.errors import InputError


@dataclass(frozen=True, slots=True)
class Similar:
    text: str
    distance: int  # Levenshtein: insertions, deletions and substitutions of one code point each
    index: int  # where it stands among the strings


def similar_strings(query: str, strings: Sequence[str], k: int = 10) -> list[Similar]:
    """The k nearest, nearest first; equally near ones in the order of `strings`; all of them where there are fewer.

    Raises InputError for k below 1.
    """
    if k < 1:
        raise InputError(f"k {k}: expected at least 1 string to look for")
    distances_n = cdist([query], strings, scorer=Levenshtein.distance, dtype=np.int32, workers=-1)[0]
    return [Similar(strings[i], int(distances_n[i]), int(i)) for i in np.argsort(distances_n, kind="stable")[:k]]


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`did you mean fruit? `, ready to stand in a sentence, or nothing where none of `names` is near."""
    near = near_name(name, names)
    return "" if near is None else f"did you mean {near}? "


def near_name(name: str, names: Iterable[str]) -> str | None:
    """The nearest of `names`, small and capital letters being the same; None where too much would have to change."""
    found = list(names)
    nearest = similar_strings(name.casefold(), [each.casefold() for each in found], 1)
    if not nearest or nearest[0].distance > most_changes(name):
        return None
    return found[nearest[0].index]


def most_changes(name: str) -> int:
    """A third of the letters, rounded up: two letters that changed places count two. More, and it is another word."""
    return (len(name) + 2) // 3
