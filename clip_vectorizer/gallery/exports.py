"""Chosen images to take away: their paths, JSON lines, a zip of thumbnails, a contact sheet. All are streamed."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from clip_vectorizer.counts import format_count
from clip_vectorizer.errors import InputError, VectorizerError
from clip_vectorizer.gallery.address import Address
from clip_vectorizer.gallery.forms import FormFields, read_fields
from clip_vectorizer.gallery.pages import LINES, GalleryPages, encode_line
from clip_vectorizer.gallery.zip_files import ChosenNames, ZipStream
from clip_vectorizer.query.cli.search_actions import LIST_COLUMNS, NUL
from clip_vectorizer.query.display.contact_sheet import END, LIST, LIST_END, render_item, render_opening
from clip_vectorizer.query.hits import StoredImage

MOST_IMAGES = 2_000
PATHS, JSON, THUMBNAILS, SHEET = KINDS = ("paths", "json", "thumbnails", "sheet")
MISSING = "this image is no longer in the collection"
Chunks = AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class ExportFile:
    """How a kind of export is sent."""

    name: str
    media_type: str


FILES = {
    PATHS: ExportFile("paths.txt", "text/plain; charset=utf-8"),
    JSON: ExportFile("images.jsonl", LINES),
    THUMBNAILS: ExportFile("thumbnails.zip", "application/zip"),
    SHEET: ExportFile("contact-sheet.html", "text/html; charset=utf-8"),
}


class ExportPages(GalleryPages):
    """POST /export with the fields id (repeated), as, and address: of the search that they were chosen in."""

    @property
    def routes(self) -> list[Route]:
        return [Route("/export", self.export, methods=["POST"])]

    async def export(self, request: Request) -> Response:
        """A database that is away is a sentence, as the first images are read before the response begins."""
        try:
            fields = await read_fields(request)
            ids, kind = check_ids(fields.all("id")), check_kind(fields)
            address = Address.parse(fields.one("address"))
            search = await self.gallery.connection.open(address)
            images = await start(search.stored_images(ids, include_thumbnail=kind in (THUMBNAILS, SHEET)))
        except VectorizerError as error:
            return await self.respond_to_error(error)
        file = FILES[kind]
        headers = {"Content-Disposition": f'attachment; filename="{file.name}"', "Cache-Control": "no-store"}
        return StreamingResponse(self.write(kind, ids, images, address), headers=headers, media_type=file.media_type)

    def write(self, kind: str, ids: Sequence[str], images: AsyncIterator[StoredImage], address: Address) -> Chunks:
        match kind:
            case "paths":
                return write_paths(images)
            case "json":
                return write_rows(ids, images)
            case "thumbnails":
                return write_zip(ids, images)
        collection = self.gallery.connection.find_shown(address).collection
        return write_sheet(images, f"{format_count(len(ids), 'image')} of {collection}")


def check_ids(given: Sequence[str]) -> list[str]:
    """Return each id once. Raises InputError for none, and for too many."""
    ids = list(dict.fromkeys(id.lower() for id in given if id))
    if not ids:
        raise InputError("no images are chosen; mark some first")
    if len(ids) > MOST_IMAGES:
        raise InputError(
            f"{len(ids):,} images are chosen, and {MOST_IMAGES:,} is the most; use `clip-search -0` for more"
        )
    return ids


def check_kind(fields: FormFields) -> str:
    kind = fields.one("as") or PATHS
    if kind not in KINDS:
        raise InputError(f"as={kind!r} is no kind of export; there are {', '.join(KINDS)}")
    return kind


async def start(images: AsyncIterator[StoredImage]) -> AsyncIterator[StoredImage]:
    """Return the same images, the first of them read already. Raises InputError where there is none."""
    first = await anext(images, None)
    if first is None:
        raise InputError("none of the chosen images is in the collection any more; search again")
    return put_first(first, images)


async def put_first(first: StoredImage, images: AsyncIterator[StoredImage]) -> AsyncIterator[StoredImage]:
    yield first
    async for image in images:
        yield image


async def write_paths(images: AsyncIterator[StoredImage]) -> Chunks:
    """For `xargs -0`: the exact bytes of the names, which may have any other character."""
    async for image in images:
        yield image.path.encode("utf-8", "surrogateescape") + NUL


async def write_rows(ids: Sequence[str], images: AsyncIterator[StoredImage]) -> Chunks:
    """The lines of `clip-search --list --json`, and one with an `error` for an image that is gone."""
    seen = set()
    async for image in images:
        seen.add(image.id)
        yield encode_line({name: getattr(image, name) for name in LIST_COLUMNS})
    for id in ids:
        if id not in seen:
            yield encode_line({"id": id, "error": MISSING})


async def write_zip(ids: Sequence[str], images: AsyncIterator[StoredImage]) -> Chunks:
    """Thumbnails by the paths of their images; what has none is listed in a text file."""
    file, names, missing = ZipStream(), ChosenNames(), dict.fromkeys(ids, MISSING)
    async for image in images:
        missing.pop(image.id, None)
        if image.thumbnail:
            yield file.add(names.choose(image.path), image.thumbnail)
        else:
            missing[image.id] = f"{image.path!r} has no thumbnail"
    if missing:
        lines = "".join(f"{id}: {reason}\n" for id, reason in missing.items())
        yield file.add(names.choose("missing.txt"), lines.encode())
    yield file.close()


async def write_sheet(images: AsyncIterator[StoredImage], about: str) -> Chunks:
    """A page that stands alone, with the policy of its own that allows its own style and nothing else."""
    opening = (*render_opening("Chosen images", about), "<main>\n", LIST.format("Images"))
    yield "".join(opening).encode("utf-8", "backslashreplace")
    async for image in images:
        yield render_item(image).encode("utf-8", "backslashreplace")
    yield (LIST_END + END).encode()
