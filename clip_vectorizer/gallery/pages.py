"""What all paths of the gallery share: its state, its templates, and a sentence for every error."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import click
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import JSONResponse, PlainTextResponse, Response

from clip_vectorizer.errors import InputError, Mismatch, Overloaded, Unreachable, VectorizerError
from clip_vectorizer.gallery.address import Address, format_command, make_path
from clip_vectorizer.gallery.connection import GalleryConnection
from clip_vectorizer.gallery.facets import FacetCounts
from clip_vectorizer.gallery.map_store import MapLayouts
from clip_vectorizer.gallery.pictures import LONGEST_START, Thumbnails, find_media_type
from clip_vectorizer.gallery.results import Results, find_results
from clip_vectorizer.gallery.uploads import Uploads
from clip_vectorizer.query.async_image_search import AsyncImageSearch
from clip_vectorizer.query.display.tables import to_json_value
from clip_vectorizer.query.saved_searches import SavedSearches
from clip_vectorizer.query.search.stored_images import is_uuid

FRAGMENT = "x-fragment"  # a header, so that no other site can ask for a fragment without our consent
LINES = "application/x-ndjson"
FOREVER = "private, max-age=31536000, immutable"  # of addresses that have the content's digest
STATUS: dict[type[VectorizerError], int] = {InputError: 400, Mismatch: 409, Overloaded: 503, Unreachable: 503}


@dataclass(slots=True)
class Gallery:
    """What all requests share."""

    connection: GalleryConnection
    root: Path | None = None  # a folder with the files of the images
    can_write: bool = False  # whether the page may store labels
    thumbnails: Thumbnails = field(default_factory=Thumbnails)
    uploads: Uploads = field(default_factory=Uploads)
    counts: FacetCounts = field(default_factory=FacetCounts)
    layouts: MapLayouts = field(default_factory=MapLayouts)
    ingests: Path | None = None  # the folder with the states of running ingests
    searches: SavedSearches | None = None  # None: this gallery saves none

    def __post_init__(self) -> None:
        if self.searches is not None:
            self.uploads = Uploads(self.searches.find_picture)


class GalleryPages:
    """Renders pages, and errors as sentences in them."""

    def __init__(self, gallery: Gallery) -> None:
        self.gallery = gallery

    async def find(self, address: Address, search: AsyncImageSearch) -> Results:
        """Run the search of an address. Raises as `find_results`, also where Weaviate goes away meanwhile."""
        work = find_results(address, search, self.gallery.uploads, self.gallery.thumbnails)
        return await self.gallery.connection.watch(work)

    async def describe(self, error: Exception) -> tuple[str, int]:
        """Return the sentence of an error and its HTTP status. A connection that was lost is opened anew next time."""
        if isinstance(error, click.UsageError):
            return error.format_message(), 400
        if isinstance(error, Unreachable | Mismatch):
            await self.gallery.connection.lose(error)
        return str(error), next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)

    async def respond_to_error(
        self, error: Exception, missing: bool = False, address: Address | None = None
    ) -> Response:
        """Return a page with the sentence. `missing`: whether an InputError is about something that is not there."""
        problem, status = await self.describe(error)
        return self.render_problem(problem, 404 if missing and isinstance(error, InputError) else status, address)

    async def respond_in_json(self, error: Exception) -> Response:
        """Return the sentence for a script."""
        problem, status = await self.describe(error)
        return JSONResponse({"error": problem}, status)

    async def respond_in_text(self, error: Exception) -> Response:
        """Return the sentence in place of a picture; an InputError is about one that is not there."""
        problem, status = await self.describe(error)
        return PlainTextResponse(f"{problem}\n", 404 if isinstance(error, InputError) else status)

    def name_upload(self, key: str) -> str:
        try:
            return self.gallery.uploads.find(key).name
        except InputError:
            return "picture"

    def format_command(self, address: Address) -> str:
        """Return the command of a shell that prints what an address shows."""
        shown = self.gallery.connection.find_shown(address)
        return format_command(address, map(self.name_upload, address.uploads), shown.collection, shown.tenant)

    def render(self, template: str, status: int, address: Address | None = None, **context: Any) -> Response:
        """`address`: of the search that the page is about."""
        shown = self.gallery.connection.find_shown(address or Address())
        context |= {"address": address or Address(), "collection": shown.collection, "tenant": shown.tenant}
        home = make_path(self.gallery.connection.make_address(shown))
        text = open_templates().get_template(template).render(make_path=make_path, home=home, **context)
        headers = {"Cache-Control": "no-store", "Vary": FRAGMENT}
        return Response(text.encode("utf-8", "backslashreplace"), status, headers, "text/html; charset=utf-8")

    def render_problem(self, problem: str, status: int, address: Address | None = None) -> Response:
        return self.render("problem.html", status, address, problem=problem)


@cache
def open_templates() -> Environment:
    return Environment(
        loader=PackageLoader("clip_vectorizer.gallery"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip


def lines_response(rows: Iterable[Mapping[str, object]]) -> Response:
    """Return rows as a command prints them with --json: one object a line."""
    return Response(b"".join(map(encode_line, rows)), media_type=LINES)


def encode_line(row: Mapping[str, object]) -> bytes:
    line = json.dumps(row, ensure_ascii=False, default=to_json_value) + "\n"
    return line.encode("utf-8", "backslashreplace")


def check_id(id: str) -> str:
    """Raises InputError for anything but a UUID: pictures are found by nothing else."""
    if not is_uuid(id):
        raise InputError(f"{id!r} is not the id of an image")
    return id


def picture_response(data: bytes | None, caching: str) -> Response:
    media_type = find_media_type(data[:LONGEST_START]) if data else None
    if data is None or media_type is None:
        return PlainTextResponse("no picture\n", 404)
    return Response(data, headers={"Cache-Control": caching}, media_type=media_type)
