"""The gallery's HTTP side: paths, pages, and a sentence for every error."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

import click
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message

from clip_vectorizer.errors import InputError, VectorizerError
from clip_vectorizer.gallery.address import BY_LABEL, VERSION, Address, make_path
from clip_vectorizer.gallery.chips import build_chips
from clip_vectorizer.gallery.choices import Choices, build_choices, list_hidden_fields
from clip_vectorizer.gallery.corrections import Nothing, correct, explain_nothing
from clip_vectorizer.gallery.cuts import CutPages
from clip_vectorizer.gallery.details import DetailsPages
from clip_vectorizer.gallery.explanations import ExplanationPages
from clip_vectorizer.gallery.exports import ExportPages
from clip_vectorizer.gallery.facets import Facet, read_facets
from clip_vectorizer.gallery.ingests import IngestLine, IngestPages
from clip_vectorizer.gallery.labels import Labelling, LabelPages, group_by_label, size_page
from clip_vectorizer.gallery.map_pages import MapPages
from clip_vectorizer.gallery.pages import (
    FOREVER,
    FRAGMENT,
    Gallery,
    GalleryPages,
    check_id,
    lines_response,
    picture_response,
)
from clip_vectorizer.gallery.saved import SavedLinks, SavedPages, read_links
from clip_vectorizer.gallery.security import GalleryGuard
from clip_vectorizer.gallery.timeline import TimelinePages, list_time_properties
from clip_vectorizer.gallery.uploads import MAX_UPLOAD_BYTES
from clip_vectorizer.query.cli.address_options import UPLOAD

HERE = Path(__file__).parent
COUNT_SECONDS = 0.5  # that a page waits for its filters; a script fetches those that take longer
MULTIPART_EXTRA = 100_000  # bytes of a form beside its file
NO_PICTURE = "no picture came with the form; choose a file first"


def build_app(
    gallery: Gallery, allowed_hosts: Collection[str] = (), password: str | None = None, by_number: bool = False
) -> ASGIApp:
    """`by_number`: whether the page may be opened by any numeric address of this machine.

    The guard is outside of all, so that the response to an unexpected error has its headers too.
    """

    @asynccontextmanager
    async def run(_: Starlette) -> AsyncIterator[None]:
        yield
        await gallery.layouts.close()
        await gallery.connection.close()

    routes = GalleryRoutes(gallery)
    app = Starlette(
        routes=[
            Route("/", routes.show_search),
            Route("/search.json", routes.show_json),
            Route("/facets", routes.show_facets),
            Route("/image", routes.receive_image, methods=["POST"]),
            Route("/thumb/{id}", routes.show_thumbnail),
            Route("/upload/{digest}", routes.show_upload),
            *DetailsPages(gallery).routes,
            *LabelPages(gallery).routes,
            *ExplanationPages(gallery).routes,
            *ExportPages(gallery).routes,
            *CutPages(gallery).routes,
            *SavedPages(gallery).routes,
            *IngestPages(gallery).routes,
            *MapPages(gallery).routes,
            *TimelinePages(gallery).routes,
            Route("/ready", routes.show_ready),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        exception_handlers={HTTPException: show_http_error, Exception: routes.show_failure},
        lifespan=run,
    )
    return GalleryGuard(app, allowed_hosts, password, by_number)


class GalleryRoutes(GalleryPages):
    """One method a path."""

    async def show_search(self, request: Request) -> Response:
        """The page. An error is a sentence in it.

        With the header X-Fragment: results, only these; with search, all but the filters, which take counting.
        """
        address, results, labelling, problem, status = Address(), None, Labelling(), "", 200
        nothing, has_times = Nothing(), False
        try:
            address = Address.parse(request.url.query)
            search = await self.gallery.connection.open(address)
            has_times = bool(list_time_properties(search))
            found = await self.find(size_page(address), search)
            labelling = await LabelPages(self.gallery).read(address, found)
            nothing = await explain_nothing(address, found, search)
            results = group_by_label(found, labelling) if address.one(BY_LABEL) and labelling.counts else found
        except (VectorizerError, click.UsageError) as error:
            problem, status = await self.describe(error)
            nothing = Nothing(correction=correct(request.url.query, error))
        shown = {
            "results": results,
            "labelling": labelling,
            "problem": problem,
            "nothing": nothing,
            "can_write": self.gallery.can_write,
            "has_times": has_times,
        }
        fragment = request.headers.get(FRAGMENT)
        if fragment == "results":
            return self.render("results.html", status, address, **shown)
        return self.render(
            "search.html",
            status,
            address,
            **shown,
            facets=await self._read_facets(address, COUNT_SECONDS) if status in (200, 400) and not fragment else [],
            choices=await self._list_choices(address) if status < 500 and not fragment else Choices(),
            ingest=await IngestPages(self.gallery).read(address) if not fragment else IngestLine(),
            saved=await read_links(self.gallery) if not fragment else SavedLinks(),
            hidden_fields=list_hidden_fields(address),
            chips=build_chips(address, [(key, self.name_upload(key)) for key in address.uploads]),
            most_bytes=MAX_UPLOAD_BYTES,
            command=self.format_command(size_page(address)),
        )

    async def _read_facets(self, address: Address, patience_seconds: float | None = None) -> list[Facet] | None:
        """None while they are counted; empty where the filters themselves are wrong: the page has that sentence."""
        try:
            search = await self.gallery.connection.open(address)
            return await read_facets(address, search, self.gallery.counts, patience_seconds)
        except VectorizerError:
            return []

    async def _list_choices(self, address: Address) -> Choices:
        connection = self.gallery.connection
        return build_choices(address, await connection.list_collections(), connection)

    async def show_json(self, request: Request) -> Response:
        """What `clip-search --json` prints for the same options: one object a line."""
        try:
            address = Address.parse(request.url.query)
            search = await self.gallery.connection.open(address)
            results = await self.find(address, search)
        except (VectorizerError, click.UsageError) as error:
            return await self.respond_in_json(error)
        return lines_response(results.rows)

    async def show_facets(self, request: Request) -> Response:
        try:
            address = Address.parse(request.url.query)
        except InputError as error:
            return PlainTextResponse(f"{error}\n", 400)
        return self.render("facets.html", 200, address=address, facets=await self._read_facets(address))

    async def receive_image(self, request: Request) -> Response:
        """Take a picture, and send the browser to the search for it. Scripts get its address as JSON."""
        is_script = bool(request.headers.get(FRAGMENT))
        try:
            name, data, place = await read_form(request)
            search = await self.gallery.connection.open(place)
            key = await self.gallery.uploads.add(name, data, search)
        except VectorizerError as error:
            return await (self.respond_in_json(error) if is_script else self.respond_to_error(error))
        path = make_path(place.adding(UPLOAD, key))
        return JSONResponse({"image": key, "path": path}) if is_script else RedirectResponse(path, 303)

    async def show_thumbnail(self, request: Request) -> Response:
        try:
            address = read_partition(request)
            search = await self.gallery.connection.open(address)
            data = await self.gallery.thumbnails.read(check_id(request.path_params["id"]), search)
        except VectorizerError as error:
            return await self.respond_in_text(error)
        caching = FOREVER if request.query_params.get(VERSION) else "private, no-cache"
        return picture_response(data, caching)

    async def show_upload(self, request: Request) -> Response:
        try:
            upload = self.gallery.uploads.find(f"sha256:{request.path_params['digest']}")
        except InputError as error:
            return PlainTextResponse(f"{error}\n", 404)
        return picture_response(upload.thumbnail, FOREVER)

    async def show_ready(self, _: Request) -> Response:
        """For probes: whether Weaviate and the sidecar respond; a collection may still be missing."""
        try:
            await self.gallery.connection.open(Address())
        except InputError as error:
            return PlainTextResponse(f"ready; {error}\n")
        except VectorizerError as error:
            return PlainTextResponse(f"{error}\n", 503)
        return PlainTextResponse("ready\n")

    async def show_failure(self, request: Request, error: Exception) -> Response:
        """For an unexpected error, whose traceback goes to the terminal."""
        problem = f"the gallery failed ({type(error).__name__}); its terminal has the details; try again"
        if request.headers.get(FRAGMENT) and request.method != "GET":
            return JSONResponse({"error": problem}, 500)
        return self.render_problem(problem, 500)


def read_partition(request: Request) -> Address:
    """Return the collection and tenant that the address of a picture names. Raises InputError."""
    return Address.parse(urlencode([pair for pair in request.query_params.multi_items() if pair[0] != VERSION]))


async def read_form(request: Request) -> tuple[str, bytes, Address]:
    """Return name and bytes of the picture in a form, and the search that it was sent from.

    Raises InputError for a body that is too large, and for one without a picture.
    """
    too_large = InputError(
        f"the picture is larger than {MAX_UPLOAD_BYTES // 2**20} MB; make it smaller and send it again"
    )
    if int(request.headers.get("content-length") or 0) > MAX_UPLOAD_BYTES + MULTIPART_EXTRA:
        raise too_large
    limited = limit_body(request, MAX_UPLOAD_BYTES + MULTIPART_EXTRA, too_large)
    try:
        async with limited.form(max_files=1, max_fields=5) as form:
            file, state = form.get("image"), form.get("address", "")
            if not isinstance(file, UploadFile):
                raise InputError(NO_PICTURE)
            data = await file.read(MAX_UPLOAD_BYTES + 1)
            name = file.filename or ""
    except (HTTPException, ClientDisconnect) as error:
        raise InputError(f"the form cannot be read: {getattr(error, 'detail', 'it did not arrive whole')}") from error
    if len(data) > MAX_UPLOAD_BYTES:
        raise too_large
    if not data:
        raise InputError(f"{name}: the file is empty (0 bytes); choose another one" if name else NO_PICTURE)
    return name or "picture", data, Address.parse(state if isinstance(state, str) else "")


def limit_body(request: Request, most: int, error: InputError) -> Request:
    """Return the request with a body that raises `error` after `most` bytes.

    A program need not send its length, and a form is kept in a temporary file while it comes.
    """
    left = most

    async def receive() -> Message:
        nonlocal left
        message = await request.receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise error
        return message

    return Request(request.scope, receive)


async def show_http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return PlainTextResponse(f"{error.detail}; the search page is at /\n", error.status_code)
