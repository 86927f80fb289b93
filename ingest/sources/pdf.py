"""Pages of PDF files as pictures.

PDFium is not thread-safe: whatever calls it holds `PDFIUM_LOCK`. Pictures are encoded outside, except large ones, of which
one at a time is held.

A file read by a library in C, whose calls back into Python must not raise.
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
MAX_SIDE = 65_500  # pixels that a JPEG may have
LARGE_PIXELS = 20_000_000  # 80 MB
MAX_OPEN_DOCUMENTS = 4
# Against PNG, of an A0 drawing at 150 dpi: 0.2 s instead of 1.1 s for about as many bytes; of a scan a tenth of the
# time for less than half of the bytes. 4:4:4 because thin coloured lines would lose their colour.
JPEG_QUALITY = 95

PDFIUM_LOCK = threading.RLock()

ERROR_REASONS = {
    pdfium.FPDF_ERR_FORMAT: "not a PDF file, or a broken one, or one without pages",
    pdfium.FPDF_ERR_PASSWORD: "an encrypted PDF file that asks for a password; save a copy without one",
    pdfium.FPDF_ERR_SECURITY: "a PDF file encrypted in a way that cannot be read; save a copy without encryption",
}
logging.getLogger("pypdfium2").setLevel(logging.ERROR)  # it warns of forms (XFA) that its build cannot draw


def count_pdf_pages(entry: FileEntry) -> int:
    """At least 1. Raises UnusableFile."""
    with borrow_document(entry) as pdf:
        return len(pdf)


def read_page(entry: FileEntry, number: int, dpi: int) -> bytes:
    """Page `number`, from 1, as a JPEG file: upright, on white, with what is filled into forms, and annotations.

    A page that would have more than MAX_PIXELS is drawn at fewer dots per inch. Raises UnusableFile.
    """
    with borrow_document(entry) as pdf:
        picture = draw_page(pdf, number, dpi)
        if picture.width * picture.height > LARGE_PIXELS:
            return encode_jpeg(picture)
    return encode_jpeg(picture)


@contextmanager
def borrow_document(entry: FileEntry) -> Iterator[pypdfium2.PdfDocument]:
    """Open, and nobody else's until it is given back."""
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
    """Seems to end where reading fails; `raise_problem` tells why."""

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


OPEN_DOCUMENTS: OrderedDict[FileEntry, OpenDocument] = OrderedDict()  # the one used last at the end


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
    pdf.init_forms()
    return pdf


def find_error_code(file: GuardedFile) -> int | None:
    """PDFium's code: of the last failure of all. A file without pages is none, so one that is known is made before."""
    code = None
    for source in (b"no PDF", file):
        try:
            pypdfium2.PdfDocument(source)
        except pypdfium2.PdfiumError as error:
            code = error.err_code
    return code


def draw_page(pdf: pypdfium2.PdfDocument, number: int, dpi: int) -> Image.Image:
    page = pdf[number - 1]
    try:
        bitmap = page.render(scale=compute_scale(page.get_size(), dpi), rev_byteorder=True, prefer_bgrx=True)
        try:  # the pixels are Python's: they outlive PDFium's bitmap
            size, pixels, stride = (bitmap.width, bitmap.height), bitmap.buffer, bitmap.stride
        finally:
            bitmap.close()
    finally:
        page.close()
    return Image.frombuffer("RGBX", size, pixels, "raw", "RGBX", stride, 1)


def compute_scale(size: tuple[float, float], dpi: int) -> float:
    """Pixels a point, for a page of `size` points."""
    width, height = size
    if not (0 < width < math.inf and 0 < height < math.inf):
        raise UnusableFile(f"a page of {width:g} x {height:g} points cannot be drawn")
    most = min(math.sqrt(MAX_PIXELS / (width * height)), MAX_SIDE / max(width, height))
    return min(dpi / POINTS_PER_INCH, most * 0.999)  # for sides are rounded up


def encode_jpeg(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    if out.tell() > MAX_FILE_BYTES:
        return encode_jpeg(picture.convert("RGB").reduce(2))
    return out.getvalue()
