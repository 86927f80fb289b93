"""What a page shows of a search: run as `clip-search` runs it, and read into cards."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from clip_vectorizer.gallery.address import (
    LABEL_NAMES,
    PAGE_SIZE,
    Address,
    make_image_path,
    make_path,
    make_thumbnail_path,
    read_values,
)
from clip_vectorizer.gallery.chips import weigh_picture
from clip_vectorizer.gallery.pictures import Thumbnails, digest, read_size
from clip_vectorizer.gallery.uploads import Uploads
from clip_vectorizer.query.async_image_search import AsyncImageSearch
from clip_vectorizer.query.cli.address_options import PARTITION
from clip_vectorizer.query.cli.search_actions import LIST_COLUMNS, hit_fields, split_group_arguments, stored_fields
from clip_vectorizer.query.cli.search_request import (
    ListCommandRequest,
    SearchCommandRequest,
    StringSearchRequest,
    build_request,
)
from clip_vectorizer.query.display.frames import Frame, list_frames
from clip_vectorizer.query.hits import Group, Hit, StoredImage
from clip_vectorizer.query.search.query import Query, StoredPart
from clip_vectorizer.terminal import escape_line

MOST_NEWEST = 400  # images of a page with the newest
LAST_OFFSET = 10_000  # Weaviate returns no more
ENDS_EARLY = ("min-similarity", "auto-limit", "dedupe", "captions", "regions")  # options that leave images out


@dataclass(frozen=True, slots=True)
class Card:
    """One image on the page."""

    id: str
    path: str
    name: str  # the path without characters that could mislead
    label: str
    caption: str
    alt: str
    picture: str  # the address of its thumbnail, "" without one
    similarity: float | None  # None in a listing
    copies: tuple[str, ...]
    details: str  # address of its own page
    like: str  # address of the search for images like it
    add: str  # address of this search with the image added
    subtract: str
    frames: tuple[Frame, ...] = ()  # around the regions that were found, in the coordinates of `size`
    size: tuple[int, int] = (1, 1)  # of the thumbnail, pixels


@dataclass(frozen=True, slots=True)
class Section:
    """Cards below a heading; the heading is "" without groups."""

    title: str
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True)
class Results:
    """One page of results."""

    sections: tuple[Section, ...]
    rows: tuple[Mapping[str, object], ...]  # what --json prints, one for each image
    next: str = ""  # address of the next page, "" at the end
    total: int | None = None  # of all pages, where it is known
    shown: int = 0  # up to the end of this page

    @property
    def cards(self) -> list[Card]:
        return [card for section in self.sections for card in section.cards]


async def find_results(address: Address, search: AsyncImageSearch, uploads: Uploads, thumbnails: Thumbnails) -> Results:
    """Run the search of an address. Raises click.UsageError, InputError, Unreachable, ... as `clip-search` does."""
    request = read_request(address, uploads, search)
    if isinstance(request, ListCommandRequest):
        return await list_images(address, request, search, thumbnails)
    if request.group_by is not None:
        return await find_groups(address, request, search, thumbnails)
    return await find_hits(address, request, search, thumbnails)


def read_request(
    address: Address, uploads: Uploads, search: AsyncImageSearch
) -> SearchCommandRequest | ListCommandRequest:
    """Raises click.UsageError, InputError, Mismatch for a picture that another model embedded."""
    parts = [Query.vector(uploads.find_vector(key, search)) for key in address.uploads]
    request = build_request(read_values(address), parts)
    assert not isinstance(request, StringSearchRequest), "no parameter of an address begins such a run"
    return request


async def list_images(
    address: Address, request: ListCommandRequest, search: AsyncImageSearch, thumbnails: Thumbnails
) -> Results:
    size = request.limit or PAGE_SIZE
    if request.newest:
        return await list_newest(address, request, search, thumbnails, size)
    images: list[StoredImage] = []
    async for image in search.iterate(
        after=request.after,
        filters=request.filters or None,
        return_properties=request.fields.properties,
        include_thumbnail=True,
        page_size=size + 1,
    ):
        images.append(image)
        if len(images) > size:
            break
    page, more = images[:size], len(images) > size
    following = make_path(address.at("after", page[-1].id)) if more else ""
    return await show_listing(page, following, address, request, search, thumbnails)


async def list_newest(
    address: Address, request: ListCommandRequest, search: AsyncImageSearch, thumbnails: Thumbnails, size: int
) -> Results:
    """The next page is a longer one: what is newest changes meanwhile, so there is no place to go on from."""
    images = await search.newest(
        size + 1,
        filters=request.filters or None,
        return_properties=request.fields.properties,
        include_thumbnail=True,
    )
    more = len(images) > size and size < MOST_NEWEST
    following = make_path(address.with_only("limit", str(size + PAGE_SIZE))) if more else ""
    return await show_listing(images[:size], following, address, request, search, thumbnails)


async def show_listing(
    page: Sequence[StoredImage],
    following: str,
    address: Address,
    request: ListCommandRequest,
    search: AsyncImageSearch,
    thumbnails: Thumbnails,
) -> Results:
    thumbnails.keep(page, search)
    fields = replace(request.fields, thumbnail=False)
    rows = tuple({name: getattr(each, name) for name in LIST_COLUMNS} | stored_fields(each, fields) for each in page)
    cards = tuple(build_card(each, address) for each in page)
    return Results((Section("", cards),), rows, following, await search.count(request.filters or None))


async def find_hits(
    address: Address, request: SearchCommandRequest, search: AsyncImageSearch, thumbnails: Thumbnails
) -> Results:
    """One more than a page shows is fetched, so that no page is empty."""
    limit, offset = request.arguments["limit"], request.arguments.get("offset", 0)
    wanted = min(limit + 1, LAST_OFFSET - offset)
    arguments = {**request.arguments, "limit": wanted, "include_thumbnail": True}
    hits, total = await asyncio.gather(
        search.find(request.query, **arguments),  # type: ignore[arg-type]
        count_hits(address, request, search),
    )
    page = hits[:limit]
    thumbnails.keep(page, search)
    following = make_path(address.at("offset", str(offset + limit))) if len(hits) > limit else ""
    section = Section("", tuple(build_card(hit, address) for hit in page))
    total = total if following else offset + len(page)
    return Results((section,), build_rows([Group("", tuple(page))], request), following, total, offset + len(page))


async def count_hits(address: Address, request: SearchCommandRequest, search: AsyncImageSearch) -> int | None:
    """Return how many images all pages have, None where only the last page shows it."""
    parts = {part.key for _, part in request.query.parts if isinstance(part, StoredPart)}
    filters = request.arguments.get("filters")
    if any(map(address.one, ENDS_EARLY)) or (parts and filters):  # a filter may leave out a stored image, or not
        return None
    return min(await search.count(filters) - len(parts), LAST_OFFSET)


async def find_groups(
    address: Address, request: SearchCommandRequest, search: AsyncImageSearch, thumbnails: Thumbnails
) -> Results:
    count, arguments = split_group_arguments(request)
    groups = await search.groups(
        request.query,
        str(request.group_by),
        request.per_group,
        count,
        **{**arguments, "include_thumbnail": True},  # type: ignore[arg-type]
    )
    for group in groups:
        thumbnails.keep(group.hits, search)
    sections = tuple(
        Section(escape_line(group.name) or "(none)", tuple(build_card(hit, address) for hit in group.hits))
        for group in groups
    )
    shown = sum(len(section.cards) for section in sections)
    return Results(sections, build_rows(groups, request), "", shown, shown)


def build_rows(groups: Sequence[Group], request: SearchCommandRequest) -> tuple[Mapping[str, Any], ...]:
    fields = replace(request.fields, thumbnail=False)
    return tuple(hit_fields(hit, group.name, fields) for group in groups for hit in group.hits)


def build_card(image: Hit | StoredImage, address: Address) -> Card:
    hit = image if isinstance(image, Hit) else None
    version, key = digest(image.thumbnail), image.path or image.id
    boxes = [region.box for region in hit.regions] if hit else []
    size = read_size(image.thumbnail) if boxes else None
    return Card(
        id=image.id,
        path=image.path,
        name=escape_line(image.path),
        label=escape_line(image.label),
        caption=escape_line(image.caption),
        alt=escape_line(image.caption or image.label or image.path),
        picture=make_thumbnail_path(image.id, version, address) if version else "",
        similarity=hit.similarity if hit else None,
        copies=tuple(map(escape_line, hit.copies)) if hit else (),
        details=make_image_path(image.id, address),
        like=make_path(make_like_address(key, address)),
        add=make_path(weigh_picture(address, "like", key, 1)),
        subtract=make_path(weigh_picture(address, "unlike", key, -1)),
        frames=tuple(list_frames(boxes, size)) if size else (),
        size=size or (1, 1),
    )


def make_like_address(key: str, address: Address) -> Address:
    """The search for images like one, with the filters of this page and without its query."""
    kept = tuple(pair for pair in address.pairs if pair[0] in (*PARTITION, "where", "limit", "dedupe", *LABEL_NAMES))
    return Address((("like", key), *kept))
