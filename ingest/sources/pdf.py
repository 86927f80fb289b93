"""Pages of PDF files as images.

PDFium is not thread-safe: every call holds `PDFIUM_LOCK`. What is made of a page is made outside of it, so that the
next one is drawn meanwhile; large grey pages lose three of their four bytes a pixel before it is released.
"""

import io
import logging
import math
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium

from clip_vectorizer.images.formats import UNKNOWN, describe_content
from ingest.items import UnusableFile
from ingest.page_pixels import PagePixels, PageRows
from ingest.sources.base import FileEntry, PdfPassword
from ingest.sources.page_facts import PageFacts, measure_ink, read_page_facts
from ingest.sources.pdf_repair import HEADER, HEADER_BYTES, repair_pdf
from ingest.sources.reading import MAX_PIXELS, read_errors

POINTS_PER_INCH = 72
MAX_SIDE = 65_500  # pixels, the limit of JPEG
LARGE_PIXELS = 20_000_000  # 80 MB
MAX_OPEN_DOCUMENTS = 4

PDFIUM_LOCK = threading.RLock()

# PDFium's error code is that of its last failure, and a file without pages sets none: this one is set before each try.
NO_PAGES = pdfium.FPDF_ERR_FILE
ERROR_REASONS = {
    NO_PAGES: "a PDF file without pages, as far as it can be read",
    pdfium.FPDF_ERR_FORMAT: "a broken PDF file: its cross-reference table cannot be read or rebuilt",
    pdfium.FPDF_ERR_SECURITY: "a PDF file encrypted in a way that cannot be read; save a copy without encryption",
}
MISSING_PASSWORD = "an encrypted PDF file that needs a password; give it by --pdf-password or in CLIP_PDF_PASSWORD"
WRONG_PASSWORD = (
    "an encrypted PDF file, and no given password opens it; add its own by --pdf-password or in CLIP_PDF_PASSWORD"
)

Passwords = Sequence[PdfPassword]


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
def borrow_document(entry: FileEntry, passwords: Passwords) -> Iterator["OpenDocument"]:
    """Context manager: the open document, for exclusive use; the last few documents stay open. Raises UnusableFile."""
    with PDFIUM_LOCK, read_errors():
        opened = OPEN_DOCUMENTS.get(entry) or open_document(entry, passwords)
        OPEN_DOCUMENTS[entry] = opened
        OPEN_DOCUMENTS.move_to_end(entry)
        while len(OPEN_DOCUMENTS) > MAX_OPEN_DOCUMENTS:
            OPEN_DOCUMENTS.popitem(last=False)[1].close()
        try:
            yield opened
        except pypdfium2.PdfiumError as error:
            raise UnusableFile(f"cannot be drawn ({error})") from error
        finally:
            opened.file.raise_problem()


class GuardedFile(io.RawIOBase):
    """A file for C callbacks, which must not raise: it ends where reading fails; `raise_problem` raises the error."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._problem: Exception | None = None

    def raise_problem(self) -> None:
        problem, self._problem = self._problem, None
        if problem:
            raise problem

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except Exception as error:
            self._problem = self._problem or error
            return 0

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            data = self._file.read(len(buffer))
        except Exception as error:
            self._problem = self._problem or error
            return 0
        memoryview(buffer).cast("B")[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


class OpenDocument:
    """`repaired`: the file was completed to be opened, because it is damaged; pages may have lost their content."""

    def __init__(self, pdf: pypdfium2.PdfDocument, file: GuardedFile, repaired: bool) -> None:
        self.pdf, self.file, self.repaired = pdf, file, repaired

    def close(self) -> None:
        self.pdf.close()
        self.file.close()


OPEN_DOCUMENTS: OrderedDict[FileEntry, OpenDocument] = OrderedDict()  # the last used one at the end


def open_document(entry: FileEntry, passwords: Passwords) -> OpenDocument:
    file = GuardedFile(entry.open())
    try:
        return load_document(file, passwords)
    except BaseException:
        file.close()
        raise


def load_document(file: GuardedFile, passwords: Passwords) -> OpenDocument:
    pdf, repaired = unlock(file, passwords), False
    file.raise_problem()
    if pdf in (NO_PAGES, pdfium.FPDF_ERR_FORMAT):
        for data in repair_pdf(file):
            file.raise_problem()
            mended = unlock(data, passwords)
            if not isinstance(mended, int):
                pdf, repaired = mended, True
                break
    if isinstance(pdf, int):
        raise UnusableFile(find_reason(file, pdf, passwords))
    with without_warnings():
        pdf.init_forms()
    return OpenDocument(pdf, file, repaired)


def unlock(source: GuardedFile | bytes, passwords: Passwords) -> pypdfium2.PdfDocument | int:
    """Return the document, opened with no password or the first one that fits, or PDFium's error code."""
    opened = try_open(source, None)
    if opened == NO_PAGES and try_open(source, "x") == pdfium.FPDF_ERR_PASSWORD:
        opened = pdfium.FPDF_ERR_PASSWORD  # opened without its password, of some files PDFium finds no page
    for password in passwords:
        for form in password.list_forms() if opened == pdfium.FPDF_ERR_PASSWORD else ():
            opened = try_open(source, form) if opened == pdfium.FPDF_ERR_PASSWORD else opened
    return opened


def try_open(source: GuardedFile | bytes, password: str | None) -> pypdfium2.PdfDocument | int:
    pdfium.FPDF_LoadDocument(b"", None)  # sets NO_PAGES
    try:
        return pypdfium2.PdfDocument(source, password=password)
    except pypdfium2.PdfiumError as error:
        return int(error.err_code or pdfium.FPDF_ERR_FORMAT)


def find_reason(file: GuardedFile, code: int, passwords: Passwords) -> str:
    if code == pdfium.FPDF_ERR_PASSWORD:
        return WRONG_PASSWORD if passwords else MISSING_PASSWORD
    file.seek(0)
    start = file.read(HEADER_BYTES) or b""
    file.raise_problem()
    if HEADER not in start:
        what = describe_content(start)
        return what if not start else f"not a PDF file{'' if what == UNKNOWN else f', but {what}'}"
    return ERROR_REASONS.get(code, f"cannot be read as PDF (PDFium's error {code})")


@contextmanager
def without_warnings() -> Iterator[None]:
    """Context manager: pypdfium2 logs no warning about forms (XFA) that its build cannot draw. Holds PDFIUM_LOCK."""
    logger = logging.getLogger("pypdfium2")
    with PDFIUM_LOCK:
        level = logger.level
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)


def draw_page(opened: OpenDocument, number: int, dpi: int) -> PageBitmap:
    page = opened.pdf[number - 1]
    try:
        if opened.repaired and is_blank(page):
            raise UnusableFile("its content is lost: the PDF file is damaged")
        bitmap = page.render(scale=compute_scale(page.get_size(), dpi), rev_byteorder=True, prefer_bgrx=True)
        try:
            rows_hs = np.frombuffer(memoryview(bitmap.buffer), np.uint8).reshape(bitmap.height, bitmap.stride)
            return PageBitmap(bitmap.width, bitmap.height, rows_hs, read_page_facts(page))
        finally:
            bitmap.close()
    finally:
        page.close()


def is_blank(page: pypdfium2.PdfPage) -> bool:
    return not (pdfium.FPDFPage_CountObjects(page) or pdfium.FPDFPage_GetAnnotCount(page))


def compute_scale(size: tuple[float, float], dpi: int) -> float:
    """Return pixels per point for a page of `size` points. Raises UnusableFile for a page without a size."""
    width, height = size
    if not (0 < width < math.inf and 0 < height < math.inf):
        raise UnusableFile(f"a page of {width:g} x {height:g} points cannot be drawn")
    most = min(math.sqrt(MAX_PIXELS / (width * height)), MAX_SIDE / max(width, height))
    return min(dpi / POINTS_PER_INCH, most * 0.999)  # a little less, because sides are rounded up
