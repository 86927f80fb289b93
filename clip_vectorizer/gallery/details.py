"""The page of one image: what is stored of it, its copies, images like it, its regions, and the way to the next."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
import numpy as np
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from weaviate.classes.config import DataType

from clip_vectorizer.boxes import BoxArray
from clip_vectorizer.database.schema import CAPTION, FACTS, FIT, LABEL, PATH, PHASH, REGIONS, SHA256, STAMP
from clip_vectorizer.errors import InputError, Mismatch, VectorizerError
from clip_vectorizer.gallery.address import Address, make_image_path, make_path
from clip_vectorizer.gallery.originals import read_original, stores_pictures
from clip_vectorizer.gallery.pages import GalleryPages, check_id, picture_response
from clip_vectorizer.gallery.pictures import has_file, read_size
from clip_vectorizer.gallery.results import Card, build_card, make_like_address
from clip_vectorizer.query.async_image_search import AsyncImageSearch
from clip_vectorizer.query.display.frames import Frame, list_frames
from clip_vectorizer.query.display.tables import format_value
from clip_vectorizer.query.hits import Hit, StoredImage
from clip_vectorizer.query.search.query import Query
from clip_vectorizer.terminal import escape_line

NEIGHBOURS = 12  # cards in a row
CANDIDATES = 60  # nearest images, among which near duplicates are looked for
NEAR_BITS = 4  # of a perceptual hash's 64: what `clip-ingest --near-duplicates` calls strict
MOST_COPIES = 50
OWN_PLACES = (PATH, LABEL, CAPTION)  # shown above the list of properties
NO_BOXES: BoxArray = np.empty((0, 4), dtype=np.float32)
HIDDEN = (STAMP, FACTS, FIT, REGIONS)  # read and compared by clip-ingest; they mean nothing to people


@dataclass(frozen=True, slots=True)
class Steps:
    """The images before and after one in the results that its page was opened from, as addresses, "" at an end."""

    previous: str = ""
    next: str = ""
    problem: str = ""  # why the results cannot be had any more


@dataclass(frozen=True, slots=True)
class Details:
    """All that the page of an image shows."""

    image: StoredImage
    card: Card
    facts: Mapping[str, str]  # by property, as text
    copies: tuple[Card, ...]  # images of the same bytes
    near: tuple[Card, ...]  # images of nearly the same perceptual hash
    neighbours: tuple[Card, ...]
    frames: tuple[Frame, ...]  # its regions, in the coordinates of `size`
    size: tuple[int, int]  # of the thumbnail, pixels
    steps: Steps
    picture: str  # the address of the largest picture there is, "" without any
    has_original: bool


class DetailsPages(GalleryPages):
    """/image/ID and the file itself, /full/ID."""

    @property
    def routes(self) -> list[Route]:
        return [Route("/image/{id}", self.show_details), Route("/full/{id}", self.show_full)]

    async def show_details(self, request: Request) -> Response:
        address = Address()
        try:
            address = Address.parse(request.url.query)
            id = check_id(request.path_params["id"])
            details = await self.read_details(id, address, await self.gallery.connection.open(address))
        except VectorizerError as error:
            return await self.respond_to_error(error, missing=True, address=address)
        return self.render("details.html", 200, address, details=details)

    async def read_details(self, id: str, address: Address, search: AsyncImageSearch) -> Details:
        """Raises InputError where there is no such image."""
        image = await search.stored(id, return_properties=list_properties(search), include_thumbnail=True)
        self.gallery.thumbnails.keep([image], search)
        alike, copies, boxes, steps, has_original = await asyncio.gather(
            find_alike(image, search),
            find_copies(image, search),
            read_boxes(image, search),
            self.find_steps(id, address, search),
            self.has_original(image, search),
        )
        self.gallery.thumbnails.keep([*alike, *copies], search)
        size = read_size(image.thumbnail)
        return Details(
            image=image,
            card=(card := build_card(image, address)),
            facts=format_facts(image.properties),
            copies=build_cards(copies, address),
            near=build_cards(choose_near(image, alike, copies), address),
            neighbours=build_cards(choose_neighbours(alike, copies), address),
            frames=draw_alike(boxes, size) if size else (),
            size=size or (1, 1),
            steps=steps,
            picture=make_path(address.start, f"/full/{id}") if has_original else card.picture,
            has_original=has_original,
        )

    async def has_original(self, image: StoredImage, search: AsyncImageSearch) -> bool:
        root = self.gallery.root
        return stores_pictures(search) or (root is not None and await asyncio.to_thread(has_file, root, image.path))

    async def find_steps(self, id: str, address: Address, search: AsyncImageSearch) -> Steps:
        """Repeat the search, and look for the image in it. A page's ends are the places of its neighbour pages."""
        try:
            results = await self.find(address, search)
            ids = [card.id for card in results.cards]
            if id not in ids:
                return Steps()
            place = ids.index(id)
            before = make_image_path(ids[place - 1], address) if place else await self.step_back(address, search)
            if place + 1 < len(ids):
                return Steps(before, make_image_path(ids[place + 1], address))
            return Steps(before, await self.step_on(results.next, search))
        except (VectorizerError, click.UsageError) as error:
            return Steps(problem=(await self.describe(error))[0])

    async def list_ids(self, address: Address, search: AsyncImageSearch) -> list[str]:
        results = await self.find(address, search)
        return [card.id for card in results.cards]

    async def step_back(self, address: Address, search: AsyncImageSearch) -> str:
        """Return the last image of the page before. A listing has no way back: its pages follow an id."""
        offset = int(address.one("offset") or 0)
        if not offset:
            return ""
        earlier = max(0, offset - int(address.limit))
        page = address.at("offset", str(earlier))
        ids = (await self.list_ids(page, search))[: offset - earlier]
        return make_image_path(ids[-1], page) if ids else ""

    async def step_on(self, path: str, search: AsyncImageSearch) -> str:
        """Return the first image of the page after. `path`: its address, "" without one."""
        if not path:
            return ""
        page = Address.parse(path.partition("?")[2])
        ids = await self.list_ids(page, search)
        return make_image_path(ids[0], page) if ids else ""

    async def show_full(self, request: Request) -> Response:
        """The file itself, of the folder of the command, or as the collection stores it."""
        try:
            search = await self.gallery.connection.open(Address.parse(request.url.query).start)
            image = await search.stored(check_id(request.path_params["id"]))
            data = await read_original(image, self.gallery.root, search)
        except VectorizerError as error:
            return await self.respond_in_text(error)
        if data is None and self.gallery.root is None:
            return PlainTextResponse("this gallery has no files; start it with --root FOLDER\n", 404)
        response = picture_response(data, "private, no-cache")
        name = quote(Path(image.path).name.encode("utf-8", "replace"), safe="")
        response.headers["Content-Disposition"] = f"inline; filename*=UTF-8''{name}"
        return response


def list_properties(search: AsyncImageSearch) -> list[str]:
    """Return the properties that people can read."""
    blobs = (DataType.BLOB, DataType.BLOB_HASH)
    return [name for name, kind in search.properties.items() if kind not in blobs and name not in HIDDEN]


def format_facts(properties: Mapping[str, Any]) -> dict[str, str]:
    """Return the properties that have a value, as texts on one line each."""
    given = {name: value for name, value in properties.items() if value not in (None, "", [])}
    return {name: escape_line(format_value(value)) for name, value in given.items() if name not in OWN_PLACES}


async def find_alike(image: StoredImage, search: AsyncImageSearch) -> list[Hit]:
    """Return the nearest images but itself, equal ones once; none for an image without a vector."""
    names = [PHASH] if PHASH in search.properties else []
    try:
        return await search.find(
            Query.stored(image.id),
            limit=CANDIDATES,
            include_thumbnail=True,
            return_properties=names,
            deduplicate=True,
        )
    except Mismatch:
        raise
    except VectorizerError:
        return []


async def find_copies(image: StoredImage, search: AsyncImageSearch) -> list[StoredImage]:
    """Return the images of the same bytes."""
    digest = image.properties.get(SHA256)
    if not digest:
        return []
    found = search.iterate(filters=f"{SHA256}={digest}", include_thumbnail=True, page_size=MOST_COPIES)
    copies: list[StoredImage] = []
    async for each in found:
        if each.id != image.id:
            copies.append(each)
        if len(copies) == MOST_COPIES:
            break
    return copies


async def read_boxes(image: StoredImage, search: AsyncImageSearch) -> BoxArray:
    """Return the boxes (N, 4) of its regions; none where the collection has no regions."""
    if REGIONS not in search.properties:
        return NO_BOXES
    try:
        return (await search.regions(image.id)).boxes_n4
    except (InputError, Mismatch):
        return NO_BOXES


def draw_alike(boxes_n4: BoxArray, size: tuple[int, int]) -> tuple[Frame, ...]:
    """Return frames of which none is stronger than the others: these regions answer no search."""
    return tuple(replace(frame, kind="best") for frame in list_frames(boxes_n4.tolist(), size))


def choose_near(image: StoredImage, alike: Sequence[Hit], copies: Sequence[StoredImage]) -> list[Hit]:
    """Return those that look the same although their bytes differ."""
    known = {each.id for each in copies}
    own = image.properties.get(PHASH)
    return [
        each
        for each in alike
        if own and each.id not in known and count_bits(own, each.properties.get(PHASH)) <= NEAR_BITS
    ]


def choose_neighbours(alike: Sequence[Hit], copies: Sequence[StoredImage]) -> list[Hit]:
    known = {each.id for each in copies}
    return [each for each in alike if each.id not in known][:NEIGHBOURS]


def count_bits(hash: str, other: str | None) -> int:
    """Return how many bits of two perceptual hashes differ; all of them where there is no other.

    >>> count_bits("00ff00ff00ff00ff", "00fe00ff00ff00ff"), count_bits("00ff00ff00ff00ff", None)
    (1, 64)
    """
    return (int(hash, 16) ^ int(other, 16)).bit_count() if other else 64


def build_cards(images: Sequence[Hit | StoredImage], address: Address) -> tuple[Card, ...]:
    """Cards whose links keep the filters of the search, and drop its place."""
    return tuple(
        replace(build_card(each, address.start), like=make_path(make_like_address(each.path or each.id, address)))
        for each in images
    )
