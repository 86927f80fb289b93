"""Images of the collection as queries: found by path or id, with the vector stored for them.

D dimensions
"""

from collections.abc import Sequence
from uuid import UUID

import numpy as np
from weaviate.classes.query import Filter

from clip_vectorizer.database.schema import PATH, image_id
from clip_vectorizer.defaults import MAX_RESULTS
from clip_vectorizer.errors import InputError, VectorizerError
from clip_vectorizer.near_strings import suggest
from clip_vectorizer.query.search.calls import SearchFlow, SearchTarget, WeaviateCall
from clip_vectorizer.query.search.query import Query, StoredPart
from clip_vectorizer.query.search.results import WeaviateObject, read_text
from clip_vectorizer.vectors import Vectors


def fetch_stored_images(query: Query, target: SearchTarget) -> SearchFlow[dict[StoredPart, WeaviateObject]]:
    """Return the object of each stored image in `query`. Raises InputError for one that does not exist."""
    parts = list(dict.fromkeys(part for _, part in query.parts if isinstance(part, StoredPart)))
    if not parts:
        return {}
    answer = yield build_stored_images_call([part.key for part in parts], target)
    objects: dict[StoredPart, WeaviateObject] = {}
    for part in parts:
        found = find_object(part.key, answer.objects)
        if found is None:
            raise (yield from build_missing_image_error(part.key, target))
        objects[part] = found
    return objects


def build_stored_images_call(keys: Sequence[str], target: SearchTarget) -> WeaviateCall:
    """Look for a path as such and by the id made from it: objects of other programs may have any id."""
    paths = [key for key in keys if not is_uuid(key)]
    ids = [key if is_uuid(key) else image_id(key) for key in keys]
    by_id = Filter.by_id().contains_any(ids)
    filters = Filter.any_of([by_id, Filter.by_property(PATH).contains_any(paths)]) if paths else by_id
    return WeaviateCall(
        "fetch_objects",
        {
            "filters": filters,
            "limit": MAX_RESULTS,
            "include_vector": [target.vector],
            "return_properties": [PATH],
        },
    )


def is_uuid(key: str) -> bool:
    try:
        return str(UUID(key)) == key.lower()
    except ValueError:
        return False


def find_object(key: str, objects: Sequence[WeaviateObject]) -> WeaviateObject | None:
    return next((each for each in objects if key.lower() == str(each.uuid) or key == each.properties.get(PATH)), None)


def build_missing_image_error(key: str, target: SearchTarget) -> SearchFlow[InputError]:
    """Return the error for an image that does not exist, with a near path if the first 10,000 images have one."""
    answer = yield WeaviateCall("fetch_objects", {"limit": MAX_RESULTS, "return_properties": [PATH]})
    paths = [read_text(each, PATH) for each in answer.objects]
    near = suggest(key, paths)
    return InputError(
        f"the collection {target.collection} holds no image {key}; {near or ''}"
        "give its path there or its id, as clip-search --json prints them",
        near,
    )


def read_stored_vector(found: WeaviateObject, target: SearchTarget, key: str) -> Vectors:
    """Return (D,) float32. Raises VectorizerError for an object without a vector."""
    vector = found.vector.get(target.vector)
    if not vector:
        raise VectorizerError(f"{key} is stored without a vector; run clip-ingest on it again (id {found.uuid})")
    return np.asarray(vector, dtype=np.float32)
