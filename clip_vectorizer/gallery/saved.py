"""Saved searches on the page: a name with an address, kept in a file on the gallery's side.

A picture that was sent to the page is kept with it, as a thumbnail and its vector, so that the search works after the
gallery has ended.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from clip_vectorizer.errors import InputError, VectorizerError
from clip_vectorizer.gallery.address import PLACE, Address, make_path
from clip_vectorizer.gallery.forms import FormFields, read_fields
from clip_vectorizer.gallery.pages import Gallery, GalleryPages
from clip_vectorizer.query.cli.address_options import PARTITION
from clip_vectorizer.query.saved_searches import SavedPicture, SavedSearch, SavedSearches
from clip_vectorizer.terminal import escape_line

PATH = "/saved"
NO_FILE = "this gallery saves no searches"


@dataclass(frozen=True, slots=True)
class SavedLink:
    """A saved search as a page shows it."""

    name: str
    shown: str  # the name without characters that could mislead
    path: str


@dataclass(frozen=True, slots=True)
class SavedLinks:
    """All saved searches, or the sentence why they cannot be read. `can_save`: whether the gallery has a file."""

    links: tuple[SavedLink, ...] = ()
    problem: str = ""
    can_save: bool = False


class SavedPages(GalleryPages):
    """GET /saved, to rename and remove; POST /saved, /saved/rename, /saved/remove."""

    @property
    def routes(self) -> list[Route]:
        return [
            Route(PATH, self.show),
            Route(PATH, self.save, methods=["POST"]),
            Route(f"{PATH}/rename", self.rename, methods=["POST"]),
            Route(f"{PATH}/remove", self.remove, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        try:
            address = Address.parse(request.url.query)
        except InputError as error:
            return await self.respond_to_error(error)
        return self.render("saved_list.html", 200, address, saved=await read_links(self.gallery))

    async def save(self, request: Request) -> Response:
        """Save the search of a page, and return to it."""
        address = Address()
        try:
            fields = await read_fields(request)
            address = Address.parse(fields.one("address"))
            search = self.build_search(fields.one("name").strip(), address)
            await asyncio.to_thread(self.searches.add, search)
        except VectorizerError as error:
            return await self.respond_to_error(error, address=address)
        return RedirectResponse(make_path(address), 303)

    async def rename(self, request: Request) -> Response:
        return await self._change(request, lambda name, fields: self.searches.rename(name, fields.one("new").strip()))

    async def remove(self, request: Request) -> Response:
        return await self._change(request, lambda name, _: self.searches.remove(name))

    async def _change(self, request: Request, change: Callable[[str, FormFields], None]) -> Response:
        """Change the file, and return to the list."""
        address = Address()
        try:
            fields = await read_fields(request)
            address = Address.parse(fields.one("address"))
            await asyncio.to_thread(change, fields.one("name"), fields)
        except VectorizerError as error:
            return await self.respond_to_error(error, address=address)
        return RedirectResponse(make_path(address, PATH), 303)

    @property
    def searches(self) -> SavedSearches:
        """Raises InputError in a gallery without a file."""
        if self.gallery.searches is None:
            raise InputError(NO_FILE)
        return self.gallery.searches

    def build_search(self, name: str, address: Address) -> SavedSearch:
        """The collection and the tenant are named, as galleries begin with different ones; the place in the results is
        not. Raises InputError for a picture that is gone, and for a collection that is not shown.
        """
        partition = self.gallery.connection.find_partition(address)
        place = (("collection", partition.collection), *((("tenant", partition.tenant),) if partition.tenant else ()))
        kept = tuple(pair for pair in address.pairs if pair[0] not in (*PARTITION, *PLACE))
        pictures = tuple(self.build_picture(key) for key in address.uploads)
        return SavedSearch(name, str(Address((*place, *kept))), pictures)

    def build_picture(self, key: str) -> SavedPicture:
        upload = self.gallery.uploads.find(key)
        return SavedPicture(key, upload.name, upload.thumbnail, upload.vector, upload.model)


async def read_links(gallery: Gallery) -> SavedLinks:
    if gallery.searches is None:
        return SavedLinks()
    try:
        found = await asyncio.to_thread(gallery.searches.read_all)
    except InputError as error:
        return SavedLinks(problem=str(error), can_save=True)
    return SavedLinks(
        tuple(SavedLink(each.name, escape_line(each.name), f"/?{each.address}") for each in found), "", True
    )
