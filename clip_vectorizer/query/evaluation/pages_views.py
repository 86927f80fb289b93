"""Pages as they are looked at: drawn once, upright on white, then cut in three ways and measured.

H, W pixels · D numbers of a page
"""

import hashlib
import io
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pypdfium2
from PIL import Image

from clip_vectorizer.boxes import CORNER_HEIGHT, CORNER_WIDTH
from clip_vectorizer.database.schema import (
    CHARACTERS,
    EMBEDDED_IMAGES,
    INK,
    PAGE_HEIGHT,
    PAGE_WIDTH,
    PATH_SEGMENTS,
)
from clip_vectorizer.errors import InputError
from clip_vectorizer.images.line_grid import LineGrid, measure_line_grid
from clip_vectorizer.images.pdf_files import OpenDocument, open_document
from clip_vectorizer.images.pdf_objects import count_objects
from clip_vectorizer.query.evaluation.dataset import Progress
from clip_vectorizer.query.evaluation.pages_corpus import PageRecord
from clip_vectorizer.region_crops import center_on_square
from clip_vectorizer.vectors import Vectors

VIEWS_VERSION = 1  # of what is kept: another one draws every page anew
DRAWN_SIDE = 1600  # pixels of the longer side: an A3 sheet at about 100 dots per inch
SENT_SIDE = 512  # of a square that is sent: twice what most models look at
JPEG_QUALITY = 95
CENTRE, PADDED, CORNER = "centre crop", "padded page", "corner"
VIEWS = (CENTRE, PADDED, CORNER)
DARK = 128  # grey level of ink, of 255
THUMBNAIL, CELLS, ANGLES = 16, 8, 9  # of the rows that look at pixels alone


@dataclass(frozen=True, slots=True)
class PageView:
    """A page that was drawn; its squares are files next to each other."""

    record: PageRecord
    stem: Path
    facts: Mapping[str, float]
    line_grid: LineGrid

    @property
    def key(self) -> str:
        return self.stem.name

    def read(self, view: str) -> bytes:
        return find_square(self.stem, view).read_bytes()


def find_square(stem: Path, view: str) -> Path:
    return stem.with_name(f"{stem.name}-{view.split()[0]}.jpg")


def draw_corpus(
    corpus: Path, records: Sequence[PageRecord], folder: Path, progress: Progress
) -> tuple[list[PageView], list[tuple[str, str]]]:
    """Draw what `folder` does not have yet. Return the pages, and the names of those left out with their reasons."""
    pages: list[PageView] = []
    left_out: list[tuple[str, str]] = []
    by_file: dict[str, list[PageRecord]] = defaultdict(list)
    for record in records:
        by_file[record.path].append(record)
    for path, wanted in by_file.items():
        progress(f"drawing pages: {len(pages)} of {len(records)}")
        for record, result in zip(wanted, draw_file(corpus / path, wanted, folder), strict=True):
            if isinstance(result, str):
                left_out.append((record.name, result))
            else:
                pages.append(result)
    return pages, left_out


def draw_file(file: Path, records: Sequence[PageRecord], folder: Path) -> Iterator[PageView | str]:
    """Yield each page, or why it cannot be drawn."""
    try:
        data = file.read_bytes()
    except OSError as error:
        yield from [f"the file cannot be read ({error.strerror})"] * len(records)
        return
    digest = hashlib.sha256(data).hexdigest()[:24]
    opened: OpenDocument | None = None
    for record in records:
        stem = folder / f"{digest}-{record.page}-v{VIEWS_VERSION}"
        if (kept := read_kept(record, stem)) is not None:
            yield kept
            continue
        try:
            opened = opened or open_document(io.BytesIO(data))
            yield draw_page(opened, record, stem)
        except InputError as error:
            yield str(error)
    if opened is not None:
        opened.close()


def read_kept(record: PageRecord, stem: Path) -> PageView | None:
    """Return a page that was drawn before; None if it was not, or only a part of it is there."""
    with suppress(OSError, ValueError, KeyError):
        kept = json.loads(stem.with_name(f"{stem.name}.json").read_text(encoding="utf-8"))
        grid = LineGrid.from_text(kept["line_grid"])
        is_complete = all(find_square(stem, view).is_file() for view in VIEWS)
        if is_complete and grid is not None and grid.text_layout is not None:
            return PageView(record, stem, kept["facts"], grid)
    return None


def draw_page(opened: OpenDocument, record: PageRecord, stem: Path) -> PageView:
    """Raises InputError for a page that cannot be drawn."""
    with opened.open_page(record.page) as page:
        picture: Image.Image = page.render(scale=DRAWN_SIDE / max(page.get_size())).to_pil().convert("RGB")
        facts = measure_facts(page, picture)
    corner = cut_corner(picture)
    squares = {CENTRE: cut_centre(picture), PADDED: center_on_square(picture), CORNER: center_on_square(corner)}
    for name, square in squares.items():
        find_square(stem, name).write_bytes(encode_jpeg(square))
    view = PageView(record, stem, facts, measure_line_grid(corner))
    text = json.dumps({"facts": facts, "line_grid": view.line_grid.to_text(), "page": asdict(record)})
    stem.with_name(f"{stem.name}.json").write_text(text, encoding="utf-8")  # last: the page is complete
    return view


def cut_centre(picture: Image.Image) -> Image.Image:
    """Return the square in the middle: what a model that crops sees of a page."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.crop((left, top, left + side, top + side))


def cut_corner(picture: Image.Image) -> Image.Image:
    """Return the lower right, where title blocks are."""
    left, top = round(picture.width * (1 - CORNER_WIDTH)), round(picture.height * (1 - CORNER_HEIGHT))
    return picture.crop((min(left, picture.width - 1), min(top, picture.height - 1), picture.width, picture.height))


def encode_jpeg(square: Image.Image) -> bytes:
    file = io.BytesIO()
    square.resize((SENT_SIDE, SENT_SIDE), Image.Resampling.LANCZOS).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


def measure_facts(page: pypdfium2.PdfPage, picture: Image.Image) -> dict[str, float]:
    """Return what is known of a page without a look at it, and its share of dark pixels."""
    counts = count_objects(page)
    text = page.get_textpage()
    characters = text.count_chars()
    text.close()
    width, height = page.get_size()
    dark = sum(picture.convert("L").histogram()[:DARK]) / (picture.width * picture.height)
    counted = {PATH_SEGMENTS: counts.segments, EMBEDDED_IMAGES: counts.images, CHARACTERS: characters}
    return {**counted, PAGE_WIDTH: round(width, 1), PAGE_HEIGHT: round(height, 1), INK: round(dark, 6)}


def stack_facts(pages: Sequence[PageView], names: Sequence[str]) -> Vectors:
    """(N, D): the facts by name, as logarithms, since a count of 1,000 is to 100 as 100 is to 10."""
    rows = [[page.facts[name] for name in names] for page in pages]
    return np.asarray(np.log(np.asarray(rows) + 1e-3), dtype=np.float32)


def measure_pixels(square: bytes) -> Vectors:
    """(D,): grey levels of a thumbnail, and a histogram of the directions of edges in each of 8 x 8 cells.

    The histograms are those of Dalal and Triggs 2005 without blocks: 9 directions of 0 to 180 degrees.
    """
    with Image.open(io.BytesIO(square)) as opened:
        grey = opened.convert("L")
    small = np.asarray(grey.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX), dtype=np.float32) / 255
    side = 16 * CELLS
    levels = np.asarray(grey.resize((side, side), Image.Resampling.BOX), dtype=np.float32) / 255
    dy, dx = np.gradient(levels)
    bins = ((np.arctan2(dy, dx) % np.pi) * (ANGLES / np.pi)).astype(np.intp) % ANGLES
    cells = np.arange(side) // 16
    places = (cells[:, None] * CELLS + cells) * ANGLES + bins
    edges = np.bincount(places.ravel(), weights=np.hypot(dx, dy).ravel(), minlength=CELLS * CELLS * ANGLES)
    return np.concatenate([small.ravel(), np.sqrt(edges)]).astype(np.float32)
