"""Equal images become one hit."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from clip_vectorizer.query.hits import Hit
from clip_vectorizer.query.searching.reading import Row
from clip_vectorizer.schema import DUPLICATE_OF, PATH, SHA256


def folded(hits: Sequence[tuple[Hit, Row]]) -> list[Hit]:
    """The first of each that have equal bytes, in order; it names the others in `copies`. With each hit, its row."""
    places: dict[str, int] = {}  # in `found`, by whatever equal images have in common
    found: list[list[Hit]] = []
    for hit, row in hits:
        keys = list(keys_of(row))
        place = next((places[key] for key in keys if key in places), len(found))
        if place == len(found):
            found.append([])
        found[place].append(hit)
        places |= dict.fromkeys(keys, place)
    return [replace(first, copies=tuple(copy.path for copy in copies)) for first, *copies in found]


def keys_of(row: Row) -> Iterable[str]:
    """The hash of the bytes; the path where the object has none, as others may have made it."""
    for name in (SHA256, PATH, DUPLICATE_OF):
        if value := row.properties.get(name):
            yield f"{PATH if name == DUPLICATE_OF else name}={value}"
