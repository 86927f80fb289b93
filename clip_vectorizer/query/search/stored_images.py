"""Images of the collection that are searched with, by path or id, with the vector they have there. D dimensions"""

from collections.abc import Sequence
from uuid import UUID

import numpy as np
from weaviate.classes.query import Filter

from clip_vectorizer.database.schema import PATH, image_id
from clip_vectorizer.defaults import MAX_RESULTS
from clip_vectorizer.errors import InputError, VectorizerError
from clip_vectorizer.query.near_strings import did_you_mean
from clip_vectorizer.query.search.calls import SearchTarget
from clip_vectorizer.query.search.query import Query, StoredPart
from clip_vectorizer.query.search.results import WeaviateObject, read_text
from clip_vectorizer.query.search.steps import SearchFlow, WeaviateCall
from clip_vectorizer.vectors import Vectors


def fetch_stored_images(what: Query, searched: SearchTarget) -> "SearchFlow[dict[StoredPart, WeaviateObject]]":
    """The object of each stored image that `what` names. Raises InputError for one that is not there."""
    wanted = list(dict.fromkeys(source for _, source in what.parts if isinstance(source, StoredPart)))
    if not wanted:
        return {}
    found = yield build_stored_images_call([source.key for source in wanted], searched)
    rows: dict[StoredPart, WeaviateObject] = {}
    for source in wanted:
        row = find_object(source.key, found.objects)
        if row is None:
            raise (yield from build_missing_image_error(source.key, searched))
        rows[source] = row
    return rows


def build_stored_images_call(keys: Sequence[str], searched: SearchTarget) -> WeaviateCall:
    """A path is looked for as such and by the id that it gives: objects that others made may have any id."""
    paths = [key for key in keys if not is_uuid(key)]
    ids = [key if is_uuid(key) else image_id(key) for key in keys]
    by_id = Filter.by_id().contains_any(ids)
    filters = Filter.any_of([by_id, Filter.by_property(PATH).contains_any(paths)]) if paths else by_id
    return WeaviateCall(
        "fetch_objects",
        {
            "filters": filters,
            "limit": MAX_RESULTS,
            "include_vector": [searched.vector],
            "return_properties": [PATH],
        },
    )


def is_uuid(key: str) -> bool:
    try:
        return str(UUID(key)) == key.lower()
    except ValueError:
        return False


def find_object(key: str, rows: Sequence[WeaviateObject]) -> WeaviateObject | None:
    return next((row for row in rows if key.lower() == str(row.uuid) or key == row.properties.get(PATH)), None)


def build_missing_image_error(key: str, searched: SearchTarget) -> SearchFlow[InputError]:
    """What is said of an image that is not there; it names a near path, if there is one among the first 10,000."""
    answer = yield WeaviateCall("fetch_objects", {"limit": MAX_RESULTS, "return_properties": [PATH]})
    paths = [read_text(row, PATH) for row in answer.objects]
    return InputError(
        f"the collection {searched.collection} holds no image {key}; {did_you_mean(key, paths)}"
        "name it by its path there or its id, as clip-search --json prints them"
    )


def read_stored_vector(row: WeaviateObject, searched: SearchTarget, key: str) -> Vectors:
    vector = row.vector.get(searched.vector)
    if not vector:
        raise VectorizerError(f"{key} is stored without a vector; run clip-ingest on it again (id {row.uuid})")
    return np.asarray(vector, dtype=np.float32)
