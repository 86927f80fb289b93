"""The pages that a training learns from, drawn once, small and grey, into one file that every epoch reads.

A page is padded to a white square, as the trained model gets it later. It is drawn larger than a view, since views are
parts of it.

N pages · C side of a drawn page
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from clip_vectorizer.errors import ImageRefused, InputError
from clip_vectorizer.image_files import is_image_file
from clip_vectorizer.images.opener import decode_image
from clip_vectorizer.models.image_only import LUMA
from clip_vectorizer.models.preprocess import PixelRecipe, prepare_pixels
from clip_vectorizer.progress import SILENT, StepProgress
from clip_vectorizer.training.captioned_images import walk_files
from clip_vectorizer.training.simclr.pdf_pages import PdfPages
from clip_vectorizer.vectors import Pixels

DRAWN_SHARE = 1.5  # of a view's side: a crop of .3 of the area, enlarged to the view, then loses little
LEAST_PAGES = 2
PDF_SUFFIX = ".pdf"
DATA, INDEX = "pages.bin", "pages.json"

GreyPages = npt.NDArray[np.uint8]  # (N, C, C), 255 is white


@dataclass(frozen=True, slots=True)
class DrawnPages:
    """`pages_ncc` may be larger than memory: it is read from its file, page by page."""

    keys: Sequence[str]  # scans.pdf#page=7, photo.png
    pages_ncc: GreyPages

    @property
    def digest(self) -> str:
        """Of the keys, in their order, and the number of pages."""
        return hashlib.sha256(json.dumps(list(self.keys)).encode("utf-8", "surrogatepass")).hexdigest()


def load_pages(source: Path, folder: Path, side: int, progress: StepProgress = SILENT) -> DrawnPages:
    """Return the pages of `source`, for views of `side` pixels; drawn into `folder`, unless they are there already.

    Files that cannot be read are named and left out, and of equal pages all but one. Raises InputError where there are
    fewer than two, OSError.
    """
    files, drawn_side = list_files(source), round(side * DRAWN_SHARE)
    digest = digest_files(files, drawn_side)
    if (found := read_drawn(folder, digest, drawn_side)) is None:
        draw_pages(source, files, folder, drawn_side, progress)
        (folder / f"{INDEX}.part").replace(folder / INDEX)
        found = read_drawn(folder, digest, drawn_side)
    if found is None or len(found.keys) < LEAST_PAGES:
        count = len(found.keys) if found else 0
        raise InputError(
            f"{source} has {count} different page{'' if count == 1 else 's'} that can be drawn, and a training needs "
            f"at least {LEAST_PAGES}; name a folder of images and PDF files"
        )
    progress.note(f"{len(found.keys):,} pages to learn from")
    return found


def list_files(source: Path) -> list[tuple[str, Path]]:
    """Key and path of each image and PDF file, by key. Raises InputError for another kind of file."""
    if source.is_dir():
        files = ((file.relative_to(source).as_posix(), file) for file in walk_files(source))
        return sorted((key, file) for key, file in files if is_image_file(file) or is_pdf(file))
    if not (is_pdf(source) or is_image_file(source)):
        raise InputError(f"{source} is neither a folder nor a PDF file; name a folder of images and PDF files")
    return [(source.name, source)]


def is_pdf(file: Path) -> bool:
    return file.suffix.lower() == PDF_SUFFIX


def digest_files(files: Sequence[tuple[str, Path]], drawn_side: int) -> str:
    """Changes with a file's name, size or time, and with the size of the drawn pages."""
    stats = [(key, file.stat().st_size, file.stat().st_mtime_ns) for key, file in files]
    return hashlib.sha256(repr((stats, drawn_side)).encode("utf-8", "surrogatepass")).hexdigest()


def read_drawn(folder: Path, digest: str, drawn_side: int) -> DrawnPages | None:
    """The pages that were drawn from the same files; None where there are others, or none."""
    if not (folder / INDEX).is_file():
        return None
    index = json.loads((folder / INDEX).read_text("utf-8"))
    if index["digest"] != digest:
        return None
    shape = (len(index["keys"]), drawn_side, drawn_side)
    empty = np.empty(shape, np.uint8)  # no file of 0 bytes can be mapped
    return DrawnPages(index["keys"], np.memmap(folder / DATA, np.uint8, "r", shape=shape) if shape[0] else empty)


def draw_pages(
    source: Path, files: Sequence[tuple[str, Path]], folder: Path, drawn_side: int, progress: StepProgress
) -> None:
    """Write the pages, one after another, and then their index, which has the suffix of a draft."""
    progress.step(f"drawing the pages of {source}")
    shutil.rmtree(folder, ignore_errors=True) if (folder / DATA).exists() else None
    folder.mkdir(parents=True, exist_ok=True)
    recipe, keys, seen = PixelRecipe(drawn_side, resize="longest", fill=255), [], set()
    with (folder / DATA).open("wb") as data:
        for key, picture in iterate_pictures(files, recipe, progress):
            page = picture.tobytes()
            if (content := hashlib.blake2b(page, digest_size=16).digest()) not in seen:
                seen.add(content)
                keys.append(key)
                data.write(page)
            progress.detail(f"{len(keys):,} pages")
    index = {"digest": digest_files(files, drawn_side), "keys": keys}
    (folder / f"{INDEX}.part").write_text(json.dumps(index), encoding="utf-8")


def iterate_pictures(
    files: Sequence[tuple[str, Path]], recipe: PixelRecipe, progress: StepProgress
) -> Iterator[tuple[str, GreyPages]]:
    """Key and (C, C) of every page of every file; what cannot be read is noted with its reason."""
    for key, file in files:
        try:
            if is_pdf(file):
                yield from iterate_pdf(key, file, recipe, progress)
            else:
                yield key, draw_image(file, recipe)
        except (InputError, ImageRefused, OSError) as error:
            progress.note(f"{key} is skipped: {error}")


def iterate_pdf(key: str, file: Path, recipe: PixelRecipe, progress: StepProgress) -> Iterator[tuple[str, GreyPages]]:
    with PdfPages(file) as pdf:
        for number in range(len(pdf)):
            try:
                picture = pdf.draw(number)
            except InputError as error:
                progress.note(f"{key} is skipped in part: {error}")
                continue
            yield f"{key}#page={number + 1}", to_grey(prepare_pixels(picture, recipe))


def draw_image(file: Path, recipe: PixelRecipe) -> GreyPages:
    decoded = decode_image(file.read_bytes(), least_side=recipe.size)
    return to_grey(prepare_pixels(decoded.pixels, recipe, decoded.box))


def to_grey(pixels_cc3: Pixels) -> GreyPages:
    """(C, C), with the weights that the trained model has for colours (ITU-R BT.601)."""
    grey: GreyPages = np.rint(pixels_cc3 @ np.array(LUMA, np.float32)).astype(np.uint8)
    return grey
