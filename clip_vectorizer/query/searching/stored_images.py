"""Images of the collection that are searched with, by path or id, with the vector they have there. D dimensions"""

from collections.abc import Sequence
from uuid import UUID

import numpy as np
from weaviate.classes.query import Filter

from clip_vectorizer.errors import InputError, VectorizerError
from clip_vectorizer.query.lookup import did_you_mean
from clip_vectorizer.query.searching.asking import MAX_RESULTS
from clip_vectorizer.query.searching.calls import Searched
from clip_vectorizer.query.searching.mixture import InCollection, Mixture
from clip_vectorizer.query.searching.reading import Row, text_of
from clip_vectorizer.query.searching.steps import Call, Flow
from clip_vectorizer.schema import PATH, image_id
from clip_vectorizer.vectors import Vectors


def stored_rows(what: Mixture, searched: Searched) -> "Flow[dict[InCollection, Row]]":
    """The object of each stored image that `what` names. Raises InputError for one that is not there."""
    wanted = list(dict.fromkeys(source for _, source in what.parts if isinstance(source, InCollection)))
    if not wanted:
        return {}
    found = yield stored_call([source.key for source in wanted], searched)
    rows: dict[InCollection, Row] = {}
    for source in wanted:
        row = named(source.key, found.objects)
        if row is None:
            raise (yield from nowhere(source.key, searched))
        rows[source] = row
    return rows


def stored_call(keys: Sequence[str], searched: Searched) -> Call:
    """A path is looked for as such and by the id that it gives: objects that others made may have any id."""
    paths = [key for key in keys if not is_id(key)]
    ids = [key if is_id(key) else image_id(key) for key in keys]
    by_id = Filter.by_id().contains_any(ids)
    filters = Filter.any_of([by_id, Filter.by_property(PATH).contains_any(paths)]) if paths else by_id
    return Call(
        "fetch_objects",
        {
            "filters": filters,
            "limit": MAX_RESULTS,
            "include_vector": [searched.vector],
            "return_properties": [PATH],
        },
    )


def is_id(key: str) -> bool:
    try:
        return str(UUID(key)) == key.lower()
    except ValueError:
        return False


def named(key: str, rows: Sequence[Row]) -> Row | None:
    return next((row for row in rows if key.lower() == str(row.uuid) or key == row.properties.get(PATH)), None)


def nowhere(key: str, searched: Searched) -> Flow[InputError]:
    """What is said of an image that is not there; it names a near path, if there is one among the first 10,000."""
    answer = yield Call("fetch_objects", {"limit": MAX_RESULTS, "return_properties": [PATH]})
    paths = [text_of(row, PATH) for row in answer.objects]
    return InputError(
        f"the collection {searched.collection} holds no image {key}; {did_you_mean(key, paths)}"
        "name it by its path there or its id, as clip-search --json prints them"
    )


def stored_vector(row: Row, searched: Searched, key: str) -> Vectors:
    vector = row.vector.get(searched.vector)
    if not vector:
        raise VectorizerError(f"{key} is stored without a vector; run clip-ingest on it again (id {row.uuid})")
    return np.asarray(vector, dtype=np.float32)
