"""Pages of PDF files as grey pictures, to learn from. One thread at a time: PDFium is not thread-safe.

What `clip-ingest` does for a page that must not be lost (repair, passwords) is not done here: a file that cannot be
drawn is left out, with its reason.
"""

import math
from pathlib import Path

import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image

from clip_vectorizer.errors import InputError

DRAWN_SIDE = 1200  # pixels of the longer side: an A4 page at about 100 dots per inch
ENCRYPTED = (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY)


class PdfPages:
    """One open file. A context manager. Every method raises InputError for what cannot be read."""

    def __init__(self, file: Path) -> None:
        self._pdf = open_pdf(file)

    def __enter__(self) -> "PdfPages":
        return self

    def __exit__(self, *_: object) -> None:
        self._pdf.close()

    def __len__(self) -> int:
        return len(self._pdf)

    def draw(self, number: int) -> Image.Image:
        """Page `number`, from 0: upright, on white, with annotations; RGB."""
        try:
            page = self._pdf[number]
            try:
                bitmap = page.render(scale=compute_scale(page.get_size()), grayscale=True)
                picture: Image.Image = bitmap.to_pil().convert("RGB")
                bitmap.close()
            finally:
                page.close()
        except pypdfium2.PdfiumError as error:
            raise InputError(f"page {number + 1} cannot be drawn ({error})") from error
        return picture


def open_pdf(file: Path) -> pypdfium2.PdfDocument:
    """Raises InputError."""
    try:
        pdf = pypdfium2.PdfDocument(file)
    except pypdfium2.PdfiumError as error:
        if error.err_code in ENCRYPTED:
            raise InputError("it is encrypted; save a copy without a password") from error
        raise InputError(f"it is no PDF file that can be read ({error})") from error
    if len(pdf) == 0:
        pdf.close()
        raise InputError("it has no pages")
    return pdf


def compute_scale(size: tuple[float, float]) -> float:
    """Pixels a point. Raises InputError for a page without a size."""
    longest = max(size)
    if not (min(size) > 0 and longest < math.inf):
        raise InputError(f"a page of {size[0]:g} x {size[1]:g} points cannot be drawn")
    return DRAWN_SIDE / longest
