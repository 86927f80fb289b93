"""A search by a part of a stored picture: a box that is dragged over it, or typed, is cut out here and embedded."""

import math

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from clip_vectorizer.errors import InputError, VectorizerError
from clip_vectorizer.gallery.address import Address, make_path
from clip_vectorizer.gallery.forms import FormFields, read_fields
from clip_vectorizer.gallery.originals import read_best_picture
from clip_vectorizer.gallery.pages import FRAGMENT, GalleryPages, check_id
from clip_vectorizer.query.choices import ALL_REGIONS
from clip_vectorizer.query.cli.address_options import UPLOAD
from clip_vectorizer.terminal import escape_line
from clip_vectorizer.vectors import Box

SIDES = {"x0": "left", "y0": "top", "x1": "right", "y1": "bottom"}
WHOLE = 100.0  # a form has percent, which people can type


class CutPages(GalleryPages):
    """POST /cut with the fields id, address (of its page), x0, y0, x1, y1 in percent, and regions where regions are to
    be searched too."""

    @property
    def routes(self) -> list[Route]:
        return [Route("/cut", self.cut, methods=["POST"])]

    async def cut(self, request: Request) -> Response:
        """Send the browser to the search for the part. Scripts get its address as JSON."""
        is_script = bool(request.headers.get(FRAGMENT))
        try:
            path = await self.read_path(await read_fields(request))
        except VectorizerError as error:
            return await (self.respond_in_json(error) if is_script else self.respond_to_error(error))
        return JSONResponse({"path": path}) if is_script else RedirectResponse(path, 303)

    async def read_path(self, fields: FormFields) -> str:
        """Cut, embed, and return the address of the search."""
        box = read_box(fields)
        start = Address.parse(fields.one("address")).start
        search = await self.gallery.connection.open(start)
        image = await search.stored(check_id(fields.one("id")))
        data = await read_best_picture(image, self.gallery.root, search)
        if data is None:
            raise InputError(
                f"no picture of {escape_line(image.path)} is stored; start clip-gallery with --root FOLDER"
            )
        key = await self.gallery.uploads.add_cut(f"part of {escape_line(image.path)}", data, box, search)
        regions = ((("regions", ALL_REGIONS),)) if fields.one("regions") else ()
        return make_path(Address((*start.pairs, (UPLOAD, key), *regions)))


def read_box(fields: FormFields) -> Box:
    """Return shares of the sides. Raises InputError for what is no box inside of the picture.

    >>> read_box(FormFields((("x0", "0"), ("y0", "50"), ("x1", "25"), ("y1", "100"))))
    (0.0, 0.5, 0.25, 1.0)
    """
    x0, y0, x1, y1 = (read_percent(name, fields.one(name)) for name in SIDES)
    if x0 >= x1 or y0 >= y1:
        raise InputError("the box has no area; its left is less than its right, and its top less than its bottom")
    return x0, y0, x1, y1


def read_percent(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= WHOLE:
        raise InputError(f"{SIDES[name]} {text[:40]!r}: expected a number from 0 to 100, in percent of the picture")
    return value / WHOLE
