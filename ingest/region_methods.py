"""`--regions`: its methods, and what an image must record for its regions to be those that the run would make."""

import re
from dataclasses import astuple, dataclass
from enum import StrEnum

from clip_vectorizer.boxes import CORNER_HEIGHT, CORNER_WIDTH, CORNERS
from clip_vectorizer.database.schema import StoredModel
from clip_vectorizer.errors import InputError
from clip_vectorizer.images.line_grid import LINE_GRID_VERSION
from ingest.choices import MAX_REGIONS
from ingest.coco import BoxFile, read_box_file
from ingest.items import GivenBoxes, StoredState
from ingest.sources.base import make_stamp

GRID = re.compile(r"(\d+)x(\d+)(?:,(.*))?")
DEFAULT_GRID = "3x3"
CORNER_SIZE = re.compile(r"(0?\.\d+)x(0?\.\d+)")
DEFAULT_CORNERS = f"{CORNER_WIDTH}x{CORNER_HEIGHT}"
LEAST_CORNER = 0.05  # of a side
BOX_FIELD = "boxes"  # of photo.json, unless the option names another
MAX_OVERLAP = 1.0
VERSION = 1  # of how crops are cut: another one makes every region anew
EXAMPLES = (
    "write none, grid, grid=4x2, grid=3x3,0.2, corners, corners=0.5x0.35, objects, boxes, boxes=FILE.json, "
    "boxes=FIELD or owlv2:MODEL"
)


class RegionKind(StrEnum):
    """How boxes are found. The names are those in the database."""

    NONE = "none"  # regions that an image has are removed
    GRID = "grid"
    CORNERS = "corners"
    OBJECTS = "objects"
    BOXES = "boxes"
    OWLV2 = "owlv2"


@dataclass(frozen=True, slots=True)
class RegionMethod:
    """What `--regions` and `--region-limit` name. Fields of other kinds have their defaults."""

    kind: RegionKind
    limit: int  # regions an image
    columns: int = 0
    rows: int = 0
    overlap: float = 0.0  # how much longer the sides of a grid's cells are, as a share
    width: float = 0.0  # of a corner, as a share of the picture's
    height: float = 0.0
    box_file: str = ""  # COCO detections
    field: str = ""  # of photo.json
    grounder: str = ""  # the model that the sidecar must find regions with

    @property
    def is_proposal(self) -> bool:
        """Whether the sidecar finds the boxes."""
        return self.kind in (RegionKind.OBJECTS, RegionKind.OWLV2)

    @property
    def parameters(self) -> tuple[object, ...]:
        """All that boxes and crops depend on, besides the picture, its given boxes and the models."""
        common = VERSION, str(self.kind), self.limit, self.columns, self.rows, self.overlap
        return (*common, self.width, self.height, LINE_GRID_VERSION) if self.kind is RegionKind.CORNERS else common


def parse_method(text: str, limit: int) -> RegionMethod:
    """Parse the value of `--regions`. Raises InputError.

    >>> method = parse_method("grid=4x2,0.25", 10)
    >>> method.columns, method.rows, method.overlap, method.limit
    (4, 2, 0.25, 8)
    """
    name, equals, value = text.partition("=")
    if name.startswith(f"{RegionKind.OWLV2}:"):
        return RegionMethod(RegionKind.OWLV2, limit, grounder=check_grounder(text))
    if name == RegionKind.GRID and (value or not equals):
        return parse_grid(text, value or DEFAULT_GRID)
    if name == RegionKind.CORNERS and (value or not equals):
        return parse_corners(text, value or DEFAULT_CORNERS)
    if name == RegionKind.BOXES and (value or not equals):
        return parse_boxes(value or BOX_FIELD, limit)
    if text in (RegionKind.NONE, RegionKind.OBJECTS):
        return RegionMethod(RegionKind(text), limit)
    raise InputError(f"--regions {text!r}: no such method; {EXAMPLES}")


def check_grounder(text: str) -> str:
    if not text.partition(":")[2]:
        raise InputError(f"--regions {text!r}: the model is missing; write owlv2:PATH-OR-HUB")
    return text


def parse_boxes(value: str, limit: int) -> RegionMethod:
    if value.lower().endswith(".json"):
        return RegionMethod(RegionKind.BOXES, limit, box_file=value)
    return RegionMethod(RegionKind.BOXES, limit, field=value)


def parse_grid(text: str, value: str) -> RegionMethod:
    """Raises InputError for a grid without cells, or of more than MAX_REGIONS."""
    parts = GRID.fullmatch(value)
    if parts is None:
        raise InputError(f"--regions {text!r}: a grid is COLUMNSxROWS[,OVERLAP], for example grid=3x3 or grid=4x2,0.25")
    columns, rows, overlap = int(parts[1]), int(parts[2]), parse_overlap(text, parts[3])
    if not 1 <= columns * rows <= MAX_REGIONS:
        raise InputError(
            f"--regions {text!r}: {columns * rows:,} regions an image; a grid has 1 to {MAX_REGIONS}, "
            "for example grid=3x3"
        )
    return RegionMethod(RegionKind.GRID, columns * rows, columns, rows, overlap)


def parse_corners(text: str, value: str) -> RegionMethod:
    """Raises InputError for anything but two shares below 1."""
    parts = CORNER_SIZE.fullmatch(value)
    width, height = (float(parts[1]), float(parts[2])) if parts else (0.0, 0.0)
    if min(width, height) < LEAST_CORNER:
        raise InputError(
            f"--regions {text!r}: corners are WIDTHxHEIGHT, shares of the picture's sides from "
            f"{LEAST_CORNER:g} to below 1, for example corners=0.5x0.35"
        )
    return RegionMethod(RegionKind.CORNERS, len(CORNERS), width=width, height=height)


def parse_overlap(text: str, value: str | None) -> float:
    try:
        overlap = 0.0 if value is None else float(value)
    except ValueError:
        overlap = -1.0
    if not 0 <= overlap <= MAX_OVERLAP:  # NaN is neither
        raise InputError(f"--regions {text!r}: the overlap is a share from 0 to 1, for example grid=3x3,0.25")
    return overlap


@dataclass(frozen=True, slots=True)
class RegionRecipe:
    """The method of a run, with everything that its regions depend on: equal stamps are equal regions."""

    method: RegionMethod
    digest: str
    box_file: BoxFile | None = None

    @classmethod
    def build(cls, method: RegionMethod, model: StoredModel, born: str, grounder: str = "") -> "RegionRecipe":
        """`born`: of the collection of regions, "" if there is none; `grounder`: the revision of the model that finds
        the boxes. Raises InputError for a file of boxes that cannot be read."""
        box_file = read_box_file(method.box_file) if method.box_file else None
        return cls(method, make_stamp(*method.parameters, *model.vector_space, born, grounder), box_file)

    def matches(self, key: str, stored: StoredState) -> bool:
        """Whether the stored regions are those that this run would make, as far as that is known without reading.

        What is not known, the fields of photo.json and a hash that is not stored, changes the stamp of the item too.
        """
        if self.method.kind is RegionKind.NONE:
            return not stored.regions
        if self.method.field or not stored.sha256:
            return stored.regions.startswith(f"{self.digest}-")
        return stored.regions == self.build_stamp(stored.sha256, self.find_boxes(key))

    def find_boxes(self, key: str, given: GivenBoxes | None = None) -> GivenBoxes | None:
        """The boxes of an image; `given`: those of its photo.json. None: they are found in the picture."""
        if self.method.kind is not RegionKind.BOXES:
            return None
        boxes = self.box_file.find(key) if self.box_file else given
        return boxes or GivenBoxes()

    def build_stamp(self, sha256: str, boxes: GivenBoxes | None) -> str:
        return f"{self.digest}-{make_stamp(sha256, boxes and astuple(boxes))}"
