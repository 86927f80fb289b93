"""What the tests of the store share: pictures under keys, brought into a collection of the real database."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.database.collections import CollectionSpec
from clip_vectorizer.vectors import Vectors
from ingest.choices import Fit, Keep
from ingest.embed import SidecarEmbedder
from ingest.items import Facts, ImageObject, SourceItem
from ingest.pipeline import ingest
from ingest.report import IngestReport
from ingest.store.base import ImageStore
from ingest.store.open import open_store
from tests.stack.images import png
from tests.stack.support import Stack

SOURCE = "/photos"
FACTS = Facts("fruit", "a red one", {"brand": "Ajax und Söhne", "price": 2.5})
RED, GREEN = png((200, 0, 0)), png((0, 200, 0))


@dataclass(frozen=True, slots=True)
class Pictures:
    """Obeys Source."""

    files: Mapping[str, bytes]
    name: str = SOURCE

    def __iter__(self) -> Iterator[SourceItem]:
        for key, data in self.files.items():
            yield SourceItem(key, SOURCE, digest(data)[:8], lambda data=data: data, lambda _: FACTS)


@dataclass(frozen=True, slots=True)
class Place:
    """A collection, or a tenant of it, and how it is filled."""

    stack: Stack
    collection: str
    keep: Keep | None = None
    tenant: str | None = None
    embed_here: bool = False
    quantizer: str | None = None

    def open(self, create: bool = True, **changes: Any) -> AbstractContextManager[ImageStore]:
        place = replace(self, **changes)
        wish = CollectionSpec(place.keep, embed_here=place.embed_here, quantizer=place.quantizer)
        return open_store(place.stack.connection, place.collection, wish, place.tenant, create)

    def ingest(self, files: Mapping[str, bytes]) -> IngestReport:
        with self.open() as store, VectorizerClient(self.stack.vectorizer_url) as sidecar:
            return ingest([Pictures(files)], store, SidecarEmbedder(sidecar, store.model) if self.embed_here else None)

    def with_vectorizer(self, vectorizer_url: str) -> "Place":
        return replace(self, stack=replace(self.stack, vectorizer_url=vectorizer_url))


def picture(key: str, data: bytes, vector_d: Vectors | None = None, **changes: Any) -> ImageObject:
    item = ImageObject(
        key, SOURCE, "12ab", digest(data), Fit.CROP, FACTS, "image/png", len(data), data, data, "00ff" * 4, vector_d
    )
    return replace(item, **changes)


def vector_of(stack: Stack, data: bytes) -> Vectors:
    with VectorizerClient(stack.vectorizer_url) as sidecar:
        return sidecar.embed_images([data])[0]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def many(count: int) -> dict[str, bytes]:
    return {f"p{index:03}.png": png((index * 7 % 256, index * 13 % 256, index), side=32) for index in range(count)}


def same(one: Any, other: Any) -> bool:
    return bool(np.abs(np.asarray(one) - np.asarray(other)).max() <= 1e-6)
