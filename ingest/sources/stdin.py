"""Paths and addresses, one a line, from the standard input."""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from clip_vectorizer.threads import DaemonThreads
from ingest.items import Facts, Fate, Outcome, UnusableFile
from ingest.sources.addresses import is_address, public
from ingest.sources.base import Entry, Skipped, SourceOptions, stamp_of
from ingest.sources.far import Far
from ingest.sources.files import lone_entry
from ingest.sources.listing import Listed, Listing, sound_name
from ingest.sources.located import Place, locate
from ingest.sources.names import Names, extension, is_archive, is_entry, is_table, sound

CHUNK_BYTES = 65_536
LONGEST_PATH = 1_000_000  # bytes: more without an end is no list of paths
REQUESTS_AT_ONCE = 16
AHEAD = 64


def open_stdin(stream: BinaryIO, options: SourceOptions, far: Far | None = None) -> Listing:
    """Files named one a line, or ended by NUL. They are read as they come, and remembered for another time."""
    given = options.root or os.getcwd()  # noqa: PTH109
    root = given if is_address(given) else os.path.abspath(given)  # noqa: PTH100
    paths = Paths(stream, b"\0" if options.nul else b"\n")
    source = public(root) if is_address(root) else sound_name(root)
    named = Named(source, root, options, Names(options), far or Far(options.storage))
    return Listing(source, lambda: named.entries(paths), options)


class Paths:
    """What was read of the stream, and then the rest of it. Every path comes once."""

    def __init__(self, stream: BinaryIO, end: bytes) -> None:
        self._known: dict[bytes, None] = {}
        self._order: list[bytes] = []
        self._fresh = pieces(stream, end)

    def __iter__(self) -> Iterator[bytes]:
        at = 0
        while at < len(self._order) or self._read_one():
            yield self._order[at]
            at += 1

    def _read_one(self) -> bool:
        for path in self._fresh:
            if path not in self._known:
                self._known[path] = None
                self._order.append(path)
                return True
        return False


def pieces(stream: BinaryIO, end: bytes) -> Iterator[bytes]:
    """Without empty ones. A line may end as Windows ends it."""
    rest, read = b"", getattr(stream, "read1", stream.read)  # read1: what there is, without waiting for more
    while chunk := read(CHUNK_BYTES):
        *whole, rest = (rest + chunk).split(end)
        yield from (path for each in whole if (path := each.removesuffix(b"\r") if end == b"\n" else each))
        if len(rest) > LONGEST_PATH:
            break
    if last := rest.removesuffix(b"\r") if end == b"\n" else rest:
        yield last


@dataclass(frozen=True, slots=True)
class Named:
    source: str
    root: str  # absolute, or an address
    options: SourceOptions
    names: Names
    far: Far

    def entries(self, paths: Paths) -> Iterator[Listed]:
        """In their order. Addresses are asked for their versions, several at once."""
        threads: list[DaemonThreads] = []
        ahead: deque[Listed | Future[Listed]] = deque()
        for path in paths:
            found = self._found(os.fsdecode(path))
            if isinstance(found, Place):
                threads = threads or [DaemonThreads(REQUESTS_AT_ONCE, "stamps")]
                ahead.append(threads[0].submit(partial(far_entry, found, self.source)))
            elif found:
                ahead.append(found)
            while ahead and (len(ahead) > AHEAD or is_ready(ahead[0])):
                yield ready(ahead.popleft())
        yield from map(ready, ahead)

    def _found(self, path: str) -> Listed | Place | None:
        """None: it does not count."""
        if "\0" in path:
            reason = "ends with NUL, not with a new line; add -0"
            return Outcome(sound(path.partition("\0")[0]), Fate.FAILED, reason, self.source)
        if is_address(path) or is_address(self.root):
            try:
                return locate(path, self.root, self.far)
            except UnusableFile as problem:
                return Outcome(sound(path), Fate.FAILED, str(problem), self.source)
        file = os.path.normpath(os.path.join(self.root, path))  # noqa: PTH118
        key = file[len(self.root.rstrip("/")) + 1 :] if is_below(file, self.root) else file
        if not self.names.count_path(key):
            return None
        return self._file(file, key)

    def _file(self, file: str, key: str) -> Listed:
        if os.path.isdir(file):  # noqa: PTH112
            return Outcome(sound(key), Fate.FAILED, "a folder; name its files, or make it a SOURCE", self.source)
        if is_archive(file) or is_table(file):
            return Outcome(sound(key), Fate.FAILED, "an archive or a table; make it a SOURCE", self.source)
        if extension(file) and not is_entry(file):
            return Skipped(sound(key))
        return lone_entry(file, key, self.source, self.options)


def far_entry(place: Place, source: str) -> Listed:
    try:
        stamp = place.stamp()
    except UnusableFile as problem:
        return Outcome(place.key, Fate.FAILED, str(problem), source)
    return Entry(place.key, source, stamp_of("far", stamp) if stamp else "", place.open, Facts)


def is_ready(listed: Listed | Future[Listed]) -> bool:
    return not isinstance(listed, Future) or listed.done()


def ready(listed: Listed | Future[Listed]) -> Listed:
    return listed.result() if isinstance(listed, Future) else listed


def is_below(file: str, folder: str) -> bool:
    return file.startswith(folder.rstrip("/") + "/")
