"""Everything a search holds open, checked before it is used."""

from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from weaviate import WeaviateClient

from clip_vectorizer.client import ModelInfo, VectorizerClient
from clip_vectorizer.connection import DEFAULT_VECTORIZER_URL, Connection, connect_weaviate
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.guard import check_search
from clip_vectorizer.query.lookup import did_you_mean
from clip_vectorizer.query.searching.calls import Searched

CONSISTENCY = ("ONE", "QUORUM", "ALL")


@dataclass(slots=True)
class Connected:
    client: WeaviateClient
    sidecar: VectorizerClient
    info: ModelInfo
    searched: Searched | None
    opened: ExitStack = field(default_factory=ExitStack)  # close it and all is closed


def connect(
    where: Connection, collection: str | None = None, tenant: str | None = None, consistency: str | None = None
) -> Connected:
    """Checks that the sidecar runs the model that made the collection's vectors; `collection` None: to search nothing.

    Raises WeaviateUnreachable, SidecarUnreachable, InputError (no such collection or tenant), Mismatch (another model).
    """
    check_consistency(consistency)
    url = where.vectorizer_url or DEFAULT_VECTORIZER_URL
    with ExitStack() as opened:
        sidecar = opened.enter_context(VectorizerClient(url, api_key=where.vectorizer_api_key))
        client = opened.enter_context(connect_weaviate(where.weaviate_url, where.grpc_port, where.api_key))
        info, searched = sidecar.meta(), None
        if collection is not None:
            searched = look_at(client, info, where.weaviate_url, collection, tenant)
            searched = replace(searched, tenant=tenant, consistency=consistency)
        return Connected(client, sidecar, info, searched, opened.pop_all())


def check_consistency(consistency: str | None) -> None:
    if consistency not in (None, *CONSISTENCY):
        meant = did_you_mean(str(consistency), CONSISTENCY)
        raise InputError(f"no consistency is called {consistency!r}; {meant}there are {', '.join(CONSISTENCY)}")


def look_at(client: WeaviateClient, info: ModelInfo, url: str, collection: str, tenant: str | None) -> Searched:
    stored = check_search(client, url, info, collection, tenant)
    return Searched(collection, stored.properties, stored.words, stored.description.vector, stored.by_module)
