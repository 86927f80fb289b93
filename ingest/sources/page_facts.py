"""What is on a page of a PDF file, besides its picture: PDFium's numbers, while the page is open to be drawn.

A scan has no path segments and no characters, unless a program read its text; a technical drawing has thousands of
segments for each hundred characters.
"""

import ctypes
from dataclasses import asdict, dataclass

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium

from clip_vectorizer.boxes import CORNER_HEIGHT, CORNER_WIDTH
from clip_vectorizer.database import schema
from clip_vectorizer.images.pdf_objects import count_objects
from ingest.items import MetadataValue
from ingest.page_pixels import PagePixels

DARK = 128  # of 255
INK_STEP = 4  # every fourth pixel of every fourth row is counted: all of them take as long as a tenth of the drawing
MAX_BLOCK_CHARACTERS = 2000
MAX_TEXT_CHARACTERS = 200_000  # of a page whose words are looked for
GRID = 10_000  # steps of a side of the page, for PDFium's conversion of places


@dataclass(frozen=True, slots=True)
class PageFacts:
    """Fields are those properties in the database."""

    path_segments: int  # lines and curves; at least so many where there are more than MAX_OBJECTS objects
    embedded_images: int
    characters: int  # of the text layer, spaces included
    block_text: str  # its words at the lower right of the upright page
    page_width: float  # points, as the page is seen: turned, and cut by its CropBox
    page_height: float
    ink: float = 0.0  # share of dark pixels

    def to_metadata(self) -> dict[str, MetadataValue]:
        """Return the properties. A page without words at its lower right has no `block_text`."""
        values: dict[str, MetadataValue] = asdict(self)
        if not self.block_text:
            del values[schema.BLOCK_TEXT]
        return values


def read_page_facts(page: pypdfium2.PdfPage) -> PageFacts:
    """Return what PDFium knows of an open page, without drawing it. Holds no lock: see PDFIUM_LOCK."""
    counts = count_objects(page)
    characters, block_text = read_text_facts(page)
    width, height = page.get_size()
    return PageFacts(counts.segments, counts.images, characters, block_text, round(width, 1), round(height, 1))


def measure_ink(pixels: PagePixels) -> float:
    """Return the share of dark pixels of a drawn page, 0..1."""
    levels = pixels.greens[::INK_STEP, ::INK_STEP]
    return round(int(np.count_nonzero(levels < DARK)) / int(levels.size), 6)


def read_text_facts(page: pypdfium2.PdfPage) -> tuple[int, str]:
    """Return the number of characters, and the words of the lower right block."""
    text = pdfium.FPDFText_LoadPage(page)
    if not text:
        return 0, ""
    try:
        characters = max(0, pdfium.FPDFText_CountChars(text))
        return characters, read_block(page, text) if 0 < characters <= MAX_TEXT_CHARACTERS else ""
    finally:
        pdfium.FPDFText_ClosePage(text)


def read_block(page: pypdfium2.PdfPage, text: object) -> str:
    left, bottom, right, top = find_block(page)
    buffer = (ctypes.c_ushort * MAX_BLOCK_CHARACTERS)()
    pdfium.FPDFText_GetBoundedText(text, left, top, right, bottom, buffer, MAX_BLOCK_CHARACTERS)
    return clean_text(bytes(buffer).decode("utf-16-le", "ignore"))


def find_block(page: pypdfium2.PdfPage) -> tuple[float, float, float, float]:
    """Return left, bottom, right, top of the lower right of the page as it is seen, in the page's own points.

    A turned page is written along another side than it is read.
    """
    places = [to_page(page, x, y) for x, y in ((1 - CORNER_WIDTH, 1 - CORNER_HEIGHT), (1.0, 1.0))]
    xs, ys = zip(*places, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def to_page(page: pypdfium2.PdfPage, x: float, y: float) -> tuple[float, float]:
    """Return the place of shares of the upright page, from its top left, in points of the page."""
    page_x, page_y = ctypes.c_double(), ctypes.c_double()
    pdfium.FPDF_DeviceToPage(page, 0, 0, GRID, GRID, 0, round(x * GRID), round(y * GRID), page_x, page_y)
    return page_x.value, page_y.value


def clean_text(text: str) -> str:
    """Return the printable words on one line; PDFium ends lines with CR LF and marks hyphens by U+0002.

    >>> clean_text("Motor\\r\\nShaft\\x00\\x00")
    'Motor Shaft'
    """
    kept = "".join(each if each.isprintable() or each.isspace() else "" for each in text)
    return " ".join(kept.split())
