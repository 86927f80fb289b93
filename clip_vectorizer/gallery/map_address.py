"""The address of the map: that of a search, and beside it the part of the map, the layout and the colours."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import parse_qsl, urlencode

from clip_vectorizer.errors import InputError
from clip_vectorizer.gallery.address import MAX_LENGTH, MAX_PARAMETERS, Address
from clip_vectorizer.gallery.map_layout import PCA, check_method

BOX, LAYOUT, COLOUR = NAMES = ("box", "layout", "colour")
DECIMALS = 6  # of a box: links and cells have the same edges
SMALLEST = 1e-4  # width of a box that is still parted


@dataclass(frozen=True, slots=True)
class MapBox:
    """A part of the map: 0..1 from its top left. Its lower edges are inside, its upper ones only at the map's end."""

    x0: float = 0.0
    y0: float = 0.0
    x1: float = 1.0
    y1: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises InputError for anything but four numbers in order."""
        try:
            x0, y0, x1, y1 = (round(float(each), DECIMALS) for each in text.split(","))
        except (ValueError, OverflowError):
            raise InputError(f"box={text}: expected x0,y0,x1,y1, such as 0.25,0.5,0.5,1; or remove it") from None
        if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
            raise InputError(f"box={text}: expected 0 <= x0 < x1 <= 1, and the same of y; or remove it")
        return cls(x0, y0, x1, y1)

    @property
    def is_whole(self) -> bool:
        return self == MapBox()

    @property
    def can_be_parted(self) -> bool:
        return min(self.x1 - self.x0, self.y1 - self.y0) > SMALLEST

    def grown(self, columns: int, rows: int) -> "MapBox":
        """The part of which this may be one cell of `columns` x `rows`, as far as the map goes."""
        x0, x1 = grow(self.x0, self.x1, columns)
        y0, y1 = grow(self.y0, self.y1, rows)
        return MapBox(x0, y0, x1, y1)

    def moved(self, right: int, down: int) -> "MapBox":
        """The part beside it, `right` and `down` half its size, as far as the map goes."""
        x0, x1 = move(self.x0, self.x1, right)
        y0, y1 = move(self.y0, self.y1, down)
        return MapBox(x0, y0, x1, y1)

    def __str__(self) -> str:
        return ",".join(f"{each:.{DECIMALS}f}".rstrip("0").rstrip(".") for each in (self.x0, self.y0, self.x1, self.y1))


def grow(low: float, high: float, factor: int) -> tuple[float, float]:
    """
    >>> grow(0.5, 0.625, 8), grow(0.25, 0.5, 2)
    ((0.0, 1.0), (0.125, 0.625))
    """
    size = min(1.0, (high - low) * factor)
    start = min(max(0.0, (low + high - size) / 2), 1 - size)
    return round(start, DECIMALS), round(start + size, DECIMALS)


def move(low: float, high: float, by: int) -> tuple[float, float]:
    """
    >>> move(0.25, 0.5, 1), move(0.75, 1, 1)
    ((0.375, 0.625), (0.75, 1))
    """
    step = min(max(by * (high - low) / 2, -low), 1 - high)
    return (round(low + step, DECIMALS), round(high + step, DECIMALS)) if step else (low, high)


@dataclass(frozen=True, slots=True)
class MapAddress:
    """What a page of the map shows. `colour`: the property that colours the points, "" for the first that has values.

    >>> address = MapAddress.parse("where=label%3Dfruit&box=0,0,0.5,0.5")
    >>> address.box, str(address.search), str(address.at(MapBox()))
    (MapBox(x0=0.0, y0=0.0, x1=0.5, y1=0.5), 'where=label%3Dfruit', '/map?where=label%3Dfruit')
    """

    search: Address = field(default_factory=Address)
    box: MapBox = field(default_factory=MapBox)
    layout: str = PCA
    colour: str = ""

    @classmethod
    def parse(cls, query_string: str) -> Self:
        """Raises InputError for parameters that do not exist, and for values that cannot be used."""
        if len(query_string) > MAX_LENGTH:
            Address.parse(query_string)  # raises
        try:
            pairs = parse_qsl(query_string, max_num_fields=MAX_PARAMETERS)
        except ValueError:
            pairs = []  # Address.parse raises
        own = {name: value for name, value in pairs if name in NAMES and value.strip()}
        rest = urlencode([pair for pair in pairs if pair[0] not in NAMES]) if pairs else query_string
        box = MapBox.parse(own[BOX]) if BOX in own else MapBox()
        layout = own.get(LAYOUT, PCA)
        check_method(layout)
        return cls(Address.parse(rest), box, layout, own.get(COLOUR, ""))

    @property
    def filters(self) -> tuple[str, ...]:
        return self.search.all("where")

    def at(self, box: MapBox) -> "MapAddress":
        return replace(self, box=box)

    def laid_out_by(self, layout: str) -> "MapAddress":
        """The whole map in another layout: its parts are others."""
        return replace(self, layout=layout, box=MapBox())

    def coloured_by(self, colour: str) -> "MapAddress":
        return replace(self, colour=colour)

    def narrowed(self, filters: Sequence[str]) -> "MapAddress":
        """The whole map of the images that match these filters."""
        return replace(self, search=self.search.with_only("where", *filters), box=MapBox())

    def format_path(self, path: str = "/map") -> str:
        own = {
            BOX: "" if self.box.is_whole else str(self.box),
            LAYOUT: "" if self.layout == PCA else self.layout,
            COLOUR: self.colour,
        }
        query = urlencode([*self.search.pairs, *((name, value) for name, value in own.items() if value)])
        return f"{path}?{query}" if query else path

    def __str__(self) -> str:
        return self.format_path()
