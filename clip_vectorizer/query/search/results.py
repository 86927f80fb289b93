"""Objects that Weaviate returns, read as hits; equal images merged into one.

D dimensions
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


def read_hits(objects: Sequence[WeaviateObject], plan: SearchPlan, target: SearchTarget) -> list[Hit]:
    """Return hits in the order of the objects, filtered and merged where the request needs it here."""
    pairs = [(read_hit(found, plan, target), found) for found in objects]
    if needs_similarity_filter(plan.request):
        least = plan.request.min_similarity
        pairs = [(hit, found) for hit, found in pairs if least is not None and hit.similarity >= least]
    return merge_duplicates(pairs) if plan.request.deduplicate else [hit for hit, _ in pairs]


def needs_similarity_filter(request: SearchRequest) -> bool:
    """A hybrid search limits the distance of the vector's hits only; the keywords' hits may be at any distance."""
    return request.is_hybrid and request.min_similarity is not None


def read_hit(found: WeaviateObject, plan: SearchPlan, target: SearchTarget) -> Hit:
    distance = compute_distance(found, plan, target)
    request = plan.request
    return Hit(
        read_text(found, PATH),
        1 - distance,
        distance,
        str(found.uuid),
        read_text(found, LABEL),
        read_text(found, CAPTION),
        getattr(found.metadata, "score", None) if request.is_hybrid else None,  # absent within a group
        properties={name: found.properties.get(name) for name in request.return_properties},
        vector=read_vector(found, target) if request.include_vector else None,
        thumbnail=read_thumbnail(found) if request.include_thumbnail else None,
    )


def read_text(found: WeaviateObject, name: str) -> str:
    return str(found.properties.get(name) or "")


def compute_distance(found: WeaviateObject, plan: SearchPlan, target: SearchTarget) -> float:
    """Return Weaviate's distance, or for a hybrid search, which returns none, that of the vectors."""
    if found.metadata.distance is not None and not plan.request.is_hybrid:
        return float(found.metadata.distance)
    vector_d = read_vector(found, target)
    if vector_d is None or plan.vector is None:
        raise VectorizerError(
            f"Weaviate returned no distance for {found.uuid}; check that its version is 1.39 or later"
        )
    return 1 - float(unit(vector_d) @ unit(plan.vector))


def read_vector(found: WeaviateObject, target: SearchTarget) -> Vectors | None:
    """Return the stored vector (D,) float32, where the object has one and it was read."""
    vector = found.vector.get(target.vector)
    return np.asarray(vector, dtype=np.float32) if vector else None


def read_thumbnail(found: WeaviateObject) -> bytes | None:
    text = found.properties.get(THUMBNAIL)
    return base64.b64decode(text) if text else None


def merge_duplicates(pairs: Sequence[tuple[Hit, WeaviateObject]]) -> list[Hit]:
    """Keep the first hit of each set of equal images, in order, with the paths of the others in `copies`."""
    places: dict[str, int] = {}  # index into `merged`, by each key that equal images share
    merged: list[list[Hit]] = []
    for hit, found in pairs:
        keys = list(list_duplicate_keys(found))
        place = next((places[key] for key in keys if key in places), len(merged))
        if place == len(merged):
            merged.append([])
        merged[place].append(hit)
        places |= dict.fromkeys(keys, place)
    return [replace(first, copies=tuple(copy.path for copy in copies)) for first, *copies in merged]


def list_duplicate_keys(found: WeaviateObject) -> Iterable[str]:
    """Yield the hash of the bytes, the path (objects of other programs may have no hash), and the original's path."""
    for name in (SHA256, PATH, DUPLICATE_OF):
        if value := found.properties.get(name):
            yield f"{PATH if name == DUPLICATE_OF else name}={value}"
