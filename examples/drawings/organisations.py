"""24 organisations, each with habits of its own: title block, fonts, logo, frame, language, arrows, numbers.

They do not depend on a corpus's seed, so a model trained on one corpus can be tested on another. A third of them occurs
only in test pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from random import Random

from examples.drawings.names import make_person, make_word

ORGANISATIONS = 24
TEST_EVERY = 3  # each third organisation is in test pages only: 8 of 24
FONTS = (  # text, bold
    ("Helvetica", "Helvetica-Bold"),
    ("Times-Roman", "Times-Bold"),
    ("Courier", "Courier-Bold"),
    ("Helvetica-Oblique", "Helvetica-BoldOblique"),
    ("DejaVuSans", "DejaVuSans-Bold"),
    ("DejaVuSansMono", "DejaVuSansMono"),
    ("DejaVuSerif", "DejaVuSerif"),
    ("STIXGeneral", "STIXGeneral"),
    ("DejaVuSans-Oblique", "DejaVuSans-Bold"),
)
FRAMES = ("iso", "single", "double", "corners", "ticks", "wide", "round", "plain")
ARROWS = ("filled", "open", "slash", "dot", "hollow")
LANGUAGES = ("en", "de", "en", "fr")  # not a multiple of TEST_EVERY, so all of them are in both splits
DATES = {"en": ("%d %b %Y", "%m/%d/%Y", "%Y-%m-%d"), "de": ("%d.%m.%Y", "%d.%m.%y"), "fr": ("%d/%m/%Y", "%d-%m-%Y")}
ENDINGS = {"en": ("Ltd", "Inc.", "Engineering", "Works"), "de": ("GmbH", "AG", "KG"), "fr": ("SA", "SARL", "S.A.S.")}
FIELDS = (  # by importance: the largest cells get the first
    *("title", "number", "material", "scale", "date", "drawn", "checked", "sheet", "revision", "approved"),
    *("mass", "tolerance", "format", "surface", "project", "replaces", "customer", "file"),
)
LOGO, COMPANY = "logo", "company"


@dataclass(frozen=True, slots=True)
class BlockCell:
    """A cell of a title block: shares of the block's width and height from its lower left corner."""

    x0: float
    y0: float
    x1: float
    y1: float
    field: str = ""

    @property
    def size(self) -> float:
        return (self.x1 - self.x0) * (self.y1 - self.y0)


@dataclass(frozen=True, slots=True)
class Organisation:
    index: int
    name: str
    language: str
    font: str
    bold: str
    capitals: bool  # labels of the fields
    labels: str  # where a field's label stands: top, left, below, none
    block_width: float  # mm
    block_height: float  # mm
    cells: tuple[BlockCell, ...]
    inner_line: float  # mm, between cells
    outer_line: float  # mm, around the block
    logo: str  # seed of its shape
    frame: str
    arrows: str
    comma: bool  # in numbers, for the point
    first_angle: bool  # projection
    numbers: str  # pattern of drawing numbers
    dates: str
    people: tuple[str, ...]
    line_scale: float  # of all line widths
    text_size: float  # mm, of dimensions
    text_above: bool  # dimension texts above the line, not in a gap of it
    hatch_angle: float  # degrees
    hatch_step: float  # mm
    revisions: bool  # a table above the block

    @property
    def slug(self) -> str:
        return self.name.split()[0].lower()

    @property
    def in_test(self) -> bool:
        return self.index % TEST_EVERY == 1


@cache
def list_organisations() -> tuple[Organisation, ...]:
    return tuple(make_organisation(index) for index in range(ORGANISATIONS))


def make_organisation(index: int) -> Organisation:
    rng = Random(f"organisation {index}")
    language = LANGUAGES[index % len(LANGUAGES)]
    font, bold = FONTS[index % len(FONTS)]
    word = make_word(rng).capitalize()
    height = rng.choice((28.0, 32.0, 36.0, 42.0, 48.0, 56.0))
    return Organisation(
        index=index,
        name=f"{word} {rng.choice(ENDINGS[language])}",
        language=language,
        font=font,
        bold=bold,
        capitals=rng.random() < 0.4,
        labels=rng.choice(("top", "top", "left", "below")),
        block_width=rng.choice((110.0, 130.0, 150.0, 170.0, 180.0)),
        block_height=height,
        cells=assign_fields(split_block(rng, height), rng),
        inner_line=rng.choice((0.18, 0.25, 0.35)),
        outer_line=rng.choice((0.35, 0.5, 0.7, 1.0)),
        logo=f"logo {index}",
        frame=FRAMES[(index * 5 + index // 8) % len(FRAMES)],
        arrows=ARROWS[index % len(ARROWS)],
        comma=language != "en",
        first_angle=language != "en" or rng.random() < 0.3,
        numbers=make_pattern(rng, word),
        dates=rng.choice(DATES[language]),
        people=tuple(make_person(rng) for _ in range(6)),
        line_scale=rng.choice((0.7, 0.85, 1.0, 1.2)),
        text_size=rng.choice((3.5, 3.8, 4.2)),
        text_above=rng.random() < 0.7,
        hatch_angle=rng.choice((45.0, 45.0, 135.0)),
        hatch_step=rng.choice((2.0, 2.5, 3.0)),
        revisions=rng.random() < 0.35,
    )


def make_pattern(rng: Random, word: str) -> str:
    """Drawing numbers begin with letters of the organisation, so they never repeat between two."""
    letters = word[:3].upper() if rng.random() < 0.5 else (word[0] + word[-1]).upper()
    return letters + rng.choice(("-####.###", ".##.####", " #####-@", "/####/##", "-@@-#####", "####-##-##"))


def split_block(rng: Random, height: float) -> list[BlockCell]:
    """Cells that tile the block: a logo at one side, perhaps a table of signatures, and rows of fields."""
    cells: list[BlockCell] = []
    x0, y0, x1, y1 = 0.0, 0.0, 1.0, 1.0
    side = rng.choice(("left", "right", "top", "corner"))
    share = rng.uniform(0.2, 0.34)
    if side == "left":
        cells += split_logo(rng, 0, 0, share, 1)
        x0 = share
    elif side == "right":
        cells += split_logo(rng, 1 - share, 0, 1, 1)
        x1 = 1 - share
    elif side == "top":
        y1 = 1 - rng.uniform(0.24, 0.36)
        cells += [BlockCell(0, y1, share, 1, LOGO), BlockCell(share, y1, 1, 1, COMPANY)]
    else:
        middle = rng.uniform(0.45, 0.6)
        cells += [BlockCell(0, middle, share, 1, LOGO), BlockCell(0, 0, share, middle, COMPANY)]
        x0 = share
    rows = max(2, min(6, round(height * (y1 - y0) / rng.uniform(8.5, 11))))
    cells += split_rows(rng, (x0, y0, x1, y1), rows)
    return cells


def split_logo(rng: Random, x0: float, y0: float, x1: float, y1: float) -> list[BlockCell]:
    border = y0 + (y1 - y0) * rng.uniform(0.3, 0.5)
    if rng.random() < 0.5:
        return [BlockCell(x0, border, x1, y1, LOGO), BlockCell(x0, y0, x1, border, COMPANY)]
    border = y1 - (border - y0)
    return [BlockCell(x0, y0, x1, border, LOGO), BlockCell(x0, border, x1, y1, COMPANY)]


def split_rows(rng: Random, area: tuple[float, float, float, float], rows: int) -> list[BlockCell]:
    x0, y0, x1, y1 = area
    borders = split_span(rng, y0, y1, rows, 0.35)
    columns = [rng.choice((1, 2, 2, 3, 3, 4)) for _ in range(rows)]
    if rng.random() < 0.4:  # a table of signatures: rows that are divided alike
        columns[: max(2, rows // 2)] = [3] * max(2, rows // 2)
    cells: list[BlockCell] = []
    previous: list[float] = []
    for low, high, number in zip(borders, borders[1:], columns, strict=False):
        uprights = previous if len(previous) == number + 1 else split_span(rng, x0, x1, number, 0.4)
        previous = uprights
        cells += [BlockCell(left, low, right, high) for left, right in pairwise(uprights)]
    return cells


def split_span(rng: Random, start: float, end: float, parts: int, spread: float) -> list[float]:
    """The borders of `parts` parts of about the same length."""
    lengths = [1 + rng.uniform(-spread, spread) for _ in range(parts)]
    borders = [start]
    for length in lengths:
        borders.append(borders[-1] + length / sum(lengths) * (end - start))
    return [*borders[:-1], end]


def assign_fields(cells: list[BlockCell], rng: Random) -> tuple[BlockCell, ...]:
    """The title and the number into the two largest cells; the others in a random order of their importance."""
    free = sorted((cell for cell in cells if not cell.field), key=lambda cell: -cell.size)
    fields = [*FIELDS[:2], *rng.sample(FIELDS[2:10], 8), *rng.sample(FIELDS[10:], 8)]
    named = dict(zip(free, fields, strict=False))
    return tuple(
        cell if cell.field else BlockCell(cell.x0, cell.y0, cell.x1, cell.y1, named.get(cell, "")) for cell in cells
    )
