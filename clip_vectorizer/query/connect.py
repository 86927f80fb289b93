"""Opening a search: connections to Weaviate and the sidecar, checked before use.

The collection must exist, and every model that makes vectors for it must be the same.
"""

from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from weaviate import WeaviateClient
from weaviate.classes.config import ConsistencyLevel, DataType

from clip_vectorizer.client import ModelInfo, VectorizerClient
from clip_vectorizer.database.collections import (
    VECTORIZER_MODULE,
    CollectionState,
    check_model,
    read_collection,
    select_model,
)
from clip_vectorizer.database.connection import ConnectionSettings, connect_weaviate, weaviate_errors
from clip_vectorizer.database.regions import check_region_model, find_region_collection, name_region_collection
from clip_vectorizer.database.schema import LABEL_COLLECTION, check_tenant_name
from clip_vectorizer.defaults import DEFAULT_VECTORIZER_URL
from clip_vectorizer.errors import InputError, Mismatch
from clip_vectorizer.near_strings import did_you_mean
from clip_vectorizer.query.choices import CONSISTENCY_LEVELS
from clip_vectorizer.query.search.calls import SearchTarget, WeaviateCall
from clip_vectorizer.query.search.regions import build_no_regions_error

SHOWN_TENANTS = 10
GENERATIVE = "generative-"  # begins the names of modules that answer questions


@dataclass(slots=True)
class SearchConnection:
    client: WeaviateClient
    sidecar: VectorizerClient
    info: ModelInfo
    target: SearchTarget | None  # None: connected without a collection
    opened: ExitStack = field(default_factory=ExitStack)  # closing it closes both connections


def open_connection(
    address: ConnectionSettings,
    collection: str | None = None,
    tenant: str | None = None,
    consistency_level: str | None = None,
) -> SearchConnection:
    """Connect, and check that the sidecar runs the model that made the collection's vectors.

    `collection` None: connect without one. Raises WeaviateUnreachable, SidecarUnreachable, InputError (no such
    collection, tenant or level), Mismatch (another model).
    """
    level = parse_consistency_level(consistency_level)
    url = address.vectorizer_url or DEFAULT_VECTORIZER_URL
    with ExitStack() as opened:
        sidecar = opened.enter_context(VectorizerClient(url, api_key=address.vectorizer_api_key))
        client = opened.enter_context(connect_weaviate(address.weaviate_url, address.grpc_port, address.api_key))
        info, target = sidecar.meta(), None
        if collection is not None:
            target = read_search_target(client, info, address.weaviate_url, collection, tenant)
            target = replace(target, tenant=tenant, consistency_level=level)
        return SearchConnection(client, sidecar, info, target, opened.pop_all())


def parse_consistency_level(level: str | None) -> str | None:
    """Return ONE, QUORUM or ALL as a plain str; weaviate-client's ConsistencyLevel is a str too. Raises InputError."""
    if level is None:
        return None
    if level not in CONSISTENCY_LEVELS:
        meant = did_you_mean(str(level), CONSISTENCY_LEVELS)
        raise InputError(f"no consistency level is called {level!r}; {meant}there are {', '.join(CONSISTENCY_LEVELS)}")
    return ConsistencyLevel(level).value


def read_search_target(
    client: WeaviateClient, info: ModelInfo, url: str, collection: str, tenant: str | None
) -> SearchTarget:
    stored = check_search(client, url, info, collection, tenant)
    return SearchTarget(
        collection,
        stored.properties,
        stored.words,
        stored.description.vector,
        stored.by_module,
        keep=stored.description.keep,
        generative=list_generative_modules(client, url),
    )


def list_generative_modules(client: WeaviateClient, url: str) -> tuple[str, ...]:
    """Return the names of the server's modules that answer questions, without their common beginning."""
    with weaviate_errors(url):
        modules = client.get_meta().get("modules") or {}
    return tuple(name.removeprefix(GENERATIVE) for name in sorted(modules) if name.startswith(GENERATIVE))


class WeaviateImages:
    """One collection of images, a SearchableCollection."""

    def __init__(self, client: WeaviateClient, url: str, target: SearchTarget) -> None:
        self.target = target
        self._collection = select_partition(client.collections.use(target.collection), target)
        self._client, self._url = client, url

    def add_properties(self, properties: Mapping[str, DataType]) -> None:
        """Let later searches use properties that the collection got after it was opened."""
        self.target = replace(self.target, properties={**self.target.properties, **properties})

    def execute(self, call: WeaviateCall) -> Any:
        """Run `call` on the collection. Raises WeaviateUnreachable, or VectorizerError with Weaviate's message."""
        with weaviate_errors(self._url):
            return call(self._select(call))

    def _select(self, call: WeaviateCall) -> Any:
        if not call.collection:
            return self._collection
        return select_partition(self._client.collections.use(call.collection), self.target)

    def open_regions(self) -> SearchTarget:
        """Return the collection of the images' regions.

        Raises InputError if there is none or no such tenant in it, Mismatch if another model made them.
        """
        images = self.target.collection
        with weaviate_errors(self._url):
            found = find_region_collection(self._client, images)
            if found is None or not has_tenant(self._client, found.name, self.target.tenant):
                raise build_no_regions_error(images)
            first = read_collection(self._client, images).description
        if self.target.vector in first.beside:
            raise Mismatch(
                f"the regions of {images} have vectors of {found.model} alone; search them with the sidecar of that "
                "model (--vectorizer-url), or images by this one, without regions"
            )
        check_region_model(found, images, first.model, self.target.vector)
        stored = found.stored
        return replace(
            self.target,
            collection=found.name,
            properties=stored.properties,
            text_properties=stored.words,
            vector=found.vector,
            by_module=stored.by_module,
        )


def has_tenant(client: WeaviateClient, collection: str, tenant: str | None) -> bool:
    return tenant is None or client.collections.use(collection).tenants.exists(tenant)


def select_partition(collection: Any, target: SearchTarget) -> Any:
    """Return the collection for the target's tenant and consistency level. Takes the sync or the async client's."""
    if target.tenant:
        collection = collection.with_tenant(target.tenant)
    if target.consistency_level:
        collection = collection.with_consistency_level(ConsistencyLevel(target.consistency_level))
    return collection


def check_search(
    client: WeaviateClient, url: str, info: ModelInfo, collection: str, tenant: str | None = None
) -> CollectionState:
    """Return the state of the collection, with the vector of the model `info`, which may be one beside the first.

    Raises InputError (no such collection or tenant), Mismatch (other models).
    """
    first = check_collection(client, url, collection, tenant)
    stored = select_model(first, info)
    check_model(stored, info, collection)
    is_beside = stored is not first  # Weaviate makes none of these vectors
    if stored.inference_url is None and not is_beside:  # else Weaviate uses that one, and does not report its model
        with weaviate_errors(url):
            check_weaviates_sidecar(client.get_meta(), info)
    return stored


def check_collection(client: WeaviateClient, url: str, collection: str, tenant: str | None = None) -> CollectionState:
    """Return the state of the collection, without a check of its model.

    Raises InputError (no such collection or tenant), Mismatch (not made by clip-ingest).
    """
    with weaviate_errors(url):
        check_collection_exists(collection, client.collections.list_all(simple=True), url)
        stored = read_collection(client, collection)
        check_tenant_exists(client, stored, collection, tenant)
    return stored


def check_tenant_exists(client: WeaviateClient, stored: CollectionState, collection: str, tenant: str | None) -> None:
    if not stored.tenants:
        if tenant is not None:
            raise InputError(f"the collection {collection} has no tenants; remove --tenant")
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
            f"the collection {collection} has no tenant {tenant}; {did_you_mean(tenant, names)}"
            f"it has {format_names(names)}"
        )


def format_names(names: Iterable[str]) -> str:
    found = sorted(names)
    return ", ".join([*found[:SHOWN_TENANTS], "..."] if len(found) > SHOWN_TENANTS else found) or "none yet"


def check_collection_exists(collection: str, names: Collection[str], url: str) -> None:
    regions = {name_region_collection(name) for name in names}
    images = sorted(name for name in names if not name.startswith(LABEL_COLLECTION) and name not in regions)
    if collection in images:
        return
    if not images:
        raise InputError(f"Weaviate at {url} holds no collection of images yet; fill it with `clip-ingest FOLDER`")
    raise InputError(
        f"Weaviate at {url} holds no collection of images called {collection}; {did_you_mean(collection, images)}"
        f"it holds {', '.join(images)} (--collection NAME)"
    )


def check_weaviates_sidecar(meta: dict[str, Any], info: ModelInfo) -> None:
    """Raises Mismatch: Weaviate's sidecar embeds texts and ours embeds images, so two models would go unnoticed."""
    theirs = (meta.get("modules") or {}).get(VECTORIZER_MODULE) or {}
    if theirs.get("revision", info.revision) != info.revision:
        raise Mismatch(
            f"Weaviate's own sidecar (CLIP_INFERENCE_API) runs {theirs.get('model')} (revision {theirs['revision']}), "
            f"but VECTORIZER_URL runs {info.model} (revision {info.revision}); point both at the same sidecar"
        )
