"""Rows of Weaviate's answers as hits. D dimensions

Equal images become one hit.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from weaviate.collections.classes.internal import Object

from clip_vectorizer.database.schema import CAPTION, DUPLICATE_OF, LABEL, PATH, SHA256, THUMBNAIL
from clip_vectorizer.errors import VectorizerError
from clip_vectorizer.query.hits import Hit
from clip_vectorizer.query.search.arguments import SearchRequest
from clip_vectorizer.query.search.calls import SearchPlan, SearchTarget
from clip_vectorizer.vectors import Vectors, unit

WeaviateObject = Object[Mapping[str, Any], Any]


def read_hit(row: WeaviateObject, plan: SearchPlan, searched: SearchTarget) -> Hit:
    distance = compute_distance(row, plan, searched)
    question = plan.question
    return Hit(
        read_text(row, PATH),
        1 - distance,
        distance,
        str(row.uuid),
        read_text(row, LABEL),
        read_text(row, CAPTION),
        getattr(row.metadata, "score", None) if question.captions else None,  # within a group it has none
        properties={name: row.properties.get(name) for name in question.properties},
        vector=read_vector(row, searched) if question.vectors else None,
        thumbnail=read_thumbnail(row, question),
    )


def read_text(row: WeaviateObject, name: str) -> str:
    return str(row.properties.get(name) or "")


def compute_distance(row: WeaviateObject, plan: SearchPlan, searched: SearchTarget) -> float:
    """Weaviate's. A hybrid search tells none, or 0 within a group, so there it is worked out from the vectors."""
    if row.metadata.distance is not None and not plan.question.captions:
        return float(row.metadata.distance)
    vector_d = read_vector(row, searched)
    if vector_d is None or plan.vector is None:
        raise VectorizerError(f"Weaviate gave no distance for {row.uuid}; is its version at least 1.39?")
    return 1 - float(unit(vector_d) @ unit(plan.vector))


def read_vector(row: WeaviateObject, searched: SearchTarget) -> Vectors | None:
    vector = row.vector.get(searched.vector)
    return np.asarray(vector, dtype=np.float32) if vector else None


def read_thumbnail(row: WeaviateObject, question: SearchRequest) -> bytes | None:
    text = row.properties.get(THUMBNAIL) if question.thumbnails else None
    return base64.b64decode(text) if text else None


def merge_duplicates(hits: Sequence[tuple[Hit, WeaviateObject]]) -> list[Hit]:
    """The first of each that have equal bytes, in order; it names the others in `copies`. With each hit, its row."""
    places: dict[str, int] = {}  # in `found`, by whatever equal images have in common
    found: list[list[Hit]] = []
    for hit, row in hits:
        keys = list(list_duplicate_keys(row))
        place = next((places[key] for key in keys if key in places), len(found))
        if place == len(found):
            found.append([])
        found[place].append(hit)
        places |= dict.fromkeys(keys, place)
    return [replace(first, copies=tuple(copy.path for copy in copies)) for first, *copies in found]


def list_duplicate_keys(row: WeaviateObject) -> Iterable[str]:
    """The hash of the bytes; the path where the object has none, as others may have made it."""
    for name in (SHA256, PATH, DUPLICATE_OF):
        if value := row.properties.get(name):
            yield f"{PATH if name == DUPLICATE_OF else name}={value}"
