"""/map: the images of the collection laid out so that like ones are near each other, in cells that lead closer."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import click
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clip_vectorizer.errors import InputError, VectorizerError
from clip_vectorizer.gallery.address import Address, make_image_path, make_path, make_thumbnail_path
from clip_vectorizer.gallery.facets import FACETS, list_other_filters, quote_value
from clip_vectorizer.gallery.map_address import MapAddress, MapBox
from clip_vectorizer.gallery.map_cells import (
    COLUMNS,
    HEIGHT,
    ROWS,
    WIDTH,
    Indices,
    MapCell,
    PointColour,
    colour_points,
    draw_points,
    find_inside,
    list_colours,
    part,
)
from clip_vectorizer.gallery.map_layout import METHODS, MapPlaces
from clip_vectorizer.gallery.map_store import COLOURS, SAMPLE, MapLayout, MapLayouts, compute_layout
from clip_vectorizer.gallery.pages import GalleryPages, lines_response
from clip_vectorizer.gallery.pictures import digest
from clip_vectorizer.gallery.results import Card, build_card, read_request
from clip_vectorizer.near_strings import suggest
from clip_vectorizer.query.async_image_search import AsyncImageSearch
from clip_vectorizer.query.cli.search_request import SearchCommandRequest
from clip_vectorizer.query.hits import StoredImage
from clip_vectorizer.terminal import escape_line

WAIT_SECONDS = 60.0  # of a program
PATIENCE_SECONDS = 1.0  # that a page waits for its map; then it shows "computing", and comes again
REFRESH_SECONDS = "2"
FEW = 40  # images that are also shown one by one
DENSE = 1_000  # points from which they are drawn smaller
LIKE = 5  # images in the middle, whose like a link looks for
OF_PLACE = ("group-by", "per-group", "offset", "after")  # of a search, not of its hits
TITLES = {"pca": "PCA", "umap": "UMAP"}


@dataclass(frozen=True, slots=True)
class MapMark:
    """The hits of a search on the map."""

    places: tuple[tuple[float, float], ...] = ()
    missing: int = 0  # hits that this layout does not have
    problem: str = ""  # why the search failed


@dataclass(frozen=True, slots=True)
class MapTile:
    """A cell on the page."""

    cell: MapCell
    path: str
    picture: str  # address of the thumbnail, "" without one
    name: str  # of the image in the middle
    mostly: str
    marked: int  # hits of the search in it


@dataclass(frozen=True, slots=True)
class ColourLine:
    """A line of the legend. `path`: the map of the images with this value, "" where there is none."""

    title: str
    count: int
    path: str
    kind: str  # the class of its colour


class MapPages(GalleryPages):
    """/map, and /map.json with the places."""

    @property
    def routes(self) -> list[Route]:
        return [Route("/map", self.show_map), Route("/map.json", self.show_places)]

    async def show_map(self, request: Request) -> Response:
        """The page. While its layout is computed it says so, and the browser loads it again."""
        address = MapAddress()
        try:
            address = MapAddress.parse(request.url.query)
            search = await self.gallery.connection.open(address.search)
            total = await search.count(list(address.filters))
            layout, computing = await read_layout(self, address, search, total, PATIENCE_SECONDS)
            shown = await self.describe_map(address, layout, search) if layout and layout.images else {}
        except (VectorizerError, click.UsageError) as error:
            return await self.respond_to_error(error, address=address.search)
        page = self.render(
            "map.html",
            200,
            address.search,
            place=address,
            layout=layout,
            computing=computing,
            total=total,
            sample=min(total, SAMPLE),
            filters=[(escape_line(each), remove_filter(address, each)) for each in address.filters],
            methods=[(TITLES[each], each == address.layout, str(address.laid_out_by(each))) for each in METHODS],
            **shown,
        )
        if computing and layout is None:
            page.headers["Refresh"] = REFRESH_SECONDS
        return page

    async def describe_map(self, address: MapAddress, layout: MapLayout, search: AsyncImageSearch) -> dict[str, object]:
        """Return what the template shows of a layout with images."""
        colours = list_colours(layout)
        colour = choose_colour(address.colour, colours)
        cells = part(layout, address.box, colour) if address.box.can_be_parted else []
        inside = find_inside(layout, address.box)
        mark, stored = await asyncio.gather(
            self.find_marks(address, layout, search),
            self.read_images(layout, [cell.nearest for cell in cells], search),
        )
        few = inside if len(inside) <= FEW and not address.box.is_whole else inside[:0]
        cards = await self.read_images(layout, few.tolist(), search)
        points = colour_points(layout, colour)
        return {
            "tiles": [build_tile(address, layout, cell, stored, mark) for cell in cells],
            "columns": COLUMNS,
            "inside": len(inside),
            "cards": [build_map_card(address, cards[index]) for index in few.tolist() if index in cards],
            "points": draw_points(layout, points),
            "is_dense": len(layout.images) > DENSE,
            "legend": [build_line(address, colour, each) for each in points],
            "rings": [(round(x * WIDTH), round(y * HEIGHT)) for x, y in mark.places],
            "mark": mark,
            "size": (WIDTH, HEIGHT),
            "frame": draw_frame(address.box),
            "colour": FACETS.get(colour, ""),
            "colours": [(FACETS[each], each == colour, str(address.coloured_by(each))) for each in colours],
            "steps": list_steps(address),
            "like": make_path(list_like(address, layout, inside)) if len(inside) and not address.box.is_whole else "",
        }

    async def read_images(
        self, layout: MapLayout, indices: Sequence[int], search: AsyncImageSearch
    ) -> Mapping[int, StoredImage]:
        """Return images with their thumbnails, those that are still there."""
        by_id = {layout.images[index].id: index for index in indices}
        found = [image async for image in search.stored_images(list(by_id), include_thumbnail=True)]
        self.gallery.thumbnails.keep(found, search)
        return {by_id[image.id]: image for image in found}

    async def find_marks(self, address: MapAddress, layout: MapLayout, search: AsyncImageSearch) -> MapMark:
        """Return where the hits of the address's search are. A search that fails leaves the map as it is."""
        if not address.search.has_query:
            return MapMark()
        plain = Address(tuple(pair for pair in address.search.pairs if pair[0] not in OF_PLACE))
        try:
            request = read_request(plain, self.gallery.uploads, search)
            assert isinstance(request, SearchCommandRequest), "an address with a query lists nothing"
            arguments = {**request.arguments, "include_vector": True}
            hits = await self.gallery.connection.watch(
                search.find(request.query, **arguments)  # type: ignore[arg-type]
            )
        except (VectorizerError, click.UsageError) as error:
            return MapMark(problem=(await self.describe(error))[0])
        places = layout.place([hit.id for hit in hits], [hit.vector for hit in hits])
        known = tuple(place for place in places if place is not None)
        return MapMark(known, len(places) - len(known))

    async def show_places(self, request: Request) -> Response:
        """One line for each image inside of the box: its path, its id and its place. Waits for the layout."""
        try:
            address = MapAddress.parse(request.url.query)
            search = await self.gallery.connection.open(address.search)
            total = await search.count(list(address.filters))
            layout, computing = await read_layout(self, address, search, total, WAIT_SECONDS)
            if layout is None or computing:
                raise InputError("the map is still being computed; ask again in a while")
        except (VectorizerError, click.UsageError) as error:
            return await self.respond_in_json(error)
        rows = (
            {
                "path": (image := layout.images[index]).path,
                "id": image.id,
                **image.values,
                "x": round(float(layout.places_n2[index, 0]), 6),
                "y": round(float(layout.places_n2[index, 1]), 6),
            }
            for index in find_inside(layout, address.box).tolist()
        )
        return lines_response(rows)


async def read_layout(
    pages: GalleryPages, address: MapAddress, search: AsyncImageSearch, total: int, patience_seconds: float
) -> tuple[MapLayout | None, bool]:
    """Return the layout of an address, as MapLayouts.read does. Its connection is opened when its turn comes."""
    connection = pages.gallery.connection
    layouts: MapLayouts = pages.gallery.layouts

    async def make() -> MapLayout:
        opened = await connection.open(address.search)
        return await connection.watch(compute_layout(opened, address.filters, address.layout, total, layouts.umap))

    return await layouts.read((search.partition, address.filters, address.layout), total, make, patience_seconds)


def choose_colour(name: str, colours: Sequence[str]) -> str:
    """Return the property that colours the points, "" where none has several values. Raises InputError."""
    if name and name not in COLOURS:
        near = suggest(name, COLOURS)
        raise InputError(f"colour={name}: {near or ''}choose one of {', '.join(COLOURS)}, or remove it", near)
    return name if name in colours else next(iter(colours), "")


def remove_filter(address: MapAddress, expression: str) -> str:
    return str(address.narrowed([each for each in address.filters if each != expression]))


def build_tile(
    address: MapAddress, layout: MapLayout, cell: MapCell, stored: Mapping[int, StoredImage], mark: MapMark
) -> MapTile:
    """A cell with one image leads to its page, others to their part of the map."""
    image = layout.images[cell.nearest]
    version = digest(stored[cell.nearest].thumbnail) if cell.nearest in stored else ""
    return MapTile(
        cell,
        make_image_path(image.id, address.search) if cell.count == 1 else str(address.at(cell.box)),
        make_thumbnail_path(image.id, version, address.search) if version else "",
        escape_line(image.caption or image.path),
        escape_line(cell.mostly),
        sum(is_inside(place, cell.box) for place in mark.places),
    )


def is_inside(place: tuple[float, float], box: MapBox) -> bool:
    x, y = place
    return box.x0 <= x and box.y0 <= y and (x < box.x1 or box.x1 == 1) and (y < box.y1 or box.y1 == 1)


def build_map_card(address: MapAddress, image: StoredImage) -> Card:
    """A card without links to a changed search: there is none here."""
    return replace(build_card(image, address.search), add="", subtract="")


def build_line(address: MapAddress, colour: str, points: PointColour) -> ColourLine:
    if points.kind in ("cr", "cn"):
        title = points.value or (f"no {FACETS[colour].lower()}" if colour else "images")
        return ColourLine(title, points.count, "", points.kind)
    filters = (*list_other_filters(address.search, colour), f"{colour}={quote_value(points.value)}")
    return ColourLine(escape_line(points.value), points.count, str(address.narrowed(filters)), points.kind)


def list_steps(address: MapAddress) -> list[tuple[str, str]]:
    """Return the ways from this part of the map to others: title and address."""
    box = address.box
    if box.is_whole:
        return []
    sides = {"Left": box.moved(-1, 0), "Right": box.moved(1, 0), "Up": box.moved(0, -1), "Down": box.moved(0, 1)}
    beside = [(title, str(address.at(each))) for title, each in sides.items() if each != box]
    return [
        ("Whole map", str(address.at(MapBox()))),
        ("Zoom out", str(address.at(box.grown(COLUMNS, ROWS)))),
        *beside,
    ]


def list_like(address: MapAddress, layout: MapLayout, inside: Indices) -> Address:
    """Return the search for images like those in the middle of a part of the map, with its filters."""
    box = address.box
    places: MapPlaces = layout.places_n2[inside]
    distances = ((places - ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)) ** 2).sum(axis=1)
    ids = [layout.images[index].id for index in inside[distances.argsort(kind="stable")[:LIKE]].tolist()]
    return Address(
        (*address.search.start.pairs, *(("like", id) for id in ids), *(("where", each) for each in address.filters))
    )


def draw_frame(box: MapBox) -> tuple[float, float, float, float] | None:
    """Return x, y, width and height of a part in the drawing of all points, None for the whole."""
    if box.is_whole:
        return None
    x, y = box.x0 * WIDTH, box.y0 * HEIGHT
    return round(x, 2), round(y, 2), round(box.x1 * WIDTH - x, 2), round(box.y1 * HEIGHT - y, 2)
