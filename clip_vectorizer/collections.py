"""What a collection remembers, and the model guard.

Its description holds, as one JSON object (`Description`), the model that made its vectors: whoever writes or searches
checks it first.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from weaviate import WeaviateClient
from weaviate.classes.config import DataType, Tokenization
from weaviate.collections.classes.config import CollectionConfig, RQConfig

from clip_vectorizer.errors import InputError, Mismatch
from clip_vectorizer.identity import Description, ModelIdentity, StoredModel
from clip_vectorizer.schema import (
    IMAGE_COLLECTION,
    check_name,
)

MODULE = "multi2vec-clip"
UNQUANTIZED = "none"


@dataclass(frozen=True, slots=True)
class Stored:
    """A collection of ours, as the server has it."""

    description: Description
    properties: Mapping[str, DataType]
    tenants: bool  # every object belongs to one
    by_module: bool  # whether Weaviate can make the vectors
    inference_url: str | None = None  # the sidecar that it asks, where that is not its default
    quantizer: str = UNQUANTIZED  # how the vector index holds vectors
    words: tuple[str, ...] = ()  # the text that can be searched by words (BM25); our own names and paths are not


@dataclass(frozen=True, slots=True)
class Wish:
    """How a collection of images should be."""

    keep: str | None = None  # None: as it is; a new one keeps thumbnails
    tenants: bool = False
    by_module: bool = True  # a new one's vectors can be made by Weaviate, which has the module
    embed_here: bool = False  # though it will not be asked for these
    quantizer: str | None = None  # None: as it is; a new one holds vectors whole


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
    vector = (config.vector_config or {})[description.vector]
    vectorizer = vector.vectorizer
    return Stored(
        description,
        {each.name: each.data_type for each in config.properties},
        config.multi_tenancy_config.enabled,
        vectorizer.vectorizer == MODULE,
        vectorizer.model.get("inferenceUrl") or None,
        quantizer_of(vector.vector_index_config),
        tuple(each.name for each in config.properties if each.tokenization is Tokenization.WORD),
    )


def quantizer_of(index: object) -> str:
    """`rq-8`, `rq-1`, `none`, or that it is another one, which somebody gave it."""
    quantizer = getattr(index, "quantizer", None)
    if quantizer is None:
        return UNQUANTIZED
    return f"rq-{quantizer.bits}" if isinstance(quantizer, RQConfig) else "another one"


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
            f"use another collection (--collection {collection}2)"
        )
    if wish.quantizer not in (None, stored.quantizer) and stored.quantizer != UNQUANTIZED:
        raise InputError(
            f"the collection {collection} was made with --quantizer {stored.quantizer}, for good; leave --quantizer "
            f"{wish.quantizer} away, or use another collection (--collection {collection}2)"
        )
    if stored.tenants != wish.tenants:
        has, do = ("has", "name one (--tenant NAME)") if stored.tenants else ("has no", "leave --tenant away")
        raise InputError(f"the collection {collection} {has} tenants; {do}, or use --collection {collection}2")


def way_out(collection: str) -> str:
    return (
        f"use another collection (--collection {collection}2), "
        f"or delete this one (curl -X DELETE $WEAVIATE_URL/v1/schema/{collection})"
    )
