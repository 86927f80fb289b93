"""What is drawn on an open page of a PDF file, counted. PDFium is not thread-safe: the caller holds its lock."""

from collections.abc import Callable
from dataclasses import dataclass

import pypdfium2
import pypdfium2.raw as pdfium

MAX_OBJECTS = 20_000  # that are counted: what is more takes PDFium seconds to draw
MAX_NESTING = 12  # of forms within forms


@dataclass(slots=True)
class ObjectCounts:
    """Counts of a page's objects, and of those within its forms."""

    segments: int = 0
    images: int = 0
    visited: int = 0

    def count(self, count: int, find: Callable[[int], object], nesting: int = 0) -> None:
        for index in range(max(0, min(count, MAX_OBJECTS - self.visited))):
            if self.visited >= MAX_OBJECTS:
                return
            self.visited += 1
            self._add(find(index), nesting)

    def _add(self, found: object, nesting: int) -> None:
        kind = pdfium.FPDFPageObj_GetType(found)
        if kind == pdfium.FPDF_PAGEOBJ_PATH:
            self.segments += max(0, pdfium.FPDFPath_CountSegments(found))
        elif kind == pdfium.FPDF_PAGEOBJ_IMAGE:
            self.images += 1
        elif kind == pdfium.FPDF_PAGEOBJ_FORM and nesting < MAX_NESTING:
            inner = pdfium.FPDFFormObj_CountObjects(found)
            self.count(inner, lambda index: pdfium.FPDFFormObj_GetObject(found, index), nesting + 1)


def count_objects(page: pypdfium2.PdfPage) -> ObjectCounts:
    counts = ObjectCounts()
    counts.count(pdfium.FPDFPage_CountObjects(page), lambda index: pdfium.FPDFPage_GetObject(page, index))
    return counts
