"""Paths and URLs from the standard input, one per line."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from clip_vectorizer.public_urls import strip_secrets
from clip_vectorizer.threads import DaemonThreads
from ingest.items import Facts, ItemOutcome, Status, UnusableFile
from ingest.sources.base import FileEntry, SkippedFile, SourceOptions, make_stamp
from ingest.sources.disk import build_lone_entry
from ingest.sources.entries import (
    Listing,
    ListingEntry,
    NameFilter,
    check_source_name,
    escape_non_utf8,
    is_archive,
    is_entry,
    is_table,
    parse_extension,
)
from ingest.sources.locations import FileLocation, locate
from ingest.sources.transport import Transport
from ingest.sources.urls import is_url

CHUNK_BYTES = 65_536
MAX_PATH_BYTES = 1_000_000  # input with a longer line is no list of paths
REQUESTS_AT_ONCE = 16
MAX_ENTRIES_AHEAD = 64


def open_stdin(stream: BinaryIO, options: SourceOptions, transport: Transport | None = None) -> Listing:
    """List the files named on `stream`, one per line or terminated by NUL.

    Names are read as they arrive, and kept, so that the source can be iterated again.
    """
    root = options.root or os.getcwd()  # noqa: PTH109
    root = root if is_url(root) else os.path.abspath(root)  # noqa: PTH100
    paths = PathStream(stream, b"\0" if options.nul else b"\n")
    source = strip_secrets(root) if is_url(root) else check_source_name(root)
    listing = StdinListing(source, root, options, NameFilter(options), transport or Transport.of(options))
    return Listing(source, lambda: listing.entries(paths), options)


class PathStream:
    """The paths read from the stream so far, then the rest of it; without duplicates."""

    def __init__(self, stream: BinaryIO, end: bytes) -> None:
        self._paths: dict[bytes, None] = {}
        self._order: list[bytes] = []
        self._unread = split_stream(stream, end)

    def __iter__(self) -> Iterator[bytes]:
        at = 0
        while at < len(self._order) or self._read_one():
            yield self._order[at]
            at += 1

    def _read_one(self) -> bool:
        for path in self._unread:
            if path not in self._paths:
                self._paths[path] = None
                self._order.append(path)
                return True
        return False


def split_stream(stream: BinaryIO, end: bytes) -> Iterator[bytes]:
    """Split the stream at `end`, without empty pieces. Lines may end with CR LF."""
    rest = b""
    read = getattr(stream, "read1", stream.read)  # read1: returns what is available, without waiting for more
    while chunk := read(CHUNK_BYTES):
        *whole, rest = (rest + chunk).split(end)
        yield from (path for each in whole if (path := each.removesuffix(b"\r") if end == b"\n" else each))
        if len(rest) > MAX_PATH_BYTES:
            break
    if last := rest.removesuffix(b"\r") if end == b"\n" else rest:
        yield last


@dataclass(frozen=True, slots=True)
class StdinListing:
    source: str
    root: str  # absolute path or URL
    options: SourceOptions
    names: NameFilter
    transport: Transport

    def entries(self, paths: Iterable[bytes]) -> Iterator[ListingEntry]:
        """List the entries in the order of `paths`. The stamps of URLs are requested several at a time."""
        threads: list[DaemonThreads] = []
        ahead: deque[ListingEntry | Future[ListingEntry]] = deque()
        for path in paths:
            found = self._resolve(os.fsdecode(path))
            if isinstance(found, FileLocation):
                threads = threads or [DaemonThreads(REQUESTS_AT_ONCE, "stamps")]
                ahead.append(threads[0].submit(partial(build_remote_entry, found, self.source)))
            elif found:
                ahead.append(found)
            while ahead and (len(ahead) > MAX_ENTRIES_AHEAD or is_entry_ready(ahead[0])):
                yield wait_for_entry(ahead.popleft())
        yield from map(wait_for_entry, ahead)

    def _resolve(self, path: str) -> ListingEntry | FileLocation | None:
        """Resolve one path; None if it is ignored."""
        if "\0" in path:
            reason = "ends with NUL, not with a new line; add -0"
            return ItemOutcome(escape_non_utf8(path.partition("\0")[0]), Status.FAILED, reason, self.source)
        if is_url(path) or is_url(self.root):
            try:
                return locate(path, self.root, self.transport)
            except UnusableFile as problem:
                return ItemOutcome(escape_non_utf8(path), Status.FAILED, str(problem), self.source)
        file = os.path.normpath(os.path.join(self.root, path))  # noqa: PTH118
        key = file[len(self.root.rstrip("/")) + 1 :] if is_below(file, self.root) else file
        if not self.names.accepts_path(key):
            return None
        return self._file(file, key)

    def _file(self, file: str, key: str) -> ListingEntry:
        if os.path.isdir(file):  # noqa: PTH112
            return ItemOutcome(
                escape_non_utf8(key), Status.FAILED, "a folder; name its files, or name it as a SOURCE", self.source
            )
        if is_archive(file) or is_table(file):
            return ItemOutcome(
                escape_non_utf8(key), Status.FAILED, "an archive or a table; name it as a SOURCE", self.source
            )
        if parse_extension(file) and not is_entry(file):
            return SkippedFile(escape_non_utf8(key))
        return build_lone_entry(file, key, self.source, self.options)


def build_remote_entry(location: FileLocation, source: str) -> ListingEntry:
    try:
        stamp = location.stamp()
    except UnusableFile as problem:
        return ItemOutcome(location.key, Status.FAILED, str(problem), source)
    return FileEntry(location.key, source, make_stamp("far", stamp) if stamp else "", location.open, Facts)


def is_entry_ready(listed: ListingEntry | Future[ListingEntry]) -> bool:
    return not isinstance(listed, Future) or listed.done()


def wait_for_entry(listed: ListingEntry | Future[ListingEntry]) -> ListingEntry:
    return listed.result() if isinstance(listed, Future) else listed


def is_below(file: str, folder: str) -> bool:
    return file.startswith(folder.rstrip("/") + "/")
