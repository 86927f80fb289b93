"""The gallery's real app without a database: a search that has one image, and requests as a browser sends them."""

import asyncio
import io
from collections.abc import AsyncIterator, Collection, Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image
from weaviate.classes.config import DataType

from clip_vectorizer.gallery.address import Address
from clip_vectorizer.gallery.app import build_app
from clip_vectorizer.gallery.connection import GalleryConnection
from clip_vectorizer.gallery.pages import Gallery
from clip_vectorizer.query.hits import Group, Hit, StoredImage
from clip_vectorizer.query.image_collections import ListedCollection
from tests.query.fakes import INFO

LOCAL = "http://localhost:8091"
ID = "0b7b1e5a-5d3a-4a6e-9a3e-0123456789ab"


def encode(kind: str = "PNG", side: int = 16) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (side, side), (200, 30, 30)).save(out, kind)
    return out.getvalue()


class FakeImages:
    """Obeys what the gallery uses of AsyncImageSearch: one image under ID, found by everything, `count` times."""

    def __init__(
        self, thumbnail: bytes | None = None, path: str = "fruit/apple.png", breaks: bool = False, count: int = 1
    ) -> None:
        self.thumbnail, self.path, self.breaks, self.found = thumbnail or encode("JPEG"), path, breaks, count
        self.properties = {"path": DataType.TEXT, "label": DataType.TEXT}
        self.embedded = 0
        self.info, self.partition = INFO, ("Image", None)

    async def find(self, *_: object, **__: object) -> list[Hit]:
        self._break()
        return [Hit(self.path, 0.5, 0.5, ID, "fruit", "a red apple", thumbnail=self.thumbnail)] * self.found

    async def groups(self, *_: object, **__: object) -> list[Group]:
        return [Group("fruit", tuple(await self.find()))]

    async def iterate(self, **_: object) -> AsyncIterator[StoredImage]:
        yield self._image()

    async def stored(self, *_: object, **__: object) -> StoredImage:
        return self._image()

    async def stored_images(self, *_: object, **__: object) -> AsyncIterator[StoredImage]:
        yield self._image()

    async def count(self, *_: object) -> int:
        return 1

    async def count_values(self, *_: object) -> list[Any]:
        return []

    async def embed(self, *_: object, **__: object) -> Any:
        self._break()
        self.embedded += 1
        return np.ones(4, dtype=np.float32)

    def _break(self) -> None:
        if self.breaks:
            raise ZeroDivisionError("of a test")

    def _image(self) -> StoredImage:
        return StoredImage(self.path, ID, "fruit", "a red apple", thumbnail=self.thumbnail)


class FakeConnection(GalleryConnection):
    """Opens FakeImages for every address."""

    def __init__(self, images: FakeImages) -> None:
        super().__init__({"collections": (), "tenant": None, "weaviate_url": "http://localhost:8080"})
        self.images = images

    async def open(self, address: Address) -> Any:
        return self.images

    async def list_collections(self) -> tuple[ListedCollection, ...]:
        return (ListedCollection("Image", "fake"),)


def request(
    method: str,
    path: str,
    *,
    images: FakeImages | None = None,
    root: Path | None = None,
    allowed_hosts: Collection[str] = (),
    password: str | None = None,
    by_number: bool = False,
    headers: Mapping[str, str | bytes] | None = None,
    **more: Any,
) -> httpx.Response:
    """The answer of a new gallery. `more`: as httpx has them."""
    gallery = Gallery(FakeConnection(images or FakeImages()), root)

    async def answer() -> httpx.Response:
        async with open_client(gallery, allowed_hosts, password, by_number) as client:
            return await client.request(method, path, headers=list((headers or {}).items()), **more)

    return asyncio.run(answer())


def open_client(gallery: Gallery, *guard: Any) -> httpx.AsyncClient:
    """`guard`: the further arguments of build_app."""
    transport = httpx.ASGITransport(app=build_app(gallery, *guard), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=LOCAL)


def send_picture(data: bytes, name: str = "apple.png", **more: Any) -> httpx.Response:
    return request("POST", "/image", files={"image": (name, data)}, **more)


def send_and_show(data: bytes) -> httpx.Response:
    """Send a picture, and return what the same gallery shows of it."""
    gallery = Gallery(FakeConnection(FakeImages()))

    async def answer() -> httpx.Response:
        async with open_client(gallery) as client:
            sent = await client.post("/image", files={"image": ("a.png", data)}, headers={"X-Fragment": "path"})
            return await client.get(f"/upload/{sent.json()['image'].removeprefix('sha256:')}")

    return asyncio.run(answer())
