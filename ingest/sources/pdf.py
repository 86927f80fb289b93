"""Pages of PDF files as images.

PDFium is not thread-safe: every call holds `PDFIUM_LOCK`. What is made of a page is made outside of it, so that the
next one is drawn meanwhile; large grey pages lose three of their four bytes a pixel before it is released.
"""

import math
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from clip_vectorizer.errors import InputError
from clip_vectorizer.images.pdf_files import PDFIUM_LOCK, OpenDocument, Passwords, check_page_size, open_document
from ingest.items import UnusableFile
from ingest.page_pixels import PagePixels, PageRows
from ingest.sources.base import FileEntry
from ingest.sources.page_facts import PageFacts, measure_ink, read_page_facts
from ingest.sources.reading import MAX_PIXELS, read_errors

POINTS_PER_INCH = 72
MAX_SIDE = 65_500  # pixels, the limit of JPEG
LARGE_PIXELS = 20_000_000  # 80 MB
MAX_OPEN_DOCUMENTS = 4


def count_pdf_pages(entry: FileEntry, passwords: Passwords = ()) -> int:
    """Return the number of pages, at least 1. `passwords` are tried in turn. Raises UnusableFile."""
    with borrow_document(entry, passwords) as opened:
        return len(opened.pdf)


@dataclass(frozen=True, slots=True)
class DrawnPage:
    """The picture of a page, and what else PDFium found on it."""

    pixels: PagePixels
    facts: PageFacts


def read_page(entry: FileEntry, number: int, dpi: int, passwords: Passwords = ()) -> DrawnPage:
    """Draw page `number`, counted from 1: upright, on white, with filled form fields and annotations.

    A page that would have more than MAX_PIXELS is drawn at fewer dots per inch. Raises UnusableFile.
    """
    with borrow_document(entry, passwords) as opened:
        bitmap = draw_page(opened, number, dpi)
        if bitmap.width * bitmap.height > LARGE_PIXELS:
            return bitmap.finish()
    return bitmap.finish()


@dataclass(frozen=True, slots=True)
class PageBitmap:
    """A page as PDFium has drawn it."""

    width: int
    height: int
    rows_hs: PageRows  # (H, S): rows of S bytes, R G B X; the memory is Python's and outlives PDFium's bitmap
    facts: PageFacts

    def finish(self) -> DrawnPage:
        pixels = PagePixels.build(self.rows_hs, self.width)
        return DrawnPage(pixels, replace(self.facts, ink=measure_ink(pixels)))


@contextmanager
def borrow_document(entry: FileEntry, passwords: Passwords) -> Iterator[OpenDocument]:
    """Context manager: the open document, for exclusive use; the last few documents stay open. Raises UnusableFile."""
    with PDFIUM_LOCK, read_errors(), unusable_files():
        opened = OPEN_DOCUMENTS.get(entry) or open_document(entry.open(), passwords)
        OPEN_DOCUMENTS[entry] = opened
        OPEN_DOCUMENTS.move_to_end(entry)
        while len(OPEN_DOCUMENTS) > MAX_OPEN_DOCUMENTS:
            OPEN_DOCUMENTS.popitem(last=False)[1].close()
        yield opened


@contextmanager
def unusable_files() -> Iterator[None]:
    """Context manager: convert what is wrong with a PDF file to UnusableFile."""
    try:
        yield
    except InputError as error:
        raise UnusableFile(str(error)) from error


OPEN_DOCUMENTS: OrderedDict[FileEntry, OpenDocument] = OrderedDict()  # the last used one at the end


def draw_page(opened: OpenDocument, number: int, dpi: int) -> PageBitmap:
    with opened.open_page(number) as page:
        bitmap = page.render(scale=compute_scale(page.get_size(), dpi), rev_byteorder=True, prefer_bgrx=True)
        try:
            rows_hs = np.frombuffer(memoryview(bitmap.buffer), np.uint8).reshape(bitmap.height, bitmap.stride)
            return PageBitmap(bitmap.width, bitmap.height, rows_hs, read_page_facts(page))
        finally:
            bitmap.close()


def compute_scale(size: tuple[float, float], dpi: int) -> float:
    """Return pixels per point for a page of `size` points. Raises InputError for a page without a size."""
    width, height = size
    check_page_size(width, height)
    most = min(math.sqrt(MAX_PIXELS / (width * height)), MAX_SIDE / max(width, height))
    return min(dpi / POINTS_PER_INCH, most * 0.999)  # a little less, because sides are rounded up
