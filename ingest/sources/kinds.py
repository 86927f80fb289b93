"""What a file holds, told by its extension: one picture, or a picture a page or frame."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit

from ingest.items import Facts, Fate, Fit, Item, Outcome, UnusableFile, Value
from ingest.sources import heif
from ingest.sources.base import Entry, Found, SourceOptions, stamp_of
from ingest.sources.exif import exif_metadata
from ingest.sources.frames import MAX_FRAMES, Frames, count_frames
from ingest.sources.pdf import count_pages, read_page
from ingest.sources.reading import read_whole

PICTURES = (".avif", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
PDF = ".pdf"
EXTENSIONS = (*PICTURES, *heif.EXTENSIONS, PDF)  # of all that a folder or an archive is searched for
FRAMED = (".gif", ".tif", ".tiff", ".webp")  # may hold many frames


def expand(entry: Entry, options: SourceOptions) -> Iterator[Found]:
    """The items of one file. A file that must be opened to know them (PDF, frames) may end in a failed Outcome."""
    kind = extension_of(entry.key)
    try:
        if kind == PDF:
            yield from pages(entry, options)
        elif options.frames and kind in FRAMED:
            yield from frames(entry, options)
        else:
            yield picture(entry, options, heif.as_jpeg if kind in heif.EXTENSIONS else None)
    except UnusableFile as problem:
        yield failed(entry, str(problem))


def extension_of(key: str) -> str:
    """Lower case, with its dot; of an address that of its path."""
    return os.path.splitext(urlsplit(key).path if "://" in key else key)[1].lower()  # noqa: PTH122 - called a million times


def picture(entry: Entry, options: SourceOptions, convert: Callable[[bytes], bytes] | None = None) -> Item:
    def read() -> bytes:
        data = read_whole(entry.open)
        return convert(data) if convert else data

    return item(entry, options, read, fit=options.fit or Fit.CROP)


def pages(entry: Entry, options: SourceOptions) -> Iterator[Found]:
    fit = options.fit or Fit.PAD
    for number in range(1, count_pages(entry) + 1):
        read = partial(read_page, entry, number, options.dpi)
        yield item(entry, options, read, fit, f"#page={number}", {"page": number}, dpi=options.dpi)


def frames(entry: Entry, options: SourceOptions, most: int = MAX_FRAMES) -> Iterator[Found]:
    count = count_frames(entry, most)
    fit = options.fit or Fit.CROP
    if count == 1:
        yield picture(entry, options)
        return
    taken = min(count, most)
    read_frame = Frames(entry, taken).read
    for number in range(1, taken + 1):
        yield item(entry, options, partial(read_frame, number), fit, f"#frame={number}", {"page": number})
    if count > most:
        yield failed(entry, f"more than {most} frames; only the first {most} are taken: split the file")


def item(
    entry: Entry,
    options: SourceOptions,
    read: Callable[[], bytes],
    fit: Fit,
    part: str = "",
    known: Mapping[str, Value] | None = None,
    dpi: int = 0,
) -> Item:
    """`part` of the entry, of which `known` is told beside what the entry tells."""

    def facts(data: bytes) -> Facts:
        found = exif_metadata(data) if options.exif else {}
        own = entry.facts()
        return replace(own, metadata={**found, **(known or {}), **own.metadata})

    stamp = stamp_of(entry.stamp, part, fit, dpi, options.exif) if entry.stamp else ""
    return Item(entry.key + part, entry.source, stamp, read, facts, fit, entry.held_bytes)


def failed(entry: Entry, reason: str) -> Outcome:
    return Outcome(entry.key, Fate.FAILED, reason, entry.source)
