"""The collections in Weaviate: their names, their properties, and the model guard.

The names below are the contract between `ingest` (writes) and `query` (reads). A collection's description holds, as
one JSON object, the model that made its vectors (`StoredModel`): whoever writes or searches checks it first.
"""

import re

from weaviate import WeaviateClient
from weaviate.classes.config import Configure, DataType, Property, Tokenization, VectorDistances
from weaviate.collections.classes.config_vectors import VectorConfigCreate
from weaviate.exceptions import UnexpectedStatusCodeError
from weaviate.util import generate_uuid5

from clip_vectorizer.errors import InputError, Mismatch
from clip_vectorizer.identity import ModelIdentity, StoredModel

IMAGE_COLLECTION = "Image"
LABEL_COLLECTION = "ImageLabel"
VECTOR = "clip"  # the named vector of both collections

# Properties of IMAGE_COLLECTION
IMAGE = "image"  # blob: the original file's bytes, standard base64; the only field of the vector
THUMBNAIL = "thumbnail"  # blob: a small JPEG
PATH = "path"  # relative to the source's root, with forward slashes: the key of the object's UUID
FILENAME = "filename"
LABEL = "label"  # the folder's name
CAPTION = "caption"  # from a .txt beside the image
SHA256 = "sha256"  # hex digest of the original bytes
SIZE = "size"  # bytes
MIME = "mime"
MODEL = "model"  # the model that made the vector

# Properties of LABEL_COLLECTION, beside LABEL and MODEL
LABEL_SET = "label_set"  # names the labels that compete in one classification
PROMPTS = "prompts"  # text[]: what was averaged into the vector

COSINE = Configure.VectorIndex.hnsw(distance_metric=VectorDistances.COSINE)
COLLECTION_NAME = re.compile(r"[A-Z][_0-9A-Za-z]*")


def ensure_image_collection(
    client: WeaviateClient, info: ModelIdentity, collection: str = IMAGE_COLLECTION
) -> StoredModel:
    """Makes the collection of images, or checks that `info` may write into the one that is there.

    Raises Mismatch (made with another model, or not made by us), InputError (a name that Weaviate refuses).
    """
    vector = Configure.Vectors.multi2vec_clip(name=VECTOR, image_fields=[IMAGE], vector_index_config=COSINE)
    return ensure_collection(client, info, collection, image_properties(), vector)


def ensure_label_collection(
    client: WeaviateClient, info: ModelIdentity, collection: str = LABEL_COLLECTION
) -> StoredModel:
    """The same for the collection of labels, whose vectors are given with the objects."""
    vector = Configure.Vectors.self_provided(name=VECTOR, vector_index_config=COSINE)
    return ensure_collection(client, info, collection, label_properties(), vector)


def stored_model(client: WeaviateClient, collection: str = IMAGE_COLLECTION) -> StoredModel:
    """The model that made `collection`. Raises InputError when there is no such collection, Mismatch when not ours."""
    check_name(collection)
    if not client.collections.exists(collection):
        raise InputError(
            f"Weaviate holds no collection {collection}; fill it with `clip-ingest FOLDER --collection {collection}`"
        )
    config = client.collections.use(collection).config.get()
    model = StoredModel.from_json(config.description)
    if model is None or VECTOR not in (config.vector_config or {}):
        raise Mismatch(
            f"the collection {collection} was not made by this project (it records no model); {way_out(collection)}"
        )
    return model


def check_model(client: WeaviateClient, info: ModelIdentity, collection: str = IMAGE_COLLECTION) -> StoredModel:
    """The stored model, if `info` makes the same vectors. Raises Mismatch naming both, InputError as above."""
    stored = stored_model(client, collection)
    if not stored.agrees_with(info):
        raise Mismatch(
            f"the collection {collection} was made with the model {stored}, but the sidecar runs "
            f"{StoredModel.of(info)}; their vectors cannot be compared: start the sidecar with the first model, or "
            f"{way_out(collection)}"
        )
    return stored


def ensure_collection(
    client: WeaviateClient,
    info: ModelIdentity,
    collection: str,
    properties: list[Property],
    vector: VectorConfigCreate,
) -> StoredModel:
    check_name(collection)
    if not client.collections.exists(collection):
        description = StoredModel.of(info).to_json()
        try:
            client.collections.create(
                collection, description=description, properties=properties, vector_config=[vector]
            )
        except UnexpectedStatusCodeError:
            if not client.collections.exists(collection):  # it does when another process was faster: check its model
                raise
    return check_model(client, info, collection)


def image_id(path: str) -> str:
    """The UUID of the image at `path`: the same in every collection, every time."""
    return str(generate_uuid5(path, IMAGE_COLLECTION))


def check_name(collection: str) -> None:
    if not COLLECTION_NAME.fullmatch(collection):
        raise InputError(
            f"{collection!r} cannot name a collection; take a capital letter, then letters, digits or _, "
            f"for example {IMAGE_COLLECTION}2"
        )


def way_out(collection: str) -> str:
    return (
        f"use another collection (--collection {collection}2), "
        f"or delete this one (curl -X DELETE $WEAVIATE_URL/v1/schema/{collection})"
    )


def image_properties() -> list[Property]:
    return [
        Property(name=IMAGE, data_type=DataType.BLOB),
        Property(name=THUMBNAIL, data_type=DataType.BLOB),
        Property(name=CAPTION, data_type=DataType.TEXT, tokenization=Tokenization.WORD),
        Property(name=SIZE, data_type=DataType.INT, index_range_filters=True),
        *(exact_text(name) for name in (PATH, FILENAME, LABEL, SHA256, MIME, MODEL)),
    ]


def label_properties() -> list[Property]:
    return [
        Property(name=PROMPTS, data_type=DataType.TEXT_ARRAY, tokenization=Tokenization.FIELD),
        *(exact_text(name) for name in (LABEL, LABEL_SET, MODEL)),
    ]


def exact_text(name: str) -> Property:
    """Text that is filtered by its whole value, not searched by words."""
    return Property(name=name, data_type=DataType.TEXT, tokenization=Tokenization.FIELD)
