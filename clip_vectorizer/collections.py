"""How collections are made, what they remember, and the model guard.

A collection's description holds, as one JSON object (`Description`), the model that made its vectors: whoever writes
or searches checks it first.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from weaviate import WeaviateClient
from weaviate.classes.config import Configure, DataType, Property, VectorDistances
from weaviate.collections.classes.config import CollectionConfig
from weaviate.collections.classes.config_vectors import VectorConfigCreate
from weaviate.collections.config import _ConfigCollection
from weaviate.exceptions import UnexpectedStatusCodeError, WeaviateInvalidInputError

from clip_vectorizer.errors import InputError, Mismatch
from clip_vectorizer.identity import Description, ModelIdentity, StoredModel
from clip_vectorizer.schema import (
    IMAGE,
    IMAGE_COLLECTION,
    LABEL_COLLECTION,
    VECTOR,
    check_name,
    image_properties,
    label_properties,
)

MODULE = "multi2vec-clip"
FULL, THUMBNAIL, HASH = "full", "thumbnail", "hash"
COSINE = Configure.VectorIndex.hnsw(distance_metric=VectorDistances.COSINE)
HASHES_BLOBS = (1, 37)  # the version of Weaviate that can compare an image which it does not keep


@dataclass(frozen=True, slots=True)
class Stored:
    """A collection of ours, as the server has it."""

    description: Description
    properties: Mapping[str, DataType]
    tenants: bool  # every object belongs to one
    by_module: bool  # whether Weaviate can make the vectors
    inference_url: str | None = None  # the sidecar that it asks, where that is not its default


@dataclass(frozen=True, slots=True)
class Wish:
    """How a collection of images should be."""

    keep: str | None = None  # None: as it is; a new one keeps thumbnails
    tenants: bool = False
    by_module: bool = True  # a new one's vectors can be made by Weaviate, which has the module
    embed_here: bool = False  # though it will not be asked for these


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
        Configure.Vectors.multi2vec_clip(name=VECTOR, image_fields=[IMAGE], vector_index_config=COSINE)
        if wish.by_module
        else Configure.Vectors.self_provided(name=VECTOR, vector_index_config=COSINE)
    )
    ensure_collection(client, Description(StoredModel.of(info), keep), collection, properties, vector, wish.tenants)
    stored = look_at(client, collection)
    check_image_collection(stored, info, collection, wish)
    config = client.collections.use(collection).config
    lacking = [each for each in properties if each.name not in stored.properties]
    for each in lacking:
        add_property(config, each)
    return look_at(client, collection) if lacking else stored


def ensure_label_collection(client: WeaviateClient, info: ModelIdentity, collection: str = LABEL_COLLECTION) -> None:
    """The same for the collection of labels, whose vectors are given with the objects."""
    vector = Configure.Vectors.self_provided(name=VECTOR, vector_index_config=COSINE)
    ensure_collection(client, Description(StoredModel.of(info)), collection, label_properties(), vector)
    check_model(look_at(client, collection), info, collection)


def look_at(client: WeaviateClient, collection: str = IMAGE_COLLECTION) -> Stored:
    """Raises InputError when there is no such collection, Mismatch when it is not ours."""
    stored = find(client, collection)
    if stored is None:
        raise InputError(
            f"Weaviate holds no collection {collection}; fill it with `clip-ingest FOLDER --collection {collection}`"
        )
    return stored


def find(client: WeaviateClient, collection: str) -> Stored | None:
    """None when there is no such collection. Raises InputError, Mismatch as above."""
    check_name(collection)
    if not client.collections.exists(collection):
        return None
    config = client.collections.use(collection).config.get()
    description = Description.from_json(config.description)
    if description is None or description.vector not in (config.vector_config or {}):
        raise Mismatch(
            f"the collection {collection} was not made by this project (it records no model); {way_out(collection)}"
        )
    return stored_as(config, description)


def stored_as(config: CollectionConfig, description: Description) -> Stored:
    vectorizer = (config.vector_config or {})[description.vector].vectorizer
    return Stored(
        description,
        {each.name: each.data_type for each in config.properties},
        config.multi_tenancy_config.enabled,
        vectorizer.vectorizer == MODULE,
        vectorizer.model.get("inferenceUrl") or None,
    )


def check_model(stored: Stored, info: ModelIdentity, collection: str) -> None:
    """Raises Mismatch naming both models unless `info` makes the same vectors."""
    model = stored.description.model
    if not model.agrees_with(info):
        raise Mismatch(
            f"the collection {collection} was made with the model {model}, but the sidecar runs "
            f"{StoredModel.of(info)}; their vectors cannot be compared: start the sidecar with the first model, or "
            f"{way_out(collection)}"
        )


def check_image_collection(stored: Stored, info: ModelIdentity, collection: str, wish: Wish) -> None:
    """Whether `info` may write into it. Raises as `ensure_image_collection` does."""
    if moving_to := stored.description.moving_to:
        raise Mismatch(
            f"the collection {collection} is being moved to the model {moving_to}, and holds vectors of both; run "
            "clip-ingest --reindex to its end first"
        )
    check_model(stored, info, collection)
    keep = stored.description.keep
    if wish.keep not in (None, keep):
        raise InputError(
            f"the collection {collection} was made with --store {keep}; leave --store {wish.keep} away, or "
            f"{way_out(collection)}"
        )
    if stored.tenants != wish.tenants:
        has, do = ("has", "name one (--tenant NAME)") if stored.tenants else ("has no", "leave --tenant away")
        raise InputError(f"the collection {collection} {has} tenants; {do}, or {way_out(collection)}")


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
    try:
        client.collections.create(
            collection,
            description=description.to_json(),
            properties=properties,
            vector_config=[vector],
            multi_tenancy_config=tenancy,
        )
    except UnexpectedStatusCodeError:
        if not client.collections.exists(collection):  # it does when another process was faster
            raise


def add_property(config: _ConfigCollection, lacking: Property) -> None:
    """Also when another process was faster: whoever needs a certain type looks afterwards."""
    try:
        config.add_property(lacking)
    except (WeaviateInvalidInputError, UnexpectedStatusCodeError):
        if all(each.name != lacking.name for each in config.get().properties):
            raise


def way_out(collection: str) -> str:
    return (
        f"use another collection (--collection {collection}2), "
        f"or delete this one (curl -X DELETE $WEAVIATE_URL/v1/schema/{collection})"
    )
