"""Everything a search holds open, checked before it is used."""

from contextlib import ExitStack
from dataclasses import dataclass, field

from weaviate import WeaviateClient

from clip_vectorizer.client import ModelInfo, VectorizerClient
from clip_vectorizer.connection import DEFAULT_URL, DEFAULT_VECTORIZER_URL, connect_weaviate
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.calls import Searched
from clip_vectorizer.query.database import text_by_words
from clip_vectorizer.query.guard import check_search
from clip_vectorizer.query.lookup import did_you_mean
from clip_vectorizer.schema import IMAGE_COLLECTION

CONSISTENCY = ("ONE", "QUORUM", "ALL")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where Weaviate and the sidecar are, and what is searched there; `collection` None: nothing."""

    weaviate_url: str = DEFAULT_URL
    grpc_port: int | None = None
    api_key: str | None = None
    vectorizer_url: str = DEFAULT_VECTORIZER_URL
    collection: str | None = IMAGE_COLLECTION
    vectorizer_api_key: str | None = None
    tenant: str | None = None
    consistency: str | None = None

    def __post_init__(self) -> None:
        if self.consistency not in (None, *CONSISTENCY):
            raise InputError(
                f"no consistency is called {self.consistency!r}; "
                f"{did_you_mean(self.consistency, CONSISTENCY)}there are {', '.join(CONSISTENCY)}"
            )


@dataclass(slots=True)
class Connected:
    client: WeaviateClient
    sidecar: VectorizerClient
    info: ModelInfo
    searched: Searched | None
    opened: ExitStack = field(default_factory=ExitStack)  # close it and all is closed


def connect(where: Addresses) -> Connected:
    """Checks that the sidecar runs the model that made the collection's vectors.

    Raises WeaviateUnreachable, SidecarUnreachable, InputError (no such collection or tenant), Mismatch (another model).
    """
    with ExitStack() as opened:
        sidecar = opened.enter_context(VectorizerClient(where.vectorizer_url, api_key=where.vectorizer_api_key))
        client = opened.enter_context(connect_weaviate(where.weaviate_url, where.grpc_port, where.api_key))
        info = sidecar.meta()
        searched = None if where.collection is None else look_at_searched(client, info, where, where.collection)
        return Connected(client, sidecar, info, searched, opened.pop_all())


def look_at_searched(client: WeaviateClient, info: ModelInfo, where: Addresses, collection: str) -> Searched:
    stored = check_search(client, where.weaviate_url, info, collection, where.tenant)
    return Searched(
        collection,
        stored.properties,
        text_by_words(client, where.weaviate_url, collection),
        stored.description.vector,
        stored.by_module,
        where.tenant,
        where.consistency,
    )
