"""All objects that a filter finds, however many: Weaviate answers 10,000 at most, and its cursor takes no filter.

The paths are halved until no part has more than a page. A cursor through everything is no way: where images are kept
it reads every one of them [440 objects a second of 400 KB].
"""

from collections.abc import Iterator, Sequence
from typing import Any

from weaviate.classes.query import Filter
from weaviate.collections import Collection
from weaviate.collections.classes.filters import _Filters
from weaviate.collections.classes.internal import Object

from clip_vectorizer.schema import PATH

PAGE = 5000
PAGE_OF_IMAGES = 100  # the server has all of a page in memory, images and all

Row = Object[Any, Any]
Images = Collection[Any, Any]


def matching(collection: Collection[Any, Any], where: _Filters, properties: Sequence[str], page: int) -> Iterator[Row]:
    """In the order of their paths, roughly. What is added or removed meanwhile may or may not be among them."""
    found = collection.query.fetch_objects(filters=where, limit=page, return_properties=[PATH, *properties]).objects
    if len(found) < page:
        yield from found
        return
    middle = sorted(path_of(row) for row in found)[(len(found) - 1) // 2]  # at least one is beyond it
    path = Filter.by_property(PATH)
    yield from matching(collection, where & path.less_or_equal(middle), properties, page)
    yield from matching(collection, where & path.greater_than(middle), properties, page)


def path_of(row: Row) -> str:
    return str(row.properties[PATH])
