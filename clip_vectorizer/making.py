"""How collections come into being, and how those of earlier versions get what they lack."""

import re
from collections.abc import Sequence
from typing import Any

from weaviate import WeaviateClient
from weaviate.classes.config import Configure, DataType, Property, VectorDistances
from weaviate.collections.classes.config_vectors import VectorConfigCreate
from weaviate.collections.config import _ConfigCollection
from weaviate.exceptions import UnexpectedStatusCodeError, WeaviateInvalidInputError

from clip_vectorizer.collections import Stored, Wish, check_image_collection, check_model, look_at
from clip_vectorizer.errors import InputError
from clip_vectorizer.identity import Description, ModelIdentity, StoredModel
from clip_vectorizer.indexes import index_of, quantize
from clip_vectorizer.label_schema import label_properties, label_set_properties, predicted_properties
from clip_vectorizer.schema import (
    IMAGE,
    IMAGE_COLLECTION,
    LABEL_COLLECTION,
    LABEL_SET_COLLECTION,
    VECTOR,
    check_name,
    image_properties,
)

FULL, THUMBNAIL = "full", "thumbnail"
COSINE = Configure.VectorIndex.hnsw(distance_metric=VectorDistances.COSINE)
HASHES_BLOBS = (1, 37)  # the version of Weaviate that can compare an image which it does not keep


def ensure_image_collection(
    client: WeaviateClient, info: ModelIdentity, collection: str = IMAGE_COLLECTION, wish: Wish | None = None
) -> Stored:
    """Makes the collection of images, or checks that `info` may write into the one that is there.

    Properties that an earlier version did not know are added. Raises Mismatch (made with another model, or not made by
    us), InputError (a name that Weaviate refuses, another `keep`, tenants where there are none or the reverse).
    """
    wish = wish or Wish()
    keep = wish.keep or THUMBNAIL
    properties = image_properties(image_type(client, wish, keep))
    vector = (
        Configure.Vectors.multi2vec_clip(
            name=VECTOR, image_fields=[IMAGE], vector_index_config=index_of(wish.quantizer)
        )
        if wish.by_module
        else Configure.Vectors.self_provided(name=VECTOR, vector_index_config=index_of(wish.quantizer))
    )
    ensure_collection(client, Description(StoredModel.of(info), keep), collection, properties, vector, wish.tenants)
    stored = look_at(client, collection)
    check_image_collection(stored, info, collection, wish)
    if wish.quantizer not in (None, stored.quantizer):
        quantize(client.collections.use(collection).config, stored, wish.quantizer)
    return look_at(client, collection) if add_lacking(client, collection, stored, properties) else stored


def ensure_label_collection(client: WeaviateClient, info: ModelIdentity, collection: str = LABEL_COLLECTION) -> None:
    """The same for the collection of labels, whose vectors are given with the objects."""
    vector = Configure.Vectors.self_provided(name=VECTOR, vector_index_config=COSINE)
    ensure_collection(client, Description(StoredModel.of(info)), collection, label_properties(), vector)
    stored = look_at(client, collection)
    check_model(stored, info, collection)
    add_lacking(client, collection, stored, label_properties())


def ensure_label_set_collection(client: WeaviateClient) -> None:
    """For the sets of all models: their objects have no vectors."""
    if client.collections.exists(LABEL_SET_COLLECTION):
        return
    vector = Configure.Vectors.self_provided(name=VECTOR)
    create(client, LABEL_SET_COLLECTION, properties=label_set_properties(), vector_config=[vector])


def ensure_predictions(client: WeaviateClient, collection: str) -> None:
    """The collection of images gets the properties that classifications are written to."""
    add_lacking(client, collection, look_at(client, collection), predicted_properties())


def add_lacking(client: WeaviateClient, collection: str, stored: Stored, properties: Sequence[Property]) -> bool:
    """Whether any had to be added."""
    lacking = [each for each in properties if each.name not in stored.properties]
    for each in lacking:
        add_property(client.collections.use(collection).config, each)
    return bool(lacking)


def image_type(client: WeaviateClient, wish: Wish, keep: str) -> DataType:
    """Raises InputError where the server is too old to compare images that it does not keep."""
    if keep == FULL:
        return DataType.BLOB
    version = client.get_meta()["version"]
    if tuple(map(int, re.findall(r"\d+", version)[:2])) >= HASHES_BLOBS:
        return DataType.BLOB_HASH
    if wish.embed_here:
        return DataType.BLOB  # nothing will ever be in it
    raise InputError(f"Weaviate {version} cannot embed an image and not keep it; take --store full or --embed client")


def ensure_collection(
    client: WeaviateClient,
    description: Description,
    collection: str,
    properties: list[Property],
    vector: VectorConfigCreate,
    tenants: bool = False,
) -> None:
    check_name(collection)
    if client.collections.exists(collection):
        return
    # Tenants come into being with their first object, and are woken where they sleep.
    tenancy = Configure.multi_tenancy(auto_tenant_creation=True, auto_tenant_activation=True) if tenants else None
    create(
        client,
        collection,
        description=description.to_json(),
        properties=properties,
        vector_config=[vector],
        multi_tenancy_config=tenancy,
    )


def create(client: WeaviateClient, collection: str, **what: Any) -> None:
    """Also when another process was faster."""
    try:
        client.collections.create(collection, **what)
    except UnexpectedStatusCodeError:
        if not client.collections.exists(collection):
            raise


def add_property(config: _ConfigCollection, lacking: Property) -> None:
    """Also when another process was faster: whoever needs a certain type looks afterwards."""
    try:
        config.add_property(lacking)
    except (WeaviateInvalidInputError, UnexpectedStatusCodeError):
        if all(each.name != lacking.name for each in config.get().properties):
            raise
