"""Captioned images of a collection in Weaviate: `weaviate:Image` as the source of a training."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from weaviate.classes.config import DataType

from clip_vectorizer.database.collections import FULL, THUMBNAIL, CollectionState, read_collection
from clip_vectorizer.database.connection import ConnectionSettings, connect_weaviate, weaviate_errors
from clip_vectorizer.database.schema import CAPTION, IMAGE, PATH
from clip_vectorizer.database.schema import THUMBNAIL as THUMBNAIL_PROPERTY
from clip_vectorizer.errors import InputError
from clip_vectorizer.training.captioned_images import clean_captions
from clip_vectorizer.training.contrastive_plan import COLLECTION
from clip_vectorizer.training.image_copies import SourceImage

IMAGES_PER_PAGE = 32  # some of them are photographs of 10 MB
STORED = {FULL: IMAGE, THUMBNAIL: THUMBNAIL_PROPERTY}  # the property with the image, by what the collection keeps
TEXTS = (DataType.TEXT, DataType.TEXT_ARRAY)


@dataclass(frozen=True, slots=True)
class CollectionSource:
    """A collection, and where it is."""

    name: str
    connection: ConnectionSettings
    tenant: str | None = None
    caption: str = ""  # the property; "": `caption`
    caption_option: str = "--caption-column"


def parse_collection(source: Path) -> str:
    """
    >>> parse_collection(Path("weaviate:Image"))
    'Image'
    """
    return str(source).removeprefix(COLLECTION)


def read_stored_images(source: CollectionSource) -> Iterator[SourceImage]:
    """Yield the images with their captions, in the order of their ids.

    Raises InputError (no such collection, tenant or property; no images in it), Mismatch, WeaviateUnreachable.
    """
    connection = source.connection
    with (
        connect_weaviate(connection.weaviate_url, connection.grpc_port, connection.api_key) as client,
        weaviate_errors(connection.weaviate_url),
    ):
        state = read_collection(client, source.name)
        image, caption = choose_image_property(source, state), choose_caption_property(source, state)
        whole = client.collections.use(source.name)
        images = whole.with_tenant(source.tenant) if source.tenant else whole
        for row in images.iterator(return_properties=[PATH, caption, image], cache_size=IMAGES_PER_PAGE):
            key = str(row.properties.get(PATH) or row.uuid)
            stored = row.properties.get(image)
            if stored:
                captions = tuple(clean_captions(row.properties.get(caption)))
                yield SourceImage(key, captions, base64.b64decode(str(stored)))


def choose_image_property(source: CollectionSource, state: CollectionState) -> str:
    """Raises InputError where the collection stores no images, or has tenants and none is named."""
    if state.tenants and not source.tenant:
        raise InputError(f"the collection {source.name} has tenants; name one with --tenant")
    if source.tenant and not state.tenants:
        raise InputError(f"the collection {source.name} has no tenants; remove --tenant")
    keep = state.description.keep
    if keep not in STORED:
        raise InputError(
            f"the collection {source.name} stores no images (--keep {keep}); name the folder that it was filled from"
        )
    return STORED[keep]


def choose_caption_property(source: CollectionSource, state: CollectionState) -> str:
    name = source.caption or CAPTION
    texts = sorted(each for each, kind in state.properties.items() if kind in TEXTS)
    if name not in texts:
        raise InputError(
            f"the collection {source.name} has no text property {name!r}; name one of {', '.join(texts)} with "
            f"{source.caption_option}"
        )
    return name
