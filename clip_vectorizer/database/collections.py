"""Creates and checks collections: their model, their properties, their index.

The description of a collection holds the model of its vectors as one JSON object (`CollectionDescription`): check it
before writing or searching. Images are indexed by HNSW with cosine distance, with enough candidates for searches by
text among images.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from weaviate import WeaviateClient
from weaviate.classes.config import Configure, DataType, Property, Reconfigure, Tokenization, VectorDistances
from weaviate.collections.classes.config import CollectionConfig, RQConfig
from weaviate.collections.classes.config_vector_index import _VectorIndexConfigHNSWCreate
from weaviate.collections.classes.config_vectors import VectorConfigCreate
from weaviate.collections.config import _ConfigCollection
from weaviate.exceptions import UnexpectedStatusCodeError, WeaviateInvalidInputError

from clip_vectorizer.database.schema import (
    IMAGE,
    LABEL_COLLECTION,
    LABEL_SET_COLLECTION,
    VECTOR,
    CollectionDescription,
    ModelIdentity,
    StoredModel,
    caption_properties,
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
    RESCORED_CANDIDATES,
    UNQUANTIZED,
)
from clip_vectorizer.errors import InputError, Mismatch

VECTORIZER_MODULE = "multi2vec-clip"
FULL, THUMBNAIL = "full", "thumbnail"
COSINE_INDEX = Configure.VectorIndex.hnsw(distance_metric=VectorDistances.COSINE)
MIN_BLOB_HASH_VERSION = (1, 37)  # the first Weaviate that compares images which it does not store


@dataclass(frozen=True, slots=True)
class CollectionState:
    """A collection of this project, as it is on the server."""

    description: CollectionDescription
    properties: Mapping[str, DataType]
    tenants: bool  # every object belongs to one
    by_module: bool  # whether Weaviate can make the vectors
    inference_url: str | None = None  # its sidecar, if not the server's default
    quantizer: str = UNQUANTIZED  # of the vector index
    words: tuple[str, ...] = ()  # text properties with an index of words (BM25); names and paths have none


@dataclass(frozen=True, slots=True)
class CollectionSpec:
    """The required properties of a collection of images."""

    keep: str | None = None  # None: any; a new one keeps thumbnails
    tenants: bool = False
    by_module: bool = True  # Weaviate can make the vectors of a new one, by its module
    embed_here: bool = False  # but the client makes them
    quantizer: str | None = None  # None: any; a new one has none


def read_collection(client: WeaviateClient, collection: str = IMAGE_COLLECTION) -> CollectionState:
    """Raises InputError when there is no such collection, Mismatch when it is not one of this project."""
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
            f"the collection {collection} was not made by this project (it records no model); "
            f"{format_alternatives(collection)}"
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
    """`rq-8`, `rq-1`, `none`, or `another one`, which was set outside this project."""
    quantizer = getattr(index, "quantizer", None)
    if quantizer is None:
        return UNQUANTIZED
    return f"rq-{quantizer.bits}" if isinstance(quantizer, RQConfig) else "another one"


def select_model(stored: CollectionState, info: ModelIdentity) -> CollectionState:
    """The collection as the model `info` searches it: by its own vector, where it is one of those beside the first.

    Vectors beside are never made by Weaviate. Any other model: `stored`, which `check_model` compares.
    """
    first = stored.description
    found = {name: model for name, model in first.beside.items() if model.agrees_with(info)}
    if first.model.agrees_with(info) or not found:
        return stored
    [(name, model)] = found.items()
    return replace(stored, description=replace(first, model=model, vector=name), by_module=False, inference_url=None)


def check_model(stored: CollectionState, info: ModelIdentity, collection: str) -> None:
    """Raises Mismatch, with both models, unless `info` makes the same vectors."""
    model = stored.description.model
    if not model.agrees_with(info):
        raise Mismatch(
            f"the collection {collection} was made with the model {model}, but the sidecar runs "
            f"{StoredModel.of(info)}; their vectors cannot be compared: start the sidecar with the first model, "
            "move the collection to the second (clip-ingest SOURCE --reindex) or give it vectors of both (--reindex "
            f"--beside), or {format_alternatives(collection)}"
        )


def check_image_collection(stored: CollectionState, info: ModelIdentity, collection: str, spec: CollectionSpec) -> None:
    """Check whether `info` may write into it. Raises as `ensure_image_collection`."""
    if moving_to := stored.description.moving_to:
        raise Mismatch(
            f"the collection {collection} is being moved to the model {moving_to}, and holds vectors of both; run "
            "clip-ingest --reindex to its end first"
        )
    check_model(stored, info, collection)
    keep = stored.description.keep
    if spec.keep not in (None, keep):
        raise InputError(
            f"the collection {collection} was created with --keep {keep}; remove --keep {spec.keep}, or "
            f"use another collection (--collection {collection}2)"
        )
    if spec.quantizer not in (None, stored.quantizer) and stored.quantizer != UNQUANTIZED:
        raise InputError(
            f"the collection {collection} was created with --quantizer {stored.quantizer}, which is final; remove "
            f"--quantizer {spec.quantizer}, or use another collection (--collection {collection}2)"
        )
    if stored.tenants != spec.tenants:
        has, do = ("has", "name one (--tenant NAME)") if stored.tenants else ("has no", "remove --tenant")
        raise InputError(f"the collection {collection} {has} tenants; {do}, or use --collection {collection}2")


def format_alternatives(collection: str) -> str:
    return (
        f"use another collection (--collection {collection}2), "
        f"or delete this one (curl -X DELETE $WEAVIATE_URL/v1/schema/{collection})"
    )


def ensure_image_collection(
    client: WeaviateClient, info: ModelIdentity, collection: str = IMAGE_COLLECTION, spec: CollectionSpec | None = None
) -> CollectionState:
    """Create the collection of images, or check that `info` may write into the existing one.

    Properties that an earlier version lacked are added. Raises Mismatch (another model, or not a collection of this
    project), InputError (a name that Weaviate rejects, another `keep`, tenants where there are none or the reverse).
    """
    spec = spec or CollectionSpec()
    keep = spec.keep or THUMBNAIL
    properties = image_properties(choose_image_type(client, spec, keep))
    vector = (
        Configure.Vectors.multi2vec_clip(
            name=VECTOR, image_fields=[IMAGE], vector_index_config=build_index(spec.quantizer)
        )
        if spec.by_module
        else Configure.Vectors.self_provided(name=VECTOR, vector_index_config=build_index(spec.quantizer))
    )
    ensure_collection(
        client, CollectionDescription(StoredModel.of(info), keep), collection, properties, vector, spec.tenants
    )
    stored = read_collection(client, collection)
    check_image_collection(stored, info, collection, spec)
    if spec.quantizer not in (None, stored.quantizer):
        quantize(client.collections.use(collection).config, stored, spec.quantizer)
    added = add_missing_properties(client, collection, stored, properties)
    return read_collection(client, collection) if added else stored


def ensure_label_collection(client: WeaviateClient, info: ModelIdentity, collection: str = LABEL_COLLECTION) -> None:
    """As above for the collection of labels, whose vectors are uploaded with the objects."""
    vector = Configure.Vectors.self_provided(name=VECTOR, vector_index_config=COSINE_INDEX)
    ensure_collection(client, CollectionDescription(StoredModel.of(info)), collection, label_properties(), vector)
    stored = read_collection(client, collection)
    check_model(stored, info, collection)
    add_missing_properties(client, collection, stored, label_properties())


def ensure_label_set_collection(client: WeaviateClient) -> None:
    """Create the collection of label sets of all models; its objects have no vectors."""
    if client.collections.exists(LABEL_SET_COLLECTION):
        return
    vector = Configure.Vectors.self_provided(name=VECTOR)
    create_collection(client, LABEL_SET_COLLECTION, properties=label_set_properties(), vector_config=[vector])


def ensure_prediction_properties(client: WeaviateClient, collection: str) -> None:
    """Add the properties of predictions to the collection of images."""
    add_missing_properties(client, collection, read_collection(client, collection), prediction_properties())


def ensure_caption_properties(client: WeaviateClient, collection: str) -> None:
    """Add the properties of written captions to the collection of images."""
    add_missing_properties(client, collection, read_collection(client, collection), caption_properties())


def add_missing_properties(
    client: WeaviateClient, collection: str, stored: CollectionState, properties: Sequence[Property]
) -> bool:
    """Return whether any was missing."""
    missing = [each for each in properties if each.name not in stored.properties]
    for each in missing:
        add_property(client.collections.use(collection).config, each)
    return bool(missing)


def choose_image_type(client: WeaviateClient, spec: CollectionSpec, keep: str) -> DataType:
    """Raises InputError where the server is too old to compare images that it does not store."""
    if keep == FULL:
        return DataType.BLOB
    version = client.get_meta()["version"]
    if tuple(map(int, re.findall(r"\d+", version)[:2])) >= MIN_BLOB_HASH_VERSION:
        return DataType.BLOB_HASH
    if spec.embed_here:
        return DataType.BLOB  # it stays empty
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
    # Create tenants with their first object, and activate inactive ones.
    tenancy = Configure.multi_tenancy(auto_tenant_creation=True, auto_tenant_activation=True) if tenants else None
    create_collection(
        client,
        collection,
        description=description.to_json(),
        properties=properties,
        vector_config=[vector],
        multi_tenancy_config=tenancy,
    )


def create_collection(client: WeaviateClient, collection: str, **settings: Any) -> None:
    """Idempotent: another process may create it at the same time."""
    try:
        client.collections.create(collection, **settings)
    except UnexpectedStatusCodeError:
        if not client.collections.exists(collection):
            raise


def add_property(config: _ConfigCollection, missing: Property) -> None:
    """Idempotent; callers that need a certain type must check it afterwards."""
    try:
        config.add_property(missing)
    except (WeaviateInvalidInputError, UnexpectedStatusCodeError):
        if all(each.name != missing.name for each in config.get().properties):
            raise


def build_index(quantizer: str | None) -> _VectorIndexConfigHNSWCreate:
    """The index of a new collection. A `quantizer` outside QUANTIZERS, or None, means none."""
    bits = QUANTIZERS.get(quantizer or UNQUANTIZED, 0)
    return Configure.VectorIndex.hnsw(
        distance_metric=VectorDistances.COSINE,
        dynamic_ef_min=MIN_INDEX_CANDIDATES,
        dynamic_ef_max=MAX_INDEX_CANDIDATES,
        quantizer=Configure.VectorIndex.Quantizer.rq(bits=bits, rescore_limit=choose_rescore_limit(bits))
        if bits
        else None,
    )


def choose_rescore_limit(bits: int) -> int | None:
    """None: Weaviate's default, which is 512 for 1 bit."""
    return RESCORED_CANDIDATES if bits == 8 else None


def quantize(config: _ConfigCollection, stored: CollectionState, quantizer: str) -> None:
    """Quantize the vectors; Weaviate does it in the background, during searches."""
    bits = QUANTIZERS[quantizer]
    rq = Reconfigure.VectorIndex.Quantizer.rq(bits=bits, rescore_limit=choose_rescore_limit(bits))
    index = Reconfigure.VectorIndex.hnsw(quantizer=rq)
    config.update(vector_config=Reconfigure.Vectors.update(name=stored.description.vector, vector_index_config=index))
