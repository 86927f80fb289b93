"""Captioned images to learn from that are files: a folder with .txt files, a table of text, or WebDataset shards.

Listing reads captions and no image. The order is that of the keys, whatever the file system's is.
"""

import csv
import json
import os
import random
import tarfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from clip_vectorizer.errors import InputError
from clip_vectorizer.image_files import IMAGE_SUFFIXES, is_image_file

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
SHARD_SUFFIX, CAPTION_SUFFIX = ".tar", ".txt"
PATH_COLUMNS = ("path", "file", "filename", "file_name", "filepath", "image", "image_path")
CAPTION_COLUMNS = ("caption", "captions", "text", "title", "description")
LEAST_IMAGES = 2  # one pair alone has nothing to differ from
SOURCES = (
    "name a folder with captions in .txt files, a table (.csv, .tsv, .jsonl, .parquet), WebDataset shards (.tar), or a "
    "collection (weaviate:Image)"
)


@dataclass(frozen=True, slots=True)
class CaptionedImage:
    """An image, whose bytes are read when they are needed, and what is written of it."""

    key: str
    captions: tuple[str, ...]
    file: Path
    offset: int = 0  # of its bytes in the file
    size: int = -1  # in bytes; -1: to the end

    def read(self) -> bytes:
        """Return the image file. Raises OSError."""
        with self.file.open("rb") as stream:
            stream.seek(self.offset)
            return stream.read(self.size)


@dataclass(frozen=True, slots=True)
class CaptionColumns:
    """The columns of a table; "" is the first usual name that the table has."""

    path: str = ""
    caption: str = ""
    usual_captions: tuple[str, ...] = CAPTION_COLUMNS
    caption_option: str = "--caption-column"


@dataclass(frozen=True, slots=True)
class CaptionedListing:
    images: tuple[CaptionedImage, ...]
    without_caption: int = 0  # images that are left out


def list_captioned_images(source: Path, columns: CaptionColumns = CaptionColumns()) -> CaptionedListing:
    """List the captioned images of `source`. Raises InputError where there are fewer than two."""
    return check_listing(source, read_listing(source, columns))


def check_listing(source: Path, listing: CaptionedListing) -> CaptionedListing:
    """Return `listing`. Raises InputError where it has fewer than two images."""
    if len(listing.images) < LEAST_IMAGES:
        bare = f", and {listing.without_caption} without a caption" if listing.without_caption else ""
        found = f"{len(listing.images)} image{'' if len(listing.images) == 1 else 's'} with a caption{bare}"
        raise InputError(f"{source} has {found}; contrastive training needs at least {LEAST_IMAGES}: {SOURCES}")
    return listing


def read_listing(source: Path, columns: CaptionColumns) -> CaptionedListing:
    if require_source(source).is_dir():
        return list_folder(source)
    if is_table(source):
        return list_table(source, columns)
    if source.suffix.lower() == SHARD_SUFFIX:
        return list_shards([source])
    raise InputError(f"{source} is none of the sources that training reads; {SOURCES}")


def require_source(source: Path) -> Path:
    """Return `source`. Raises InputError where it does not exist."""
    if not source.exists():
        raise InputError(f"{source}: no such file or folder; {SOURCES}")
    return source


def is_table(source: Path) -> bool:
    return source.suffix.lower() in TABLE_SUFFIXES


def list_folder(folder: Path) -> CaptionedListing:
    """Images with x.jpg.txt or x.txt beside them; if there are no images, the shards in the folder."""
    files = list(walk_files(folder))
    images = [file for file in files if is_image_file(file)]
    shards = [file for file in files if file.suffix.lower() == SHARD_SUFFIX]
    if shards and not images:
        return list_shards(shards)
    texts = {file for file in files if file.suffix.lower() == CAPTION_SUFFIX}
    found = [(file, find_caption(file, texts)) for file in images]
    return sort_listing(
        CaptionedImage(file.relative_to(folder).as_posix(), (caption,) if caption else (), file)
        for file, caption in found
    )


def walk_files(folder: Path) -> Iterator[Path]:
    """All files under `folder`, without hidden ones."""
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(root, name) for name in names if not name.startswith("."))


def find_caption(image: Path, texts: set[Path]) -> str:
    """The caption beside an image; "" if there is none. Raises InputError for a text that is not UTF-8."""
    for file in (image.with_name(f"{image.name}{CAPTION_SUFFIX}"), image.with_suffix(CAPTION_SUFFIX)):
        if file in texts:
            return decode_caption(file.read_bytes(), str(file))
    return ""


def decode_caption(data: bytes, name: str) -> str:
    """Text on one line. Raises InputError."""
    try:
        return " ".join(data.decode("utf-8-sig").split())
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 text ({error.reason}, byte {error.start}); save it as UTF-8") from error


def list_table(table: Path, columns: CaptionColumns) -> CaptionedListing:
    """One image a row, relative to the table's folder. Rows of one image are one image with several captions."""
    captions: dict[str, list[str]] = defaultdict(list)
    chosen: CaptionColumns | None = None
    for row in read_rows(table):
        chosen = chosen or choose_columns(table, row, columns)
        path = str(row.get(chosen.path) or "").strip()
        if path:
            captions[path] += clean_captions(row.get(chosen.caption))
    return sort_listing(
        CaptionedImage(path, tuple(dict.fromkeys(texts)), table.parent / path) for path, texts in captions.items()
    )


def clean_captions(value: Any) -> list[str]:
    """The texts of a cell, which may be a list in JSON."""
    texts = value if isinstance(value, list) else [value]
    return [clean for text in texts if text is not None and (clean := " ".join(str(text).split()))]


def choose_columns(table: Path, row: Mapping[str, Any], columns: CaptionColumns) -> CaptionColumns:
    """Choose by the first row. Raises InputError."""
    return CaptionColumns(
        choose_column(table, row, columns.path, PATH_COLUMNS, "--path-column"),
        choose_column(table, row, columns.caption, columns.usual_captions, columns.caption_option),
    )


def choose_column(table: Path, row: Mapping[str, Any], name: str, usual: Sequence[str], option: str) -> str:
    """Return `name`, or the first column with a usual name. Raises InputError."""
    if name in row:
        return name
    lower = {column.lower(): column for column in row}
    if not name and (found := next((lower[each] for each in usual if each in lower), None)) is not None:
        return found
    missing = f"no column {name!r}" if name else f"no column that is called {', '.join(usual[:-1])} or {usual[-1]}"
    raise InputError(f"{table} has {missing}; its columns are {', '.join(row)}: name one with {option}")


def read_rows(table: Path) -> Iterator[dict[str, Any]]:
    """Raises InputError for a row that cannot be read, by its line."""
    with table.open(encoding="utf-8-sig", newline="") as lines:
        try:
            if table.suffix.lower() in (".csv", ".tsv"):
                yield from read_separated(lines, "\t" if table.suffix.lower() == ".tsv" else ",")
            else:
                yield from read_json_lines(lines, table)
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{table} cannot be read as a table in UTF-8 ({error})") from error


def read_separated(lines: Iterable[str], separator: str) -> Iterator[dict[str, Any]]:
    for row in csv.DictReader(lines, delimiter=separator):
        yield {str(name): value for name, value in row.items() if name is not None}


def read_json_lines(lines: Iterable[str], table: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InputError(f"{table} line {number} is not JSON ({error})") from error
            if not isinstance(row, dict):
                raise InputError(f"{table} line {number} is not a JSON object; write one a line")
            yield row


def list_shards(shards: Sequence[Path]) -> CaptionedListing:
    return sort_listing(image for shard in shards for image in list_shard(shard))


def list_shard(shard: Path) -> Iterator[CaptionedImage]:
    """The samples of a shard: members that are called alike up to the first dot. Raises InputError."""
    try:
        with tarfile.open(shard, "r:") as archive:
            samples: dict[str, dict[str, tarfile.TarInfo]] = defaultdict(dict)
            for member in archive:
                stem, suffix = split_member(member.name)
                if member.isfile() and suffix:
                    samples[stem].setdefault(suffix, member)
            for stem, members in samples.items():
                yield from build_sample(shard, archive, stem, members)
    except tarfile.TarError as error:
        raise InputError(f"{shard} is not a plain tar file ({error}); unpack a compressed one first") from error


def split_member(name: str) -> tuple[str, str]:
    """
    >>> split_member("a.b/0001.seg.PNG")
    ('a.b/0001', '.png')
    """
    path = PurePosixPath(name)
    stem = path.name.partition(".")[0]
    return str(path.with_name(stem)) if stem else "", path.suffix.lower()


def build_sample(
    shard: Path, archive: tarfile.TarFile, stem: str, members: Mapping[str, tarfile.TarInfo]
) -> Iterator[CaptionedImage]:
    image = next((members[suffix] for suffix in members if suffix in IMAGE_SUFFIXES), None)
    if image is None:
        return
    text = members.get(CAPTION_SUFFIX)
    stream = archive.extractfile(text) if text else None
    caption = decode_caption(stream.read(), f"{shard}::{stem}{CAPTION_SUFFIX}") if stream else ""
    key = f"{shard.name}::{image.name}"
    yield CaptionedImage(key, (caption,) if caption else (), shard, image.offset_data, image.size)


def sort_listing(images: Iterable[CaptionedImage]) -> CaptionedListing:
    """Sort by key, and leave out images without a caption."""
    found = sorted(images, key=lambda image: image.key)
    captioned = tuple(image for image in found if image.captions)
    return CaptionedListing(captioned, len(found) - len(captioned))


def split_validation(
    images: Sequence[CaptionedImage], share: float, seed: int
) -> tuple[list[CaptionedImage], list[CaptionedImage]]:
    """Return the images to learn from and those held out: `share` of all, at least two of them; none for a share of 0.

    Raises InputError where fewer than two are left to learn from.
    """
    if not share:
        return list(images), []
    held = max(LEAST_IMAGES, round(share * len(images)))
    if len(images) - held < LEAST_IMAGES:
        raise InputError(
            f"{len(images)} captioned images are too few to hold out {held} of them for validation; "
            "add images, name others with --validation, or use --validation-share 0"
        )
    chosen = set(random.Random(seed).sample(range(len(images)), held))
    learned = [image for index, image in enumerate(images) if index not in chosen]
    return learned, [images[index] for index in sorted(chosen)]
