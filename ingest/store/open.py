"""Open a store: connect, agree on the model, create or check the collection, find the tenant."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from weaviate import WeaviateClient
from weaviate.classes.config import DataType

from clip_vectorizer.client import ModelInfo, VectorizerClient
from clip_vectorizer.database.collections import (
    VECTORIZER_MODULE,
    CollectionSpec,
    CollectionState,
    check_image_collection,
    ensure_image_collection,
    find_collection,
)
from clip_vectorizer.database.connection import (
    ConnectionSettings,
    connect_weaviate,
    sidecar_unreachable_error,
    weaviate_errors,
)
from clip_vectorizer.database.regions import (
    RegionCollectionState,
    ensure_region_collection,
    find_region_collection,
)
from clip_vectorizer.database.schema import IMAGE, StoredModel, check_collection_name, check_tenant_name
from clip_vectorizer.defaults import DEFAULT_VECTORIZER_URL, IMAGE_COLLECTION
from clip_vectorizer.errors import InputError, Mismatch, SidecarUnreachable, VectorizerError
from clip_vectorizer.wire import read_model_info
from ingest.choices import Keep
from ingest.store.base import EmptyStore, ImageStore
from ingest.store.weaviate import WeaviateStore


@contextmanager
def open_store(
    connection: ConnectionSettings,
    collection: str = IMAGE_COLLECTION,
    spec: CollectionSpec | None = None,
    tenant: str | None = None,
    create: bool = True,
    with_regions: bool = False,
) -> Iterator[ImageStore]:
    """Open the store of `collection`, for the model of the sidecar that makes the vectors, and create what is missing.

    The sidecar is Weaviate's; with `spec.embed_here` it is the one at `vectorizer_url`, and Weaviate's need not be
    reachable. If both are, they must run the same model. `tenant`: of a collection with tenants, created if missing.
    Without `create` nothing is changed, and a missing collection or tenant is an empty store. `with_regions`: create
    the collection of its regions too; one that exists is part of the store in any case.
    Raises WeaviateUnreachable, SidecarUnreachable, Mismatch (another model made the collection), InputError,
    SettingsError.
    """
    silence_object_dumps()
    check_collection_name(collection)
    if tenant is not None:
        check_tenant_name(tenant)
    spec, url = spec or CollectionSpec(), connection.weaviate_url
    with connect_weaviate(url, connection.grpc_port, connection.api_key) as client:
        with weaviate_errors(url):
            state = find_collection(client, collection)
            check_embedding_place(state, spec, collection)
            inference_url = state.inference_url if state else None
            info = agree_on_model(client, connection, spec.embed_here, inference_url)
            spec = replace(spec, tenants=tenant is not None, by_module=has_module(client))
            if create:
                state = ensure_image_collection(client, info, collection, spec)
            elif state:
                check_image_collection(state, info, collection, spec)
            has_store = state is not None and ensure_tenant(client, collection, tenant, create)
            regions = open_regions(client, collection, state, tenant, create and with_regions) if state else None
        if state is None or not has_store:
            keep = state.description.keep if state else spec.keep or Keep.THUMBNAIL
            yield EmptyStore(StoredModel.of(info), Keep(keep))
            return
        store = WeaviateStore(client, url, collection, state, tenant, regions, info.pixel_check)
        store.check_ports()
        yield store


def open_regions(
    client: WeaviateClient, collection: str, state: CollectionState, tenant: str | None, create: bool
) -> RegionCollectionState | None:
    """Return the collection of the regions of `collection`, None if it or the tenant is missing.

    With `create`, create them. Raises Mismatch (another model made its regions, or it is no collection of regions).
    """
    found = (
        ensure_region_collection(client, collection, state) if create else find_region_collection(client, collection)
    )
    return found if found and ensure_tenant(client, found.name, tenant, create) else None


def check_embedding_place(state: CollectionState | None, spec: CollectionSpec, collection: str) -> None:
    """Raise InputError if Weaviate is to make the vectors and cannot."""
    if spec.embed_here:
        return
    if state and not (state.by_module and keeps_declared_images(state)):
        raise InputError(f"Weaviate cannot make the vectors of the collection {collection}; add --embed client")
    if Keep.NONE in (spec.keep, state and state.description.keep):
        raise InputError(
            "--keep none stores nothing by which Weaviate could detect a changed image; add --embed client"
        )


def keeps_declared_images(state: CollectionState) -> bool:
    """Whether Weaviate can embed: it reads the image from a blob, which is stored whole or as a hash."""
    return state.properties.get(IMAGE) is DataType.BLOB_HASH or state.description.keep == Keep.FULL


def ensure_tenant(client: WeaviateClient, collection: str, tenant: str | None, create: bool) -> bool:
    """Return whether the tenant exists; with `create`, create it first."""
    if tenant is None:
        return True
    tenants = client.collections.use(collection).tenants
    if create and not tenants.exists(tenant):
        tenants.create(tenant)
    return create or tenants.exists(tenant)


def silence_object_dumps() -> None:
    """Stop weaviate-client from logging refused objects whole, with their base64: the report names them."""
    logger = logging.getLogger("weaviate-client")
    if is_text_record not in logger.filters:
        logger.addFilter(is_text_record)


def is_text_record(record: logging.LogRecord) -> bool:
    return not isinstance(record.msg, dict)


def agree_on_model(
    client: WeaviateClient,
    connection: ConnectionSettings,
    embed_here: bool = False,
    inference_url: str | None = None,
) -> ModelInfo:
    """Return the model of the sidecar that makes the vectors: ours with `embed_here`, otherwise Weaviate's.

    `inference_url`: the sidecar that Weaviate uses for this collection, if it is not the default. Raises
    SidecarUnreachable (the sidecar that is needed), Mismatch (both are reachable and run different models).
    """
    url, named = connection.weaviate_url, connection.vectorizer_url
    is_used = named or embed_here
    ours = fetch_meta(named or DEFAULT_VECTORIZER_URL, connection.vectorizer_api_key) if is_used else None
    theirs = read_weaviate_model(client, url, inference_url, ours, needed=not embed_here)
    if ours and theirs and not StoredModel.of(theirs).agrees_with(ours):
        raise Mismatch(
            f"Weaviate at {url} uses a sidecar with {StoredModel.of(theirs)}, but VECTORIZER_URL "
            f"{named} runs {StoredModel.of(ours)}; point both at one sidecar"
        )
    info = ours if embed_here else theirs
    assert info is not None
    return info


def read_weaviate_model(
    client: WeaviateClient, url: str, inference_url: str | None, ours: ModelInfo | None, needed: bool
) -> ModelInfo | None:
    """Return None if Weaviate has no module or its sidecar does not respond, and it is not `needed`."""
    if inference_url:
        return read_model_at(inference_url, ours, needed)
    module = client.get_meta().get("modules", {}).get(VECTORIZER_MODULE)
    if module is None and needed:
        raise VectorizerError(
            f"Weaviate at {url} runs without the module {VECTORIZER_MODULE}; start it with "
            f"ENABLE_MODULES={VECTORIZER_MODULE} and CLIP_INFERENCE_API=http://HOST:PORT of the sidecar, "
            "or let clip-ingest call the sidecar itself: --embed client"
        )
    if module is None or ("error" in module and not needed):
        return None
    return parse_module_meta(module, url)


def parse_module_meta(module: dict[str, Any], url: str) -> ModelInfo:
    """Read what Weaviate's `/v1/meta` reports of the module: its sidecar's `/meta`, or the error."""
    if "error" in module:
        raise sidecar_unreachable_error(url, str(module["error"]))
    return read_model_info(module, f"the sidecar of Weaviate at {url}, ")


def read_model_at(inference_url: str, ours: ModelInfo | None, needed: bool) -> ModelInfo | None:
    """Return the model at Weaviate's address of the sidecar, or `ours` if that is on a network we cannot reach."""
    try:
        return fetch_meta(inference_url)
    except SidecarUnreachable:
        if needed and ours is None:
            raise
        return ours


def fetch_meta(url: str, api_key: str | None = None) -> ModelInfo:
    with VectorizerClient(url, api_key=api_key) as sidecar:
        return sidecar.meta()


def has_module(client: WeaviateClient) -> bool:
    return VECTORIZER_MODULE in client.get_meta().get("modules", {})
