"""The corpus: small files made by code, one a case, of every colour, damage and layout that the decoder must handle.

`python -m tests.images.corpus FOLDER` writes them, to look at with other programs.
"""

import sys
from functools import cache
from pathlib import Path

from tests.images.case import CorpusCase
from tests.images.cases.bmp import bmp_cases
from tests.images.cases.colour import colour_cases
from tests.images.cases.frames import frames_cases
from tests.images.cases.jpeg_files import jpeg_cases
from tests.images.cases.png_files import png_cases
from tests.images.cases.shape import shape_cases
from tests.images.cases.strangers import strangers_cases
from tests.images.cases.tiff_files import tiff_cases

SECTIONS = {
    "Colour": colour_cases,
    "Orientation and transparency": shape_cases,
    "JPEG": jpeg_cases,
    "PNG": png_cases,
    "GIF, WebP, AVIF": frames_cases,
    "BMP": bmp_cases,
    "TIFF": tiff_cases,
    "No images, or not read": strangers_cases,
}


@cache
def cases_by_section() -> dict[str, tuple[CorpusCase, ...]]:
    return {section: tuple(cases()) for section, cases in SECTIONS.items()}


@cache
def all_cases() -> tuple[CorpusCase, ...]:
    """Every case, in the order of the sections. Equal in every run."""
    return tuple(case for cases in cases_by_section().values() for case in cases)


def write_corpus(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for case in all_cases():
        (folder / case.name).write_bytes(case.data)


if __name__ == "__main__":
    write_corpus(Path(sys.argv[1]))
