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

from clip_vectorizer.errors import ImageRefused, InputError, PdfPasswordNeeded
from clip_vectorizer.image_files import is_image_file
from clip_vectorizer.images.opener import decode_image
from clip_vectorizer.images.pdf_files import Passwords, open_pdf
from clip_vectorizer.models.image_only import LUMA
from clip_vectorizer.models.preprocess import PixelRecipe, prepare_pixels
from clip_vectorizer.progress import SILENT, StepProgress
from clip_vectorizer.training.captioned_images import walk_files
from clip_vectorizer.training.simclr.pdf_pages import draw_grey_page
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


def load_pages(
    source: Path, folder: Path, side: int, progress: StepProgress = SILENT, passwords: Passwords = ()
) -> DrawnPages:
    """Return the pages of `source`, for views of `side` pixels; drawn into `folder`, unless they are there already.

    Files that cannot be read are named and left out, and of equal pages all but one. Raises InputError where there are
    fewer than two, OSError.
    """
    files, drawn_side = list_files(source), round(side * DRAWN_SHARE)
    digest = digest_files(files, drawn_side)
    if (found := read_drawn(folder, digest, drawn_side, bool(passwords))) is None:
        draw_pages(source, files, folder, drawn_side, passwords, progress)
        (folder / f"{INDEX}.part").replace(folder / INDEX)
        found = read_drawn(folder, digest, drawn_side, False)
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


def read_drawn(folder: Path, digest: str, drawn_side: int, with_passwords: bool) -> DrawnPages | None:
    """The pages that were drawn from the same files; None where there are others, or none, or where a password that is
    given now may open a file that was left out."""
    if not (folder / INDEX).is_file():
        return None
    index = json.loads((folder / INDEX).read_text("utf-8"))
    if index["digest"] != digest or (with_passwords and index["locked"]):
        return None
    shape = (len(index["keys"]), drawn_side, drawn_side)
    empty = np.empty(shape, np.uint8)  # no file of 0 bytes can be mapped
    return DrawnPages(index["keys"], np.memmap(folder / DATA, np.uint8, "r", shape=shape) if shape[0] else empty)


def draw_pages(
    source: Path,
    files: Sequence[tuple[str, Path]],
    folder: Path,
    drawn_side: int,
    passwords: Passwords,
    progress: StepProgress,
) -> None:
    """Write the pages, one after another, and then their index, which has the suffix of a draft."""
    progress.step(f"drawing the pages of {source}")
    shutil.rmtree(folder, ignore_errors=True) if (folder / DATA).exists() else None
    folder.mkdir(parents=True, exist_ok=True)
    keys, seen, reader = [], set(), PictureReader(drawn_side, passwords, progress)
    with (folder / DATA).open("wb") as data:
        for key, picture in reader.iterate(files):
            page = picture.tobytes()
            if (content := hashlib.blake2b(page, digest_size=16).digest()) not in seen:
                seen.add(content)
                keys.append(key)
                data.write(page)
            progress.detail(f"{len(keys):,} pages")
    index = {"digest": digest_files(files, drawn_side), "keys": keys, "locked": reader.locked}
    (folder / f"{INDEX}.part").write_text(json.dumps(index), encoding="utf-8")


class PictureReader:
    """Draws files as squares; `locked` is the number of files that no password opened."""

    def __init__(self, drawn_side: int, passwords: Passwords, progress: StepProgress) -> None:
        self._recipe = PixelRecipe(drawn_side, resize="longest", fill=255)
        self._passwords, self._progress = passwords, progress
        self.locked = 0

    def iterate(self, files: Sequence[tuple[str, Path]]) -> Iterator[tuple[str, GreyPages]]:
        """Key and (C, C) of every page of every file; what cannot be read is noted with its reason."""
        for key, file in files:
            try:
                if is_pdf(file):
                    yield from self._iterate_pdf(key, file)
                else:
                    yield key, draw_image(file, self._recipe)
            except (InputError, ImageRefused, OSError) as error:
                self.locked += isinstance(error, PdfPasswordNeeded)
                self._progress.note(f"{key} is skipped: {error}")

    def _iterate_pdf(self, key: str, file: Path) -> Iterator[tuple[str, GreyPages]]:
        with open_pdf(lambda: file.open("rb"), self._passwords) as opened:
            for number in range(1, len(opened.pdf) + 1):
                page = f"{key}#page={number}"
                try:
                    picture = draw_grey_page(opened, number)
                except InputError as error:
                    self._progress.note(f"{page} is skipped: {error}")
                    continue
                yield page, to_grey(prepare_pixels(picture, self._recipe))


def draw_image(file: Path, recipe: PixelRecipe) -> GreyPages:
    decoded = decode_image(file.read_bytes(), least_side=recipe.size)
    return to_grey(prepare_pixels(decoded.pixels, recipe, decoded.box))


def to_grey(pixels_cc3: Pixels) -> GreyPages:
    """(C, C), with the weights that the trained model has for colours (ITU-R BT.601)."""
    grey: GreyPages = np.rint(pixels_cc3 @ np.array(LUMA, np.float32)).astype(np.uint8)
    return grey
