"""Everything a search holds open, checked before it is used.

The collection of images in Weaviate, as a search asks it.

What must hold before a collection is searched: it exists, and every model that makes vectors for it is the same.
"""

from collections.abc import Collection, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from weaviate import WeaviateClient
from weaviate.classes.config import ConsistencyLevel

from clip_vectorizer.client import ModelInfo, VectorizerClient
from clip_vectorizer.database.collections import VECTORIZER_MODULE, CollectionState, check_model, read_collection
from clip_vectorizer.database.connection import ConnectionSettings, connect_weaviate, weaviate_errors
from clip_vectorizer.database.schema import LABEL_COLLECTION, check_tenant_name
from clip_vectorizer.defaults import DEFAULT_VECTORIZER_URL
from clip_vectorizer.errors import InputError, Mismatch
from clip_vectorizer.query.near_strings import did_you_mean
from clip_vectorizer.query.search.calls import SearchTarget
from clip_vectorizer.query.search.steps import WeaviateCall

CONSISTENCY_LEVELS = ("ONE", "QUORUM", "ALL")
SHOWN_TENANTS = 10


@dataclass(slots=True)
class SearchConnection:
    client: WeaviateClient
    sidecar: VectorizerClient
    info: ModelInfo
    searched: SearchTarget | None
    opened: ExitStack = field(default_factory=ExitStack)  # close it and all is closed


def open_connection(
    where: ConnectionSettings, collection: str | None = None, tenant: str | None = None, consistency: str | None = None
) -> SearchConnection:
    """Checks that the sidecar runs the model that made the collection's vectors; `collection` None: to search nothing.

    Raises WeaviateUnreachable, SidecarUnreachable, InputError (no such collection or tenant), Mismatch (another model).
    """
    check_consistency_level(consistency)
    url = where.vectorizer_url or DEFAULT_VECTORIZER_URL
    with ExitStack() as opened:
        sidecar = opened.enter_context(VectorizerClient(url, api_key=where.vectorizer_api_key))
        client = opened.enter_context(connect_weaviate(where.weaviate_url, where.grpc_port, where.api_key))
        info, searched = sidecar.meta(), None
        if collection is not None:
            searched = read_search_target(client, info, where.weaviate_url, collection, tenant)
            searched = replace(searched, tenant=tenant, consistency=consistency)
        return SearchConnection(client, sidecar, info, searched, opened.pop_all())


def check_consistency_level(consistency: str | None) -> None:
    if consistency not in (None, *CONSISTENCY_LEVELS):
        meant = did_you_mean(str(consistency), CONSISTENCY_LEVELS)
        raise InputError(f"no consistency is called {consistency!r}; {meant}there are {', '.join(CONSISTENCY_LEVELS)}")


def read_search_target(
    client: WeaviateClient, info: ModelInfo, url: str, collection: str, tenant: str | None
) -> SearchTarget:
    stored = check_search(client, url, info, collection, tenant)
    return SearchTarget(collection, stored.properties, stored.words, stored.description.vector, stored.by_module)


class WeaviateImages:
    """One collection of images. Every method raises Unreachable, or VectorizerError with Weaviate's words."""

    def __init__(self, client: WeaviateClient, url: str, searched: SearchTarget) -> None:
        self.searched = searched
        self._collection = select_partition(client.collections.use(searched.collection), searched)
        self._url = url

    def ask(self, call: WeaviateCall) -> Any:
        """What the method of weaviate-client's collection answers that `call` names."""
        with weaviate_errors(self._url):
            return call(self._collection)


def select_partition(collection: Any, searched: SearchTarget) -> Any:
    """The tenant's part of the collection, read as consistently as is asked; of the sync or the async client."""
    if searched.tenant:
        collection = collection.with_tenant(searched.tenant)
    if searched.consistency:
        collection = collection.with_consistency_level(ConsistencyLevel[searched.consistency])
    return collection


def check_search(
    client: WeaviateClient, url: str, info: ModelInfo, collection: str, tenant: str | None = None
) -> CollectionState:
    """The collection. Raises InputError (no such one or tenant), Mismatch (the models do not agree)."""
    stored = check_collection(client, url, collection, tenant)
    check_model(stored, info, collection)
    if stored.inference_url is None:  # else Weaviate asks that one, which it tells us nothing of
        with weaviate_errors(url):
            check_weaviates_sidecar(client.get_meta(), info)
    return stored


def check_collection(client: WeaviateClient, url: str, collection: str, tenant: str | None = None) -> CollectionState:
    """The collection, for whoever needs no vectors. Raises InputError, Mismatch (not made by us)."""
    with weaviate_errors(url):
        check_collection_exists(collection, client.collections.list_all(simple=True), url)
        stored = read_collection(client, collection)
        check_tenant_exists(client, stored, collection, tenant)
    return stored


def check_tenant_exists(client: WeaviateClient, stored: CollectionState, collection: str, tenant: str | None) -> None:
    if not stored.tenants:
        if tenant is not None:
            raise InputError(f"the collection {collection} has no tenants; leave --tenant away")
        return
    tenants = client.collections.use(collection).tenants
    if tenant is None:
        raise InputError(
            f"the collection {collection} has tenants; name one with --tenant: {format_names(tenants.get())}"
        )
    check_tenant_name(tenant)
    if not tenants.exists(tenant):
        names = sorted(tenants.get())
        raise InputError(
            f"the collection {collection} has no tenant {tenant}; {did_you_mean(tenant, names)}it has {format_names(names)}"
        )


def format_names(names: Iterable[str]) -> str:
    found = sorted(names)
    return ", ".join([*found[:SHOWN_TENANTS], "..."] if len(found) > SHOWN_TENANTS else found) or "none yet"


def check_collection_exists(collection: str, names: Collection[str], url: str) -> None:
    images = sorted(name for name in names if not name.startswith(LABEL_COLLECTION))
    if collection in images:
        return
    if not images:
        raise InputError(f"Weaviate at {url} holds no collection of images yet; fill it with `clip-ingest FOLDER`")
    raise InputError(
        f"Weaviate at {url} holds no collection of images called {collection}; {did_you_mean(collection, images)}"
        f"it holds {', '.join(images)} (--collection NAME)"
    )


def check_weaviates_sidecar(meta: dict[str, Any], info: ModelInfo) -> None:
    """A text is embedded by the sidecar that Weaviate names, an image by ours: two models would go unnoticed."""
    theirs = (meta.get("modules") or {}).get(VECTORIZER_MODULE) or {}
    if theirs.get("revision", info.revision) != info.revision:
        raise Mismatch(
            f"Weaviate's own sidecar (CLIP_INFERENCE_API) runs {theirs.get('model')} (revision {theirs['revision']}), "
            f"but VECTORIZER_URL runs {info.model} (revision {info.revision}); point both at the same sidecar"
        )
