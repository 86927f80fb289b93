"""A copy of images that can only be read one after another: of a Parquet file, of a collection.

An epoch reads images in an order of its own, so they are copied once, into one file with an index, and a continued
training has the same images whatever became of the source.
"""

import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from clip_vectorizer.progress import SILENT, StepProgress
from clip_vectorizer.training.captioned_images import CaptionedImage, CaptionedListing, sort_listing

DATA, INDEX = "images.bin", "index.ndjson"


@dataclass(frozen=True, slots=True)
class SourceImage:
    """An image of a source: its file, or its bytes."""

    key: str
    captions: tuple[str, ...]
    content: bytes | Path


@dataclass(frozen=True, slots=True)
class IndexLine:
    key: str
    captions: list[str]
    file: str  # "": it is in the copy
    offset: int = 0
    size: int = -1


def copy_images(images: Iterable[SourceImage], folder: Path, progress: StepProgress = SILENT) -> CaptionedListing:
    """Copy the images that are no files into `folder`; return all of them. Raises OSError, and what `images` raises."""
    shutil.rmtree(folder, ignore_errors=True)  # what an interrupted run has left
    folder.mkdir(parents=True)
    offset = 0
    with (folder / DATA).open("wb") as data, (folder / f"{INDEX}.part").open("w", encoding="utf-8") as index:
        for count, image in enumerate(images, 1):
            if isinstance(image.content, bytes):
                line = IndexLine(image.key, list(image.captions), "", offset, len(image.content))
                offset += data.write(image.content)
            else:
                line = IndexLine(image.key, list(image.captions), str(image.content))
            index.write(json.dumps(asdict(line), ensure_ascii=False) + "\n")
            progress.detail(f"{count:,} images copied, {offset / 1e6:,.0f} MB")
    (folder / f"{INDEX}.part").rename(folder / INDEX)
    return read_copy(folder)


def is_copied(folder: Path) -> bool:
    return (folder / INDEX).exists()


def read_copy(folder: Path) -> CaptionedListing:
    """List the images of a copy that is whole."""
    with (folder / INDEX).open(encoding="utf-8") as lines:
        found = [IndexLine(**json.loads(line)) for line in lines]
    return sort_listing(
        CaptionedImage(
            each.key,
            tuple(each.captions),
            Path(each.file) if each.file else folder / DATA,
            each.offset,
            each.size,
        )
        for each in found
    )
