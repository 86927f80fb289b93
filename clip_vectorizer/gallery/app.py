"""The gallery's HTTP side: paths, pages, and a sentence for every error."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from clip_vectorizer.errors import InputError, Mismatch, Overloaded, Unreachable, VectorizerError
from clip_vectorizer.gallery.address import UPLOAD, Address, format_command, make_path
from clip_vectorizer.gallery.connection import GalleryConnection
from clip_vectorizer.gallery.facets import Facet, FacetCounts, read_facets
from clip_vectorizer.gallery.pictures import LONGEST_START, Thumbnails, find_media_type, read_file
from clip_vectorizer.gallery.results import find_results
from clip_vectorizer.gallery.security import GalleryGuard
from clip_vectorizer.gallery.uploads import MAX_UPLOAD_BYTES, Uploads
from clip_vectorizer.query.display.tables import to_json_value
from clip_vectorizer.query.search.stored_images import is_uuid

HERE = Path(__file__).parent
FRAGMENT = "x-fragment"  # a header, so that no other site can ask for a fragment without our consent
FOREVER = "private, max-age=31536000, immutable"  # of addresses that have the content's digest
STATUS = {InputError: 400, Mismatch: 409, Overloaded: 503, Unreachable: 503}
COUNT_SECONDS = 0.5  # that a page waits for its filters; a script fetches those that take longer
MULTIPART_EXTRA = 100_000  # bytes of a form beside its file

RouteHandler = Callable[[Request], Awaitable[Response]]


@dataclass(slots=True)
class Gallery:
    """What all requests share."""

    connection: GalleryConnection
    root: Path | None = None  # a folder with the files of the images
    thumbnails: Thumbnails = field(default_factory=Thumbnails)
    uploads: Uploads = field(default_factory=Uploads)
    counts: FacetCounts = field(default_factory=FacetCounts)


def build_app(
    gallery: Gallery, allowed_hosts: Collection[str] = (), password: str | None = None, by_number: bool = False
) -> Starlette:
    """`by_number`: whether the page may be opened by any numeric address of this machine."""

    @asynccontextmanager
    async def run(_: Starlette) -> AsyncIterator[None]:
        yield
        await gallery.connection.close()

    routes = GalleryRoutes(gallery)
    return Starlette(
        routes=[
            Route("/", routes.show_search),
            Route("/search.json", routes.show_json),
            Route("/facets", routes.show_facets),
            Route("/image", routes.receive_image, methods=["POST"]),
            Route("/image/{id}", routes.show_details),
            Route("/thumb/{id}", routes.show_thumbnail),
            Route("/full/{id}", routes.show_full),
            Route("/upload/{digest}", routes.show_upload),
            Route("/ready", routes.show_ready),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[Middleware(GalleryGuard, allowed_hosts=allowed_hosts, password=password, by_number=by_number)],
        exception_handlers={HTTPException: show_http_error},
        lifespan=run,
    )


class GalleryRoutes:
    """One method a path."""

    def __init__(self, gallery: Gallery) -> None:
        self.gallery = gallery
        self.templates = Environment(
            loader=PackageLoader("clip_vectorizer.gallery"), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip

    async def show_search(self, request: Request) -> Response:
        """The page, or with the header X-Fragment its results alone. An error is a sentence in the page."""
        address, results, problem, status = Address(), None, "", 200
        try:
            address = Address.parse(request.url.query)
            search = await self.gallery.connection.open()
            results = await find_results(address, search, self.gallery.uploads, self.gallery.thumbnails)
        except (VectorizerError, click.UsageError) as error:
            problem, status = await self._describe(error)
        if request.headers.get(FRAGMENT):
            return self._render("results.html", status, address=address, results=results, problem=problem)
        return self._render(
            "search.html",
            status,
            address=address,
            results=results,
            facets=await self._read_facets(address, COUNT_SECONDS) if status in (200, 400) else [],
            problem=problem,
            uploads=[(key, self._name_upload(key)) for key in address.uploads],
            collection=self.gallery.connection.collection,
            command=format_command(address, map(self._name_upload, address.uploads)),
        )

    async def _read_facets(self, address: Address, patience_seconds: float | None = None) -> list[Facet] | None:
        """None while they are counted; empty where the filters themselves are wrong: the page has that sentence."""
        try:
            search = await self.gallery.connection.open()
            return await read_facets(address, search, self.gallery.counts, patience_seconds)
        except VectorizerError:
            return []

    async def show_json(self, request: Request) -> Response:
        """What `clip-search --json` prints for the same options: one object a line."""
        try:
            address = Address.parse(request.url.query)
            search = await self.gallery.connection.open()
            results = await find_results(address, search, self.gallery.uploads, self.gallery.thumbnails)
        except (VectorizerError, click.UsageError) as error:
            problem, status = await self._describe(error)
            return JSONResponse({"error": problem}, status)
        lines = (json.dumps(row, ensure_ascii=False, default=to_json_value) + "\n" for row in results.rows)
        return Response("".join(lines).encode("utf-8", "backslashreplace"), media_type="application/x-ndjson")

    async def show_facets(self, request: Request) -> Response:
        try:
            address = Address.parse(request.url.query)
        except InputError as error:
            return PlainTextResponse(f"{error}\n", 400)
        return self._render("facets.html", 200, address=address, facets=await self._read_facets(address))

    async def receive_image(self, request: Request) -> Response:
        """Take a picture, and send the browser to the search for it. Scripts get its address as JSON."""
        is_script = bool(request.headers.get(FRAGMENT))
        try:
            name, data, place = await read_form(request)
            search = await self.gallery.connection.open()
            key = await self.gallery.uploads.add(name, data, search)
        except VectorizerError as error:
            problem, status = await self._describe(error)
            if is_script:
                return JSONResponse({"error": problem}, status)
            return self._render_problem(problem, status)
        path = make_path(place.adding(UPLOAD, key))
        return JSONResponse({"image": key, "path": path}) if is_script else RedirectResponse(path, 303)

    async def show_details(self, request: Request) -> Response:
        id = request.path_params["id"]
        try:
            address = Address.parse(request.url.query)
            search = await self.gallery.connection.open()
            names = [name for name in search.properties if name not in ("image", "thumbnail", "stamp", "facts")]
            image = await search.stored(check_id(id), return_properties=names, include_thumbnail=True)
        except VectorizerError as error:
            problem, status = await self._describe(error)
            return self._render_problem(problem, 404 if isinstance(error, InputError) else status)
        self.gallery.thumbnails.keep([image])
        return self._render("details.html", 200, address=address, image=image, has_full=self.gallery.root is not None)

    async def show_thumbnail(self, request: Request) -> Response:
        try:
            search = await self.gallery.connection.open()
            data = await self.gallery.thumbnails.read(check_id(request.path_params["id"]), search)
        except VectorizerError as error:
            problem, status = await self._describe(error)
            return PlainTextResponse(f"{problem}\n", 404 if isinstance(error, InputError) else status)
        caching = FOREVER if request.query_params.get("v") else "private, no-cache"
        return picture_response(data, caching)

    async def show_full(self, request: Request) -> Response:
        """The file itself, where the command has a folder with it."""
        if self.gallery.root is None:
            return PlainTextResponse("this gallery has no files; start it with --root FOLDER\n", 404)
        try:
            search = await self.gallery.connection.open()
            image = await search.stored(check_id(request.path_params["id"]))
        except VectorizerError as error:
            problem, status = await self._describe(error)
            return PlainTextResponse(f"{problem}\n", 404 if isinstance(error, InputError) else status)
        response = picture_response(await read_file(self.gallery.root, image.path), "private, no-cache")
        name = quote(Path(image.path).name.encode("utf-8", "replace"), safe="")
        response.headers["Content-Disposition"] = f"inline; filename*=UTF-8''{name}"
        return response

    async def show_upload(self, request: Request) -> Response:
        try:
            upload = self.gallery.uploads.find(f"sha256:{request.path_params['digest']}")
        except InputError as error:
            return PlainTextResponse(f"{error}\n", 404)
        return picture_response(upload.thumbnail, FOREVER)

    async def show_ready(self, _: Request) -> Response:
        """For probes: whether Weaviate and the sidecar respond; a collection may still be missing."""
        try:
            await self.gallery.connection.open()
        except InputError as error:
            return PlainTextResponse(f"ready; {error}\n")
        except VectorizerError as error:
            return PlainTextResponse(f"{error}\n", 503)
        return PlainTextResponse("ready\n")

    async def _describe(self, error: Exception) -> tuple[str, int]:
        """Return the sentence of an error and its HTTP status. A connection that was lost is opened anew next time."""
        if isinstance(error, click.UsageError):
            return error.format_message(), 400
        if isinstance(error, Unreachable | Mismatch):
            await self.gallery.connection.lose()
        return str(error), next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)

    def _name_upload(self, key: str) -> str:
        try:
            return self.gallery.uploads.find(key).name
        except InputError:
            return "picture"

    def _render(self, template: str, status: int, **context: Any) -> Response:
        text = self.templates.get_template(template).render(make_path=make_path, **context)
        headers = {"Cache-Control": "no-store", "Vary": FRAGMENT}
        return Response(text.encode("utf-8", "backslashreplace"), status, headers, "text/html; charset=utf-8")

    def _render_problem(self, problem: str, status: int) -> Response:
        return self._render("problem.html", status, problem=problem, collection=self.gallery.connection.collection)


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


async def read_form(request: Request) -> tuple[str, bytes, Address]:
    """Return name and bytes of the picture in a form, and the search that it was sent from.

    Raises InputError for a body that is too large, and for one without a picture.
    """
    too_large = InputError(
        f"the picture is larger than {MAX_UPLOAD_BYTES // 2**20} MB; make it smaller and send it again"
    )
    if int(request.headers.get("content-length") or 0) > MAX_UPLOAD_BYTES + MULTIPART_EXTRA:
        raise too_large
    try:
        async with request.form(max_files=1, max_fields=5) as form:
            file, state = form.get("image"), form.get("address", "")
            if not isinstance(file, UploadFile):
                raise InputError("no picture came with the form; choose a file first")
            data = await file.read(MAX_UPLOAD_BYTES + 1)
            name = file.filename or "picture"
    except (HTTPException, ClientDisconnect) as error:
        raise InputError(f"the form cannot be read: {getattr(error, 'detail', 'it did not arrive whole')}") from error
    if len(data) > MAX_UPLOAD_BYTES:
        raise too_large
    if not data:
        raise InputError("no picture came with the form; choose a file first")
    return name, data, Address.parse(state if isinstance(state, str) else "")


async def show_http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return PlainTextResponse(f"{error.detail}; the search page is at /\n", error.status_code)
