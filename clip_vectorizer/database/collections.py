"""What a collection remembers, and the model guard.

Its description holds, as one JSON object (`Description`), the model that made its vectors: whoever writes or searches
checks it first.

How collections come into being, and how those of earlier versions get what they lack.

How the images of a collection are indexed: HNSW by cosine, searched widely enough for texts among images.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weaviate import WeaviateClient
from weaviate.classes.config import Configure, DataType, Property, Reconfigure, Tokenization, VectorDistances
from weaviate.collections.classes.config import CollectionConfig, RQConfig
from weaviate.collections.classes.config_vector_index import _VectorIndexConfigHNSWCreate
from weaviate.collections.classes.config_vectors import VectorConfigCreate
from weaviate.collections.config import _ConfigCollection
from weaviate.exceptions import UnexpectedStatusCodeError, WeaviateInvalidInputError

from clip_vectorizer.database.identity import CollectionDescription, ModelIdentity, StoredModel
from clip_vectorizer.database.schema import (
    IMAGE,
    LABEL_COLLECTION,
    LABEL_SET_COLLECTION,
    VECTOR,
    check_collection_name,
    image_properties,
    label_properties,
    label_set_properties,
    prediction_properties,
)
from clip_vectorizer.defaults import (
    IMAGE_COLLECTION,
    MAX_INDEX_CANDIDATES,
    MIN_INDEX_CANDIDATES,
    QUANTIZERS,
    UNQUANTIZED,
)
from clip_vectorizer.errors import InputError, Mismatch

VECTORIZER_MODULE = "multi2vec-clip"
FULL, THUMBNAIL = "full", "thumbnail"
COSINE_INDEX = Configure.VectorIndex.hnsw(distance_metric=VectorDistances.COSINE)
MIN_BLOB_HASH_VERSION = (1, 37)  # the version of Weaviate that can compare an image which it does not keep


@dataclass(frozen=True, slots=True)
class CollectionState:
    """A collection of ours, as the server has it."""

    description: CollectionDescription
    properties: Mapping[str, DataType]
    tenants: bool  # every object belongs to one
    by_module: bool  # whether Weaviate can make the vectors
    inference_url: str | None = None  # the sidecar that it asks, where that is not its default
    quantizer: str = UNQUANTIZED  # how the vector index holds vectors
    words: tuple[str, ...] = ()  # the text that can be searched by words (BM25); our own names and paths are not


@dataclass(frozen=True, slots=True)
class CollectionSpec:
    """How a collection of images should be."""

    keep: str | None = None  # None: as it is; a new one keeps thumbnails
    tenants: bool = False
    by_module: bool = True  # a new one's vectors can be made by Weaviate, which has the module
    embed_here: bool = False  # though it will not be asked for these
    quantizer: str | None = None  # None: as it is; a new one holds vectors whole


def read_collection(client: WeaviateClient, collection: str = IMAGE_COLLECTION) -> CollectionState:
    """Raises InputError when there is no such collection, Mismatch when it is not ours."""
    stored = find_collection(client, collection)
    if stored is None:
        raise InputError(
            f"Weaviate holds no collection {collection}; fill it with `clip-ingest FOLDER --collection {collection}`"
        )
    return stored


def find_collection(client: WeaviateClient, collection: str) -> CollectionState | None:
    """None when there is no such collection. Raises InputError, Mismatch as above."""
    check_collection_name(collection)
    if not client.collections.exists(collection):
        return None
    config = client.collections.use(collection).config.get()
    description = CollectionDescription.from_json(config.description)
    if description is None or description.vector not in (config.vector_config or {}):
        raise Mismatch(
            f"the collection {collection} was not made by this project (it records no model); {format_alternatives(collection)}"
        )
    return build_state(config, description)


def build_state(config: CollectionConfig, description: CollectionDescription) -> CollectionState:
    vector = (config.vector_config or {})[description.vector]
    vectorizer = vector.vectorizer
    return CollectionState(
        description,
        {each.name: each.data_type for each in config.properties},
        config.multi_tenancy_config.enabled,
        vectorizer.vectorizer == VECTORIZER_MODULE,
        vectorizer.model.get("inferenceUrl") or None,
        read_quantizer(vector.vector_index_config),
        tuple(each.name for each in config.properties if each.tokenization is Tokenization.WORD),
    )


def read_quantizer(index: object) -> str:
    """`rq-8`, `rq-1`, `none`, or that it is another one, which somebody gave it."""
    quantizer = getattr(index, "quantizer", None)
    if quantizer is None:
        return UNQUANTIZED
    return f"rq-{quantizer.bits}" if isinstance(quantizer, RQConfig) else "another one"


def check_model(stored: CollectionState, info: ModelIdentity, collection: str) -> None:
    """Raises Mismatch naming both models unless `info` makes the same vectors."""
    model = stored.description.model
    if not model.agrees_with(info):
        raise Mismatch(
            f"the collection {collection} was made with the model {model}, but the sidecar runs "
            f"{StoredModel.of(info)}; their vectors cannot be compared: start the sidecar with the first model, or "
            f"{format_alternatives(collection)}"
        )


def check_image_collection(stored: CollectionState, info: ModelIdentity, collection: str, wish: CollectionSpec) -> None:
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
            f"the collection {collection} was created with --keep {keep}; remove --keep {wish.keep}, or "
            f"use another collection (--collection {collection}2)"
        )
    if wish.quantizer not in (None, stored.quantizer) and stored.quantizer != UNQUANTIZED:
        raise InputError(
            f"the collection {collection} was created with --quantizer {stored.quantizer}, which is final; remove "
            f"--quantizer {wish.quantizer}, or use another collection (--collection {collection}2)"
        )
    if stored.tenants != wish.tenants:
        has, do = ("has", "name one (--tenant NAME)") if stored.tenants else ("has no", "leave --tenant away")
        raise InputError(f"the collection {collection} {has} tenants; {do}, or use --collection {collection}2")


def format_alternatives(collection: str) -> str:
    return (
        f"use another collection (--collection {collection}2), "
        f"or delete this one (curl -X DELETE $WEAVIATE_URL/v1/schema/{collection})"
    )


def ensure_image_collection(
    client: WeaviateClient, info: ModelIdentity, collection: str = IMAGE_COLLECTION, wish: CollectionSpec | None = None
) -> CollectionState:
    """Makes the collection of images, or checks that `info` may write into the one that is there.

    Properties that an earlier version did not know are added. Raises Mismatch (made with another model, or not made by
    us), InputError (a name that Weaviate refuses, another `keep`, tenants where there are none or the reverse).
    """
    wish = wish or CollectionSpec()
    keep = wish.keep or THUMBNAIL
    properties = image_properties(choose_image_type(client, wish, keep))
    vector = (
        Configure.Vectors.multi2vec_clip(
            name=VECTOR, image_fields=[IMAGE], vector_index_config=build_index(wish.quantizer)
        )
        if wish.by_module
        else Configure.Vectors.self_provided(name=VECTOR, vector_index_config=build_index(wish.quantizer))
    )
    ensure_collection(
        client, CollectionDescription(StoredModel.of(info), keep), collection, properties, vector, wish.tenants
    )
    stored = read_collection(client, collection)
    check_image_collection(stored, info, collection, wish)
    if wish.quantizer not in (None, stored.quantizer):
        quantize(client.collections.use(collection).config, stored, wish.quantizer)
    return (
        read_collection(client, collection)
        if add_missing_properties(client, collection, stored, properties)
        else stored
    )


def ensure_label_collection(client: WeaviateClient, info: ModelIdentity, collection: str = LABEL_COLLECTION) -> None:
    """The same for the collection of labels, whose vectors are given with the objects."""
    vector = Configure.Vectors.self_provided(name=VECTOR, vector_index_config=COSINE_INDEX)
    ensure_collection(client, CollectionDescription(StoredModel.of(info)), collection, label_properties(), vector)
    stored = read_collection(client, collection)
    check_model(stored, info, collection)
    add_missing_properties(client, collection, stored, label_properties())


def ensure_label_set_collection(client: WeaviateClient) -> None:
    """For the sets of all models: their objects have no vectors."""
    if client.collections.exists(LABEL_SET_COLLECTION):
        return
    vector = Configure.Vectors.self_provided(name=VECTOR)
    create_collection(client, LABEL_SET_COLLECTION, properties=label_set_properties(), vector_config=[vector])


def ensure_prediction_properties(client: WeaviateClient, collection: str) -> None:
    """The collection of images gets the properties that classifications are written to."""
    add_missing_properties(client, collection, read_collection(client, collection), prediction_properties())


def add_missing_properties(
    client: WeaviateClient, collection: str, stored: CollectionState, properties: Sequence[Property]
) -> bool:
    """Whether any had to be added."""
    lacking = [each for each in properties if each.name not in stored.properties]
    for each in lacking:
        add_property(client.collections.use(collection).config, each)
    return bool(lacking)


def choose_image_type(client: WeaviateClient, wish: CollectionSpec, keep: str) -> DataType:
    """Raises InputError where the server is too old to compare images that it does not keep."""
    if keep == FULL:
        return DataType.BLOB
    version = client.get_meta()["version"]
    if tuple(map(int, re.findall(r"\d+", version)[:2])) >= MIN_BLOB_HASH_VERSION:
        return DataType.BLOB_HASH
    if wish.embed_here:
        return DataType.BLOB  # nothing will ever be in it
    raise InputError(f"Weaviate {version} cannot embed an image without keeping it; use --keep full or --embed client")


def ensure_collection(
    client: WeaviateClient,
    description: CollectionDescription,
    collection: str,
    properties: list[Property],
    vector: VectorConfigCreate,
    tenants: bool = False,
) -> None:
    check_collection_name(collection)
    if client.collections.exists(collection):
        return
    # Tenants come into being with their first object, and are woken where they sleep.
    tenancy = Configure.multi_tenancy(auto_tenant_creation=True, auto_tenant_activation=True) if tenants else None
    create_collection(
        client,
        collection,
        description=description.to_json(),
        properties=properties,
        vector_config=[vector],
        multi_tenancy_config=tenancy,
    )


def create_collection(client: WeaviateClient, collection: str, **what: Any) -> None:
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


def build_index(quantizer: str | None) -> _VectorIndexConfigHNSWCreate:
    """`quantizer`: of QUANTIZERS; None or another one: none."""
    bits = QUANTIZERS.get(quantizer or UNQUANTIZED, 0)
    return Configure.VectorIndex.hnsw(
        distance_metric=VectorDistances.COSINE,
        dynamic_ef_min=MIN_INDEX_CANDIDATES,
        dynamic_ef_max=MAX_INDEX_CANDIDATES,
        quantizer=Configure.VectorIndex.Quantizer.rq(bits=bits) if bits else None,
    )


def quantize(config: _ConfigCollection, stored: CollectionState, quantizer: str) -> None:
    """Weaviate does it in the background, while it is searched."""
    index = Reconfigure.VectorIndex.hnsw(quantizer=Reconfigure.VectorIndex.Quantizer.rq(bits=QUANTIZERS[quantizer]))
    config.update(vector_config=Reconfigure.Vectors.update(name=stored.description.vector, vector_index_config=index))
