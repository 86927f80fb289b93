"""The best picture of an image that the gallery can get: its file, what the database stores of it, its thumbnail."""

import base64
from pathlib import Path

from weaviate.classes.config import DataType

from clip_vectorizer.database.schema import IMAGE
from clip_vectorizer.gallery.pictures import read_file
from clip_vectorizer.query.async_image_search import AsyncImageSearch
from clip_vectorizer.query.hits import StoredImage


def stores_pictures(search: AsyncImageSearch) -> bool:
    """Whether the collection has the images' own bytes, not only a hash of them (`clip-ingest --store full`)."""
    return search.properties.get(IMAGE) is DataType.BLOB


async def read_original(image: StoredImage, root: Path | None, search: AsyncImageSearch) -> bytes | None:
    """Return the file in the folder, else the stored one, None where there is neither."""
    if root is not None and (data := await read_file(root, image.path)):
        return data
    if not stores_pictures(search):
        return None
    found = await search.stored(image.id, return_properties=[IMAGE])
    stored = found.properties.get(IMAGE)
    return base64.b64decode(stored) if stored else None


async def read_best_picture(image: StoredImage, root: Path | None, search: AsyncImageSearch) -> bytes | None:
    """Return the original, else the thumbnail, None for an image without any."""
    if original := await read_original(image, root, search):
        return original
    return (await search.stored(image.id, include_thumbnail=True)).thumbnail
