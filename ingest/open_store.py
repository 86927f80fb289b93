"""From an address to a store: connect, agree on the model, make or check the collection, find the tenant."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from weaviate import WeaviateClient
from weaviate.classes.config import DataType

from clip_vectorizer.collections import Stored, Wish, check_image_collection, find
from clip_vectorizer.connection import Connection, connect_weaviate
from clip_vectorizer.errors import InputError
from clip_vectorizer.failures import weaviate_errors
from clip_vectorizer.identity import StoredModel
from clip_vectorizer.making import ensure_image_collection
from clip_vectorizer.schema import IMAGE, IMAGE_COLLECTION, check_name, check_tenant
from ingest.empty_store import EmptyStore
from ingest.model_check import agreed_model, has_module
from ingest.store import ImageStore, Keep
from ingest.weaviate_store import WeaviateStore


@contextmanager
def open_store(
    connection: Connection,
    collection: str = IMAGE_COLLECTION,
    wish: Wish | None = None,
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
    check_name(collection)
    if tenant is not None:
        check_tenant(tenant)
    wish, url = wish or Wish(), connection.weaviate_url
    with connect_weaviate(url, connection.grpc_port, connection.api_key) as client:
        with weaviate_errors(url):
            there = find(client, collection)
            check_way(there, wish, collection)
            inference_url = there.inference_url if there else None
            info = agreed_model(client, connection, wish.embed_here, inference_url)
            wish = replace(wish, tenants=tenant is not None, by_module=has_module(client))
            if create:
                there = ensure_image_collection(client, info, collection, wish)
            elif there:
                check_image_collection(there, info, collection, wish)
            holds = there is not None and has_tenant(client, collection, tenant, create)
        if there is None or not holds:
            keep = there.description.keep if there else wish.keep or Keep.THUMBNAIL
            yield EmptyStore(StoredModel.of(info), Keep(keep))
            return
        store = WeaviateStore(client, url, collection, there, tenant)
        store.check_ports()
        yield store


def check_way(there: Stored | None, wish: Wish, collection: str) -> None:
    """Raises InputError where Weaviate could not make the vectors that it is asked for."""
    if wish.embed_here:
        return
    if there and not (there.by_module and keeps_as_told(there)):
        raise InputError(f"Weaviate cannot make the vectors of the collection {collection}; add --embed client")
    if Keep.NONE in (wish.keep, there and there.description.keep):
        raise InputError("--store none keeps nothing that Weaviate could tell a changed image by; add --embed client")


def keeps_as_told(there: Stored) -> bool:
    """Images that Weaviate embeds stay in a blob: a collection that keeps none has only their hashes."""
    return there.properties.get(IMAGE) is DataType.BLOB_HASH or there.description.keep == Keep.FULL


def has_tenant(client: WeaviateClient, collection: str, tenant: str | None, create: bool) -> bool:
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
    if tells_words not in logger.filters:
        logger.addFilter(tells_words)


def tells_words(record: logging.LogRecord) -> bool:
    return not isinstance(record.msg, dict)
