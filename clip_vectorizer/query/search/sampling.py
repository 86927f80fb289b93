"""A sample of a collection that is the same each time: the images with the lowest ids.

An id is made from the path by a hash (UUID version 5), so that the lowest ones are spread evenly over folders, labels
and times. Objects of other programs may have ids in the order of their making; of these, the sample has the oldest.
"""

from typing import Any

from weaviate.classes.query import Sort

from clip_vectorizer.defaults import MAX_RESULTS
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.search.arguments import parse_integer
from clip_vectorizer.query.search.calls import SearchFlow, WeaviateCall
from clip_vectorizer.query.search.listing import CollectionListing


def check_sample_size(limit: int) -> None:
    """Raises InputError for more images than Weaviate sorts at once."""
    if parse_integer("limit", limit, 1) > MAX_RESULTS:
        raise InputError(f"limit {limit:,}: a sample has {MAX_RESULTS:,} images at most; use iterate for all")


def fetch_sample_ids(listing: CollectionListing, limit: int) -> SearchFlow[list[str]]:
    """Return the lowest ids among the images that match a filter, ascending: Weaviate sorts all that do.

    Without a filter, its own cursor has this order, and reads no more images than it returns.
    """
    order: dict[str, Any] = {"sort": Sort.by_id(), "limit": limit, "return_properties": []}
    answer = yield WeaviateCall("fetch_objects", {"filters": listing.filters, **order})
    return [str(each.uuid) for each in answer.objects]
