"""Pages of PDF files as images.

PDFium is not thread-safe: every call holds `PDFIUM_LOCK`. Pages are encoded outside of it, except large ones, so that
only one large page is in memory at a time.
"""

import io
import logging
import math
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image

from ingest.items import UnusableFile
from ingest.sources.base import FileEntry
from ingest.sources.reading import MAX_FILE_BYTES, MAX_PIXELS, read_errors

POINTS_PER_INCH = 72
MAX_SIDE = 65_500  # pixels, the limit of JPEG
LARGE_PIXELS = 20_000_000  # 80 MB
MAX_OPEN_DOCUMENTS = 4
# Compared with PNG: an A0 drawing at 150 dpi takes 0.2 s instead of 1.1 s for about as many bytes; a scan takes a tenth
# of the time and less than half of the bytes. 4:4:4, because thin coloured lines would lose their colour.
JPEG_QUALITY = 95

PDFIUM_LOCK = threading.RLock()

ERROR_REASONS = {
    pdfium.FPDF_ERR_FORMAT: "not a PDF file, or a broken one, or one without pages",
    pdfium.FPDF_ERR_PASSWORD: "an encrypted PDF file that needs a password; save a copy without one",
    pdfium.FPDF_ERR_SECURITY: "a PDF file encrypted in a way that cannot be read; save a copy without encryption",
}


def count_pdf_pages(entry: FileEntry) -> int:
    """Return the number of pages, at least 1. Raises UnusableFile."""
    with borrow_document(entry) as pdf:
        return len(pdf)


def read_page(entry: FileEntry, number: int, dpi: int) -> bytes:
    """Draw page `number`, counted from 1, as a JPEG file: upright, on white, with filled form fields and annotations.

    A page that would have more than MAX_PIXELS is drawn at fewer dots per inch. Raises UnusableFile.
    """
    with borrow_document(entry) as pdf:
        image = draw_page(pdf, number, dpi)
        if image.width * image.height > LARGE_PIXELS:
            return encode_jpeg(image)
    return encode_jpeg(image)


@contextmanager
def borrow_document(entry: FileEntry) -> Iterator[pypdfium2.PdfDocument]:
    """Context manager: the open document, for exclusive use; the last few documents stay open. Raises UnusableFile."""
    with PDFIUM_LOCK, read_errors():
        opened = OPEN_DOCUMENTS.get(entry) or open_document(entry)
        OPEN_DOCUMENTS[entry] = opened
        OPEN_DOCUMENTS.move_to_end(entry)
        while len(OPEN_DOCUMENTS) > MAX_OPEN_DOCUMENTS:
            OPEN_DOCUMENTS.popitem(last=False)[1].close()
        try:
            yield opened.pdf
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
    def __init__(self, pdf: pypdfium2.PdfDocument, file: GuardedFile) -> None:
        self.pdf, self.file = pdf, file

    def close(self) -> None:
        self.pdf.close()
        self.file.close()


OPEN_DOCUMENTS: OrderedDict[FileEntry, OpenDocument] = OrderedDict()  # the last used one at the end


def open_document(entry: FileEntry) -> OpenDocument:
    file = GuardedFile(entry.open())
    try:
        return OpenDocument(load_document(file), file)
    except BaseException:
        file.close()
        raise


def load_document(file: GuardedFile) -> pypdfium2.PdfDocument:
    try:
        pdf = pypdfium2.PdfDocument(file)
    except pypdfium2.PdfiumError as error:
        file.raise_problem()
        reason = ERROR_REASONS.get(find_error_code(file), f"cannot be read as PDF ({error})")
        raise UnusableFile(reason) from error
    with without_warnings():
        pdf.init_forms()
    return pdf


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


def find_error_code(file: GuardedFile) -> int | None:
    """Return PDFium's error code. It is that of the last failure, and a file without pages sets none."""
    code = None
    for source in (b"no PDF", file):  # the first one sets a known code
        try:
            pypdfium2.PdfDocument(source)
        except pypdfium2.PdfiumError as error:
            code = error.err_code
    return code


def draw_page(pdf: pypdfium2.PdfDocument, number: int, dpi: int) -> Image.Image:
    page = pdf[number - 1]
    try:
        bitmap = page.render(scale=compute_scale(page.get_size(), dpi), rev_byteorder=True, prefer_bgrx=True)
        try:  # the pixels belong to Python and outlive PDFium's bitmap
            size, pixels, stride = (bitmap.width, bitmap.height), bitmap.buffer, bitmap.stride
        finally:
            bitmap.close()
    finally:
        page.close()
    return Image.frombuffer("RGBX", size, pixels, "raw", "RGBX", stride, 1)


def compute_scale(size: tuple[float, float], dpi: int) -> float:
    """Return pixels per point for a page of `size` points. Raises UnusableFile for a page without a size."""
    width, height = size
    if not (0 < width < math.inf and 0 < height < math.inf):
        raise UnusableFile(f"a page of {width:g} x {height:g} points cannot be drawn")
    most = min(math.sqrt(MAX_PIXELS / (width * height)), MAX_SIDE / max(width, height))
    return min(dpi / POINTS_PER_INCH, most * 0.999)  # a little less, because sides are rounded up


def encode_jpeg(image: Image.Image) -> bytes:
    """Encode as JPEG, at half the size if the file would be larger than MAX_FILE_BYTES."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    if out.tell() > MAX_FILE_BYTES:
        return encode_jpeg(image.convert("RGB").reduce(2))
    return out.getvalue()
