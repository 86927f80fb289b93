"""From an address to a store: connect, agree on the model, make or check the collection, find the tenant.

Which model makes the vectors of this run: what the sidecar that makes them says, and the other one agrees with.
"""

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
from clip_vectorizer.database.identity import StoredModel
from clip_vectorizer.database.schema import IMAGE, check_collection_name, check_tenant_name
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
    wish: CollectionSpec | None = None,
    tenant: str | None = None,
    create: bool = True,
) -> Iterator[ImageStore]:
    """The store of `collection`, made if it is not there, for the model of the sidecar that makes the vectors.

    That is Weaviate's own; with `wish.embed_here` the one at `vectorizer_url`, and Weaviate's need not answer. Where
    both are known and answer they must run the same model. `tenant`: of a collection that has tenants; one that is not
    there comes into being. Without `create` nothing is changed: a collection or tenant that is not there holds nothing.
    Raises WeaviateUnreachable, SidecarUnreachable, Mismatch (another model made the collection), InputError,
    SettingsError.
    """
    silence_object_dumps()
    check_collection_name(collection)
    if tenant is not None:
        check_tenant_name(tenant)
    wish, url = wish or CollectionSpec(), connection.weaviate_url
    with connect_weaviate(url, connection.grpc_port, connection.api_key) as client:
        with weaviate_errors(url):
            there = find_collection(client, collection)
            check_embedding_place(there, wish, collection)
            inference_url = there.inference_url if there else None
            info = agree_on_model(client, connection, wish.embed_here, inference_url)
            wish = replace(wish, tenants=tenant is not None, by_module=has_module(client))
            if create:
                there = ensure_image_collection(client, info, collection, wish)
            elif there:
                check_image_collection(there, info, collection, wish)
            holds = there is not None and ensure_tenant(client, collection, tenant, create)
        if there is None or not holds:
            keep = there.description.keep if there else wish.keep or Keep.THUMBNAIL
            yield EmptyStore(StoredModel.of(info), Keep(keep))
            return
        store = WeaviateStore(client, url, collection, there, tenant)
        store.check_ports()
        yield store


def check_embedding_place(there: CollectionState | None, wish: CollectionSpec, collection: str) -> None:
    """Raises InputError where Weaviate could not make the vectors that it is asked for."""
    if wish.embed_here:
        return
    if there and not (there.by_module and keeps_declared_images(there)):
        raise InputError(f"Weaviate cannot make the vectors of the collection {collection}; add --embed client")
    if Keep.NONE in (wish.keep, there and there.description.keep):
        raise InputError("--store none keeps nothing that Weaviate could tell a changed image by; add --embed client")


def keeps_declared_images(there: CollectionState) -> bool:
    """Images that Weaviate embeds stay in a blob: a collection that keeps none has only their hashes."""
    return there.properties.get(IMAGE) is DataType.BLOB_HASH or there.description.keep == Keep.FULL


def ensure_tenant(client: WeaviateClient, collection: str, tenant: str | None, create: bool) -> bool:
    """Makes it where it is not, if it may."""
    if tenant is None:
        return True
    tenants = client.collections.use(collection).tenants
    if create and not tenants.exists(tenant):
        tenants.create(tenant)
    return create or tenants.exists(tenant)


def silence_object_dumps() -> None:
    """The Weaviate client logs refused objects whole, base64 and all; the report names them instead."""
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
    """What the sidecar runs that makes the vectors: ours where we `embed_here`, else Weaviate's.

    `inference_url`: the sidecar that Weaviate asks for this collection, where it is not its default. Raises
    SidecarUnreachable (the one that is needed), Mismatch (both answer, and differ).
    """
    url, named = connection.weaviate_url, connection.vectorizer_url
    asked = named or embed_here
    ours = fetch_meta(named or DEFAULT_VECTORIZER_URL, connection.vectorizer_api_key) if asked else None
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
    """None where Weaviate has no module or its sidecar is silent, and it is not `needed`."""
    if inference_url:
        return read_model_at(inference_url, ours, needed)
    module = client.get_meta().get("modules", {}).get(VECTORIZER_MODULE)
    if module is None and needed:
        raise VectorizerError(
            f"Weaviate at {url} runs without the module {VECTORIZER_MODULE}; start it with ENABLE_MODULES={VECTORIZER_MODULE} and "
            "CLIP_INFERENCE_API=http://HOST:PORT of the sidecar, or let clip-ingest ask the sidecar itself: "
            "--embed client"
        )
    if module is None or ("error" in module and not needed):
        return None
    return parse_module_meta(module, url)


def parse_module_meta(module: dict[str, Any], url: str) -> ModelInfo:
    """Weaviate asks its sidecar's `/meta` anew each time, and passes on the answer or the error."""
    if "error" in module:
        raise sidecar_unreachable_error(url, str(module["error"]))
    return read_model_info(module, f"the sidecar of Weaviate at {url}, ")


def read_model_at(inference_url: str, ours: ModelInfo | None, needed: bool) -> ModelInfo | None:
    """The address is Weaviate's, maybe of a network that we are not in: then what ours runs must do."""
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
