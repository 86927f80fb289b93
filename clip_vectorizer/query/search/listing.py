"""The images of a whole collection, page by page, without a search."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from weaviate.classes.config import DataType
from weaviate.classes.query import Filter, FilterReturn, Sort

from clip_vectorizer.database.schema import CAPTION, LABEL, PATH
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.filters.where import FilterInput, build_filter
from clip_vectorizer.query.hits import StoredImage
from clip_vectorizer.query.search.arguments import SearchRequest
from clip_vectorizer.query.search.calls import (
    SearchFlow,
    SearchTarget,
    WeaviateCall,
    combine_filters,
    list_returned_properties,
)
from clip_vectorizer.query.search.results import WeaviateObject, read_text, read_thumbnail, read_vector
from clip_vectorizer.query.search.stored_images import (
    build_missing_image_error,
    build_stored_images_call,
    find_object,
    is_uuid,
)

PAGE_SIZE = 1_000
THUMBNAIL_PAGE_SIZE = 200  # some 12 KB each
BLOB_PAGE_SIZE = 10  # an answer may have 100 MB


@dataclass(frozen=True, slots=True)
class CollectionListing:
    """Pages by the database's own cursor, or with a filter, which excludes the cursor, in the order of paths."""

    target: SearchTarget
    request: SearchRequest
    filters: FilterReturn | None
    page_size: int | None = None  # None: as many as one answer should have

    @classmethod
    def create(
        cls,
        target: SearchTarget,
        filters: FilterInput,
        return_properties: Iterable[str],
        include_vector: bool,
        include_thumbnail: bool,
        page_size: int | None = None,
    ) -> "CollectionListing":
        """Raises InputError for a bad filter, and for a property that does not exist."""
        request = SearchRequest(
            return_properties=return_properties, include_vector=include_vector, include_thumbnail=include_thumbnail
        )
        list_returned_properties(request, target)
        return cls(target, request, build_filter(filters, target.properties), page_size)

    def start_after(self, id: str | None) -> SearchFlow[WeaviateObject | None]:
        """Return the object with this id, to continue after it. Raises InputError when it does not exist."""
        if id is None:
            return None
        if not is_uuid(id):
            raise InputError(f"after {id!r}: expected the id of an image, from StoredImage.id or clip-search --json")
        arguments = {"filters": Filter.by_id().equal(id), "limit": 1, "return_properties": [PATH]}
        objects: list[WeaviateObject] = (yield WeaviateCall("fetch_objects", arguments)).objects
        if not objects:
            raise InputError(f"the collection {self.target.collection} holds no image {id}, so none comes after it")
        return objects[0]

    def page(self, last: WeaviateObject | None) -> SearchFlow[list[WeaviateObject]]:
        """Return the objects after `last`, none at the end."""
        objects: list[WeaviateObject] = (yield self.call(last)).objects
        return objects

    def call(self, last: WeaviateObject | None) -> WeaviateCall:
        arguments: dict[str, Any] = {
            "limit": self.size,
            "return_properties": list_returned_properties(self.request, self.target),
        }
        if self.request.include_vector:
            arguments["include_vector"] = [self.target.vector]
        if self.filters is None:
            return WeaviateCall("fetch_objects", arguments | ({"after": str(last.uuid)} if last else {}))
        beyond = Filter.by_property(PATH).greater_than(read_text(last, PATH)) if last else None
        in_order = {"filters": combine_filters([self.filters, beyond]), "sort": Sort.by_property(PATH)}
        return WeaviateCall("fetch_objects", arguments | in_order)

    @property
    def size(self) -> int:
        """Images per page."""
        return min(self.page_size or PAGE_SIZE, self.largest_size)

    @property
    def largest_size(self) -> int:
        if any(self.target.properties[name] is DataType.BLOB for name in self.request.return_properties):
            return BLOB_PAGE_SIZE
        return THUMBNAIL_PAGE_SIZE if self.request.include_thumbnail else PAGE_SIZE

    def read_image(self, found: WeaviateObject) -> StoredImage:
        return StoredImage(
            read_text(found, PATH),
            str(found.uuid),
            read_text(found, LABEL),
            read_text(found, CAPTION),
            {name: found.properties.get(name) for name in self.request.return_properties},
            read_vector(found, self.target) if self.request.include_vector else None,
            read_thumbnail(found) if self.request.include_thumbnail else None,
        )


def fetch_stored_page(ids: Sequence[str], listing: CollectionListing) -> SearchFlow[list[StoredImage]]:
    """Return the images with these ids, in their order; one that does not exist is left out."""
    filters = Filter.by_id().contains_any(list(ids))
    arguments = {**listing.call(None).arguments, "filters": filters, "limit": len(ids)}
    objects: list[WeaviateObject] = (yield WeaviateCall("fetch_objects", arguments)).objects
    found = {str(each.uuid): each for each in objects}
    return [listing.read_image(found[id]) for id in ids if id in found]


def fetch_newest(count: int, listing: CollectionListing) -> SearchFlow[list[StoredImage]]:
    """Return the images that were stored last, newest first. Weaviate looks at each image for it."""
    found: list[WeaviateObject] = []
    while len(found) < count:
        limit = min(listing.size, count - len(found))
        arguments = {**listing.call(None).arguments, "limit": limit, "offset": len(found), "filters": listing.filters}
        newest = {"sort": Sort.by_creation_time(ascending=False)}
        objects: list[WeaviateObject] = (yield WeaviateCall("fetch_objects", arguments | newest)).objects
        found += objects
        if len(objects) < limit:
            break
    return [listing.read_image(each) for each in found]


def fetch_stored_image(key: str, listing: CollectionListing) -> SearchFlow[StoredImage]:
    """Return one image, by its path or its id. Raises InputError where there is none."""
    arguments = build_stored_images_call([key], listing.target).arguments
    arguments = {**listing.call(None).arguments, "filters": arguments["filters"], "limit": 2}
    objects: list[WeaviateObject] = (yield WeaviateCall("fetch_objects", arguments)).objects
    found = find_object(key, objects)
    if found is None:
        raise (yield from build_missing_image_error(key, listing.target))
    return listing.read_image(found)
