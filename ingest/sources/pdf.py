"""Pages of PDF files as pictures.

PDFium is not thread-safe: whatever calls it holds `PDFIUM`. Pictures are encoded outside, except large ones, of which
one at a time is held.
"""

import io
import logging
import math
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image

from ingest.items import UnusableFile
from ingest.sources.base import Entry
from ingest.sources.guarded import Guarded
from ingest.sources.reading import MAX_FILE_BYTES, MAX_PIXELS, reading

POINTS_PER_INCH = 72
LONGEST_SIDE = 65_500  # pixels that a JPEG may have
LARGE_PIXELS = 20_000_000  # 80 MB
MOST_OPEN = 4
# Against PNG, of an A0 drawing at 150 dpi: 0.2 s instead of 1.1 s for about as many bytes; of a scan a tenth of the
# time for less than half of the bytes. 4:4:4 because thin coloured lines would lose their colour.
JPEG_QUALITY = 95

PDFIUM = threading.RLock()
logging.getLogger("pypdfium2").setLevel(logging.ERROR)  # it warns of forms (XFA) that its build cannot draw

REASONS = {
    pdfium.FPDF_ERR_FORMAT: "not a PDF file, or a broken one, or one without pages",
    pdfium.FPDF_ERR_PASSWORD: "an encrypted PDF file that asks for a password; save a copy without one",
    pdfium.FPDF_ERR_SECURITY: "a PDF file encrypted in a way that cannot be read; save a copy without encryption",
}


def count_pages(entry: Entry) -> int:
    """At least 1. Raises UnusableFile."""
    with document(entry) as pdf:
        return len(pdf)


def read_page(entry: Entry, number: int, dpi: int) -> bytes:
    """Page `number`, from 1, as a JPEG file: upright, on white, with what is filled into forms, and annotations.

    A page that would have more than MAX_PIXELS is drawn at fewer dots per inch. Raises UnusableFile.
    """
    with document(entry) as pdf:
        picture = draw(pdf, number, dpi)
        if picture.width * picture.height > LARGE_PIXELS:
            return encode(picture)
    return encode(picture)


@contextmanager
def document(entry: Entry) -> Iterator[pypdfium2.PdfDocument]:
    """Open, and nobody else's until it is given back."""
    with PDFIUM, reading():
        opened = OPEN.get(entry) or open_document(entry)
        OPEN[entry] = opened
        OPEN.move_to_end(entry)
        while len(OPEN) > MOST_OPEN:
            OPEN.popitem(last=False)[1].close()
        try:
            yield opened.pdf
        except pypdfium2.PdfiumError as error:
            raise UnusableFile(f"cannot be drawn ({error})") from error
        finally:
            opened.file.raise_problem()


class Opened:
    def __init__(self, pdf: pypdfium2.PdfDocument, file: Guarded) -> None:
        self.pdf, self.file = pdf, file

    def close(self) -> None:
        self.pdf.close()
        self.file.close()


OPEN: OrderedDict[Entry, Opened] = OrderedDict()  # the one used last at the end


def open_document(entry: Entry) -> Opened:
    file = Guarded(entry.open())
    try:
        return Opened(load(file), file)
    except BaseException:
        file.close()
        raise


def load(file: Guarded) -> pypdfium2.PdfDocument:
    try:
        pdf = pypdfium2.PdfDocument(file)
    except pypdfium2.PdfiumError as error:
        file.raise_problem()
        reason = REASONS.get(why_not(file), f"cannot be read as PDF ({error})")
        raise UnusableFile(reason) from error
    pdf.init_forms()
    return pdf


def why_not(file: Guarded) -> int | None:
    """PDFium's code: of the last failure of all. A file without pages is none, so one that is known is made before."""
    code = None
    for source in (b"no PDF", file):
        try:
            pypdfium2.PdfDocument(source)
        except pypdfium2.PdfiumError as error:
            code = error.err_code
    return code


def draw(pdf: pypdfium2.PdfDocument, number: int, dpi: int) -> Image.Image:
    page = pdf[number - 1]
    try:
        bitmap = page.render(scale=scale_of(page.get_size(), dpi), rev_byteorder=True, prefer_bgrx=True)
        try:  # the pixels are Python's: they outlive PDFium's bitmap
            size, pixels, stride = (bitmap.width, bitmap.height), bitmap.buffer, bitmap.stride
        finally:
            bitmap.close()
    finally:
        page.close()
    return Image.frombuffer("RGBX", size, pixels, "raw", "RGBX", stride, 1)


def scale_of(size: tuple[float, float], dpi: int) -> float:
    """Pixels a point, for a page of `size` points."""
    width, height = size
    if not (0 < width < math.inf and 0 < height < math.inf):
        raise UnusableFile(f"a page of {width:g} x {height:g} points cannot be drawn")
    most = min(math.sqrt(MAX_PIXELS / (width * height)), LONGEST_SIDE / max(width, height))
    return min(dpi / POINTS_PER_INCH, most * 0.999)  # for sides are rounded up


def encode(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    if out.tell() > MAX_FILE_BYTES:
        return encode(picture.convert("RGB").reduce(2))
    return out.getvalue()
