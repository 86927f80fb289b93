"""Opens PDF files: encrypted ones with passwords, damaged ones after a repair.

PDFium is not thread-safe: every call holds `PDFIUM_LOCK`, or a program calls it from one thread.
"""

import io
import logging
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import pypdfium2
import pypdfium2.raw as pdfium

from clip_vectorizer.errors import InputError, PdfPasswordNeeded
from clip_vectorizer.images.formats import UNKNOWN, describe_content
from clip_vectorizer.images.pdf_passwords import PdfPassword
from clip_vectorizer.images.pdf_repair import HEADER, HEADER_BYTES, repair_pdf

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
LOST_CONTENT = "its content is lost: the PDF file is damaged"

Passwords = Sequence[PdfPassword]


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

    @contextmanager
    def open_page(self, number: int) -> Iterator[pypdfium2.PdfPage]:
        """Context manager: page `number`, counted from 1. Raises InputError for a page that cannot be drawn."""
        if not 0 < number <= len(self.pdf):
            raise InputError(f"there is no page {number}: the file has {len(self.pdf)}")
        try:
            page = self.pdf[number - 1]
            try:
                prepare_page(page, self.repaired)
                yield page
            finally:
                page.close()
        except pypdfium2.PdfiumError as error:
            raise InputError(f"cannot be drawn ({error})") from error
        finally:
            self.file.raise_problem()

    def close(self) -> None:
        self.pdf.close()
        self.file.close()


@contextmanager
def open_pdf(open_file: Callable[[], BinaryIO], passwords: Passwords = ()) -> Iterator[OpenDocument]:
    """Context manager: the open document. Raises InputError, and what `open_file` and reading raise."""
    opened = open_document(open_file(), passwords)
    try:
        yield opened
    finally:
        opened.close()


def open_document(source: BinaryIO, passwords: Passwords = ()) -> OpenDocument:
    """Return the document, which closes `source` when it is closed; has at least one page. `passwords` are tried in
    turn. Raises InputError, whose sentence follows the file's name, and what reading raises."""
    file = GuardedFile(source)
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
    if pdf == pdfium.FPDF_ERR_PASSWORD:
        raise PdfPasswordNeeded(WRONG_PASSWORD if passwords else MISSING_PASSWORD)
    if isinstance(pdf, int):
        raise InputError(find_reason(file, pdf))
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


def find_reason(file: GuardedFile, code: int) -> str:
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


def prepare_page(page: pypdfium2.PdfPage, repaired: bool) -> None:
    """Replace a CropBox that leaves nothing of the page. Raises InputError for a page of a damaged file that has lost
    its content, and for one without a size."""
    if repaired and not (pdfium.FPDFPage_CountObjects(page) or pdfium.FPDFPage_GetAnnotCount(page)):
        raise InputError(LOST_CONTENT)
    if 0 in page.get_size():  # a CropBox outside of the MediaBox, which PDFium intersects
        page.set_cropbox(*page.get_mediabox())
    check_page_size(*page.get_size())


def check_page_size(width: float, height: float) -> None:
    """`width`, `height`: points. Raises InputError for a page without a size."""
    if not (0 < width < math.inf and 0 < height < math.inf):
        raise InputError(f"a page of {width:g} x {height:g} points cannot be drawn")
