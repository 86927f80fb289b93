"""The whole collection, image by image, without a search."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from weaviate.classes.config import DataType
from weaviate.classes.query import Filter, FilterReturn, Sort

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.filters.where import Where, where_filter
from clip_vectorizer.query.hits import Listed
from clip_vectorizer.query.searching.asking import Question
from clip_vectorizer.query.searching.calls import Searched, all_of, returned
from clip_vectorizer.query.searching.reading import Row, text_of, thumbnail_of, vector_in
from clip_vectorizer.query.searching.steps import Call, Flow
from clip_vectorizer.query.searching.stored_images import is_id
from clip_vectorizer.schema import CAPTION, LABEL, PATH

A_PAGE = 1_000
A_PAGE_OF_THUMBNAILS = 200  # some 12 KB each
A_PAGE_OF_FILES = 10  # an answer may have 100 MB


@dataclass(frozen=True, slots=True)
class Listing:
    """What is listed. By the database's own cursor; with a filter, which excludes that one, in the order of paths."""

    searched: Searched
    question: Question
    filters: FilterReturn | None

    @classmethod
    def of(
        cls, searched: Searched, where: Where, properties: Iterable[str], vectors: bool, thumbnails: bool
    ) -> "Listing":
        """Raises InputError for a property that is not there."""
        question = Question(properties=properties, vectors=vectors, thumbnails=thumbnails)
        returned(question, searched)
        return cls(searched, question, where_filter(where, searched.properties))

    def start_after(self, id: str | None) -> Flow[Row | None]:
        """The object with this id, to go on after it. Raises InputError when it is gone."""
        if id is None:
            return None
        if not is_id(id):
            raise InputError(f"after {id!r}: expected the id of an image, as everything() and clip-search --json tell")
        arguments = {"filters": Filter.by_id().equal(id), "limit": 1, "return_properties": [PATH]}
        rows: list[Row] = (yield Call("fetch_objects", arguments)).objects
        if not rows:
            raise InputError(f"the collection {self.searched.collection} holds no image {id}, so none comes after it")
        return rows[0]

    def page(self, last: Row | None) -> Flow[list[Row]]:
        """The rows after `last`; none when that was the last one."""
        rows: list[Row] = (yield self.call(last)).objects
        return rows

    def call(self, last: Row | None) -> Call:
        arguments: dict[str, Any] = {
            "limit": self.size,
            "return_properties": returned(self.question, self.searched),
        }
        if self.question.vectors:
            arguments["include_vector"] = [self.searched.vector]
        if self.filters is None:
            return Call("fetch_objects", arguments | ({"after": str(last.uuid)} if last else {}))
        beyond = Filter.by_property(PATH).greater_than(text_of(last, PATH)) if last else None
        in_order = {"filters": all_of([self.filters, beyond]), "sort": Sort.by_property(PATH)}
        return Call("fetch_objects", arguments | in_order)

    @property
    def size(self) -> int:
        """How many are fetched at once."""
        if any(self.searched.properties[name] is DataType.BLOB for name in self.question.properties):
            return A_PAGE_OF_FILES
        return A_PAGE_OF_THUMBNAILS if self.question.thumbnails else A_PAGE

    def listed(self, row: Row) -> Listed:
        return Listed(
            text_of(row, PATH),
            str(row.uuid),
            text_of(row, LABEL),
            text_of(row, CAPTION),
            {name: row.properties.get(name) for name in self.question.properties},
            vector_in(row, self.searched) if self.question.vectors else None,
            thumbnail_of(row, self.question),
        )
