"""Text files whose lines are paths or URLs: `clip-ingest urls.txt` does what `clip-ingest - < urls.txt` does."""

import os
from collections.abc import Generator, Iterator
from contextlib import closing
from functools import partial

from clip_vectorizer.public_urls import strip_secrets
from ingest.items import UnusableFile
from ingest.sources.base import FileOpener, SourceOptions
from ingest.sources.entries import Listing, ListingEntry, NameFilter, check_source_name, is_entry, parse_extension
from ingest.sources.reading import open_regular
from ingest.sources.stdin import MAX_PATH_BYTES, StdinListing
from ingest.sources.table_rows import open_text
from ingest.sources.transport import Transport
from ingest.sources.urls import is_url, parent_url

LIST_EXTENSIONS = (".txt", ".list", ".lst", ".urls")


def open_list(path: str, options: SourceOptions) -> Listing | None:
    """List the files that the lines of a text file name; paths are relative to its folder, or to `options.root`.

    Return None for a file that is no list: by its extension, or because its first line names no image.
    """
    path = os.path.abspath(path)  # noqa: PTH100 - not resolve(): the name is the one that the user typed
    base = os.path.abspath(options.root) if options.root and not is_url(options.root) else options.root  # noqa: PTH100
    base = base or os.path.dirname(path)  # noqa: PTH120
    return build_list(path, partial(open_regular, path), base, options, Transport.of(options))


def open_remote_list(url: str, options: SourceOptions, transport: Transport) -> Listing | None:
    """As `open_list`, for a file at a URL."""
    base = options.root or parent_url(url)
    return build_list(strip_secrets(url), partial(transport.open, url), base, options, transport)


def build_list(
    name: str, open_file: FileOpener, base: str, options: SourceOptions, transport: Transport
) -> Listing | None:
    if parse_extension(name) not in LIST_EXTENSIONS or not names_files(open_file, base):
        return None
    listing = StdinListing(check_source_name(name), base, options, NameFilter(options), transport)

    def entries() -> Iterator[ListingEntry]:
        return listing.entries(read_words(open_file))

    return Listing(name, entries, options)


def names_files(open_file: FileOpener, base: str) -> bool:
    """Whether the first line is a URL, or a path that has an image's extension or exists."""
    try:
        with closing(read_words(open_file)) as words:
            first = next(words, b"")
    except (OSError, UnusableFile, UnicodeError):  # UTF-16 that is cut off
        return False
    word = os.fsdecode(first)
    if not word or "\0" in word or len(word) > 4096:
        return False
    return is_url(word) or is_entry(word) or (not is_url(base) and os.path.lexists(os.path.join(base, word)))  # noqa: PTH118


def read_words(open_file: FileOpener) -> Generator[bytes]:
    """Yield the lines, without empty and repeated ones. Spaces around a URL do not count."""
    seen = set[str]()
    with open_text(open_file) as lines:
        for line in iter(lambda: lines.readline(MAX_PATH_BYTES), ""):
            word = line.strip() if is_url(line.strip()) else line.strip("\r\n")
            if word and word not in seen:
                seen.add(word)
                yield word.encode("utf-8", "surrogateescape")
