"""Expand a file, by its extension, to its items: one image, or one per page or frame."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit

from clip_vectorizer.database.schema import PAGE
from clip_vectorizer.image_files import IMAGE_SUFFIXES
from ingest.choices import Fit
from ingest.items import Facts, ItemOutcome, MetadataValue, SourceContent, SourceItem, Status, UnusableFile
from ingest.page_pixels import PagePixels
from ingest.sources.base import FileEntry, SourceOptions, SourceResult, make_stamp
from ingest.sources.exif import read_exif
from ingest.sources.frames import MAX_FRAMES, FrameReader, count_frames
from ingest.sources.page_facts import PageFacts
from ingest.sources.pdf import DrawnPage, count_pdf_pages, read_page
from ingest.sources.reading import read_whole

PDF_EXTENSION = ".pdf"
FRAME_EXTENSIONS = (".gif", ".tif", ".tiff", ".webp")  # may hold several frames
HEIF_EXTENSIONS = (".heic", ".heif")
FILE_EXTENSIONS = (*IMAGE_SUFFIXES, *HEIF_EXTENSIONS, PDF_EXTENSION)  # collected from folders and archives


def expand_entry(entry: FileEntry, options: SourceOptions) -> Iterator[SourceResult]:
    """Return the items of one file. A file that must be opened for that (PDF, frames) may give a failed outcome."""
    kind = parse_key_extension(entry.key)
    try:
        if kind == PDF_EXTENSION:
            yield from expand_pages(entry, options)
        elif options.frames and kind in FRAME_EXTENSIONS:
            yield from expand_frames(entry, options)
        else:
            yield build_image_item(entry, options)
    except UnusableFile as problem:
        yield fail_entry(entry, str(problem))


def parse_key_extension(key: str) -> str:
    """Return the extension in lower case, with its dot; for a URL that of its path."""
    return os.path.splitext(urlsplit(key).path if "://" in key else key)[1].lower()  # noqa: PTH122 - called a million times


def build_image_item(entry: FileEntry, options: SourceOptions) -> SourceItem:
    return build_item(entry, options, partial(read_whole, entry.open), fit=options.fit or Fit.CROP)


def expand_pages(entry: FileEntry, options: SourceOptions) -> Iterator[SourceResult]:
    fit = options.fit or Fit.PAD
    for number in range(1, count_pdf_pages(entry, options.pdf_passwords) + 1):
        page = PageReader(partial(read_page, entry, number, options.dpi, options.pdf_passwords), number)
        yield build_item(entry, options, page.read, fit, f"#page={number}", page.list_facts, dpi=options.dpi)


class PageReader:
    """A page of a PDF file, drawn once; what was found on it besides the picture is kept for the item's facts."""

    def __init__(self, draw: Callable[[], DrawnPage], number: int) -> None:
        self._draw, self._number = draw, number
        self._facts: PageFacts | None = None

    def read(self) -> PagePixels:
        drawn = self._draw()
        self._facts = drawn.facts
        return drawn.pixels

    def list_facts(self) -> dict[str, MetadataValue]:
        """Return the number of the page and, once it was read, what is on it."""
        return {PAGE: self._number, **(self._facts.to_metadata() if self._facts else {})}


def expand_frames(entry: FileEntry, options: SourceOptions, most: int = MAX_FRAMES) -> Iterator[SourceResult]:
    count = count_frames(entry, most)
    fit = options.fit or Fit.CROP
    if count == 1:
        yield build_image_item(entry, options)
        return
    count_used = min(count, most)
    read_frame = FrameReader(entry, count_used).read
    for number in range(1, count_used + 1):
        facts = partial(dict[str, MetadataValue], {PAGE: number})
        yield build_item(entry, options, partial(read_frame, number), fit, f"#frame={number}", facts)
    if count > most:
        yield fail_entry(entry, f"more than {most} frames; only the first {most} are ingested; split the file")


def build_item(
    entry: FileEntry,
    options: SourceOptions,
    read: Callable[[], SourceContent],
    fit: Fit,
    part: str = "",
    list_facts: Callable[[], Mapping[str, MetadataValue]] | None = None,
    dpi: int = 0,
) -> SourceItem:
    """Build the item of one `part` of the entry, such as `#page=3`.

    `list_facts`: metadata of this part, called after it was read.
    """

    def facts(content: SourceContent) -> Facts:
        found = read_exif(content) if options.exif and isinstance(content, bytes) else {}
        own = entry.facts()
        return replace(own, metadata={**found, **(list_facts() if list_facts else {}), **own.metadata})

    stamp = make_stamp(entry.stamp, part, fit, dpi, options.exif) if entry.stamp else ""
    return SourceItem(entry.key + part, entry.source, stamp, read, facts, fit, entry.held_bytes)


def fail_entry(entry: FileEntry, reason: str) -> ItemOutcome:
    return ItemOutcome(entry.key, Status.FAILED, reason, entry.source)
