"""The whole collection, image by image, without a search."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from weaviate.classes.config import DataType
from weaviate.classes.query import Filter, FilterReturn, Sort

from clip_vectorizer.database.schema import CAPTION, LABEL, PATH
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.filters.where import FilterInput, build_filter
from clip_vectorizer.query.hits import StoredImage
from clip_vectorizer.query.search.arguments import SearchRequest
from clip_vectorizer.query.search.calls import SearchTarget, combine_filters, list_returned_properties
from clip_vectorizer.query.search.results import WeaviateObject, read_text, read_thumbnail, read_vector
from clip_vectorizer.query.search.steps import SearchFlow, WeaviateCall
from clip_vectorizer.query.search.stored_images import is_uuid

PAGE_SIZE = 1_000
THUMBNAIL_PAGE_SIZE = 200  # some 12 KB each
BLOB_PAGE_SIZE = 10  # an answer may have 100 MB


@dataclass(frozen=True, slots=True)
class CollectionListing:
    """What is listed. By the database's own cursor; with a filter, which excludes that one, in the order of paths."""

    searched: SearchTarget
    question: SearchRequest
    filters: FilterReturn | None

    @classmethod
    def of(
        cls, searched: SearchTarget, where: FilterInput, properties: Iterable[str], vectors: bool, thumbnails: bool
    ) -> "CollectionListing":
        """Raises InputError for a property that is not there."""
        question = SearchRequest(properties=properties, vectors=vectors, thumbnails=thumbnails)
        list_returned_properties(question, searched)
        return cls(searched, question, build_filter(where, searched.properties))

    def start_after(self, id: str | None) -> SearchFlow[WeaviateObject | None]:
        """The object with this id, to go on after it. Raises InputError when it is gone."""
        if id is None:
            return None
        if not is_uuid(id):
            raise InputError(f"after {id!r}: expected the id of an image, as everything() and clip-search --json tell")
        arguments = {"filters": Filter.by_id().equal(id), "limit": 1, "return_properties": [PATH]}
        rows: list[WeaviateObject] = (yield WeaviateCall("fetch_objects", arguments)).objects
        if not rows:
            raise InputError(f"the collection {self.searched.collection} holds no image {id}, so none comes after it")
        return rows[0]

    def page(self, last: WeaviateObject | None) -> SearchFlow[list[WeaviateObject]]:
        """The rows after `last`; none when that was the last one."""
        rows: list[WeaviateObject] = (yield self.call(last)).objects
        return rows

    def call(self, last: WeaviateObject | None) -> WeaviateCall:
        arguments: dict[str, Any] = {
            "limit": self.size,
            "return_properties": list_returned_properties(self.question, self.searched),
        }
        if self.question.vectors:
            arguments["include_vector"] = [self.searched.vector]
        if self.filters is None:
            return WeaviateCall("fetch_objects", arguments | ({"after": str(last.uuid)} if last else {}))
        beyond = Filter.by_property(PATH).greater_than(read_text(last, PATH)) if last else None
        in_order = {"filters": combine_filters([self.filters, beyond]), "sort": Sort.by_property(PATH)}
        return WeaviateCall("fetch_objects", arguments | in_order)

    @property
    def size(self) -> int:
        """How many are fetched at once."""
        if any(self.searched.properties[name] is DataType.BLOB for name in self.question.properties):
            return BLOB_PAGE_SIZE
        return THUMBNAIL_PAGE_SIZE if self.question.thumbnails else PAGE_SIZE

    def listed(self, row: WeaviateObject) -> StoredImage:
        return StoredImage(
            read_text(row, PATH),
            str(row.uuid),
            read_text(row, LABEL),
            read_text(row, CAPTION),
            {name: row.properties.get(name) for name in self.question.properties},
            read_vector(row, self.searched) if self.question.vectors else None,
            read_thumbnail(row, self.question),
        )
