"""A folder of folders of images: each folder's name is a class, `photo.txt` beside `photo.jpg` its caption."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from clip_vectorizer.errors import InputError, SidecarRefused
from clip_vectorizer.query.evaluation.data import Item, Labelled, Progress, checked
from clip_vectorizer.vectors import Vectors

PICTURES = (".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
IMAGES_A_STEP = 64

Outcome = Vectors | SidecarRefused | str


class ImageEncoder(Protocol):
    def embed_each_image(self, images: Sequence[bytes]) -> list[Vectors | SidecarRefused]: ...


def labelled_folder(folder: Path, encoder: ImageEncoder, progress: Progress) -> Labelled:
    """Every image under `folder`, embedded once. What cannot be read is in `left_out`.

    Raises InputError when that leaves less than two classes.
    """
    items = items_of(folder)
    outcomes = list(embedded(folder, items, encoder, progress))
    good = [(item, outcome) for item, outcome in zip(items, outcomes, strict=True) if isinstance(outcome, np.ndarray)]
    bad = [
        (item.path, str(each)) for item, each in zip(items, outcomes, strict=True) if not isinstance(each, np.ndarray)
    ]
    vectors_nd = np.stack([vector for _, vector in good]) if good else np.empty((0, 0), dtype=np.float32)
    return checked(Labelled(str(folder), tuple(item for item, _ in good), vectors_nd, tuple(bad)))


def items_of(folder: Path) -> list[Item]:
    """In the order of their paths. Raises InputError for a folder whose images lie in no folder of their class."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name one that has a folder of images for every class")
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in PICTURES and file.is_file())
    items = [Item(file.relative_to(folder).as_posix(), file.parent.name, caption_of(file)) for file in files]
    in_folders = [item for item in items if "/" in item.path]
    if not in_folders:
        found = f"{len(items)} images lie in it, but" if items else "it holds no images, and"
        raise InputError(
            f"{folder}: {found} no folder for a class; sort them into folders such as {folder}/cat and {folder}/dog"
        )
    return in_folders


def caption_of(file: Path) -> str:
    """A caption that is not UTF-8 text is none."""
    try:
        return file.with_suffix(".txt").read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def embedded(folder: Path, items: Sequence[Item], encoder: ImageEncoder, progress: Progress) -> Iterator[Outcome]:
    for start in range(0, len(items), IMAGES_A_STEP):
        files = [file_or_reason(folder / item.path) for item in items[start : start + IMAGES_A_STEP]]
        answers = iter(encoder.embed_each_image([file for file in files if isinstance(file, bytes)]))
        yield from [next(answers) if isinstance(file, bytes) else file for file in files]
        progress(f"{min(start + IMAGES_A_STEP, len(items))} of {len(items)} images embedded")


def file_or_reason(file: Path) -> bytes | str:
    try:
        return file.read_bytes() or "the file is empty (0 bytes)"
    except OSError as error:
        return error.strerror or str(error)
