"""The collection of images in Weaviate, as a search asks it."""

from typing import Any

from weaviate import WeaviateClient
from weaviate.classes.config import ConsistencyLevel

from clip_vectorizer.failures import weaviate_errors
from clip_vectorizer.query.searching.calls import Searched
from clip_vectorizer.query.searching.steps import Call


class WeaviateImages:
    """One collection of images. Every method raises Unreachable, or VectorizerError with Weaviate's words."""

    def __init__(self, client: WeaviateClient, url: str, searched: Searched) -> None:
        self.searched = searched
        self._collection = at(client.collections.use(searched.collection), searched)
        self._url = url

    def ask(self, call: Call) -> Any:
        """What the method of weaviate-client's collection answers that `call` names."""
        with weaviate_errors(self._url):
            return call(self._collection)


def at(collection: Any, searched: Searched) -> Any:
    """The tenant's part of the collection, read as consistently as is asked; of the sync or the async client."""
    if searched.tenant:
        collection = collection.with_tenant(searched.tenant)
    if searched.consistency:
        collection = collection.with_consistency_level(ConsistencyLevel[searched.consistency])
    return collection
