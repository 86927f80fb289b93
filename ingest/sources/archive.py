"""Archives as folders of images: `a.tar::cats/x.jpg`. Tar, compressed or not, WebDataset's shards, and zip."""

import bz2
import gzip
import lzma
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import BinaryIO, cast

from clip_vectorizer.errors import VectorizerError
from ingest.items import UnusableFile
from ingest.sources.base import SourceOptions, settled, stamp_of
from ingest.sources.listing import Listed, Listing, sound_name
from ingest.sources.members import Archive, Contents, Shelf, is_note
from ingest.sources.names import ENTRIES, Names
from ingest.sources.reading import open_regular
from ingest.sources.tar_streams import stream_contents
from ingest.sources.tars import plain_contents
from ingest.sources.zips import zip_contents

Open = Callable[[], BinaryIO]
DECOMPRESSORS: dict[bytes, Callable[[BinaryIO], object]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}
ZSTANDARD = b"\x28\xb5\x2f\xfd"


def open_archive(name: str, open_file: Open, stamp: str | Callable[[], str], options: SourceOptions) -> Listing:
    """The images in an archive at a path or an address. Nothing is opened until it is iterated over.

    `open_file` opens it once for every thread that reads; the files must be seekable. `stamp` tells its version, ""
    when that cannot be known; given as a function it is asked every time. What cannot be read of the archive is one
    failure, under the key `a.tar::`.
    """
    name, names = sound_name(name), Names(options)

    def entries() -> Iterator[Listed]:
        archive = Archive(name, stamp if isinstance(stamp, str) else stamp(), options)
        return list_archive(archive, open_file, names)

    return Listing(name, entries, options)


def open_archive_on_disk(path: str, options: SourceOptions) -> Listing:
    path = os.path.abspath(path)  # noqa: PTH100 - not resolve(): the key is the name the user sees
    return open_archive(path, partial(open_regular, path), partial(stamp_on_disk, path), options)


def stamp_on_disk(path: str) -> str:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return ""
    return stamp_of(status.st_size, status.st_mtime_ns) if settled(status.st_mtime_ns) else ""


def list_archive(archive: Archive, open_file: Open, names: Names) -> Iterator[Listed]:
    try:
        with contents(archive, open_file, names) as inside:
            shelf = Shelf(archive, names, inside.notes)
            yield from shelf.entries(inside.members)
    except VectorizerError:  # not of this archive, but of whatever it is reached by
        raise
    except UnusableFile as problem:
        yield archive.broken(str(problem))
        return
    except Exception as error:  # tarfile, zipfile and the decompressors raise all kinds over broken files
        yield archive.broken(f"cannot be read any further ({told(error)}); what came before is taken")
        return
    yield from shelf.rest()
    if not shelf.holds_images:
        yield archive.broken(f"no images in this archive; looked for {', '.join(ENTRIES)} files")


def told(error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(reason.split()) or type(error).__name__


@contextmanager
def contents(archive: Archive, open_file: Open, names: Names) -> Iterator[Contents]:
    """What the first bytes say counts, not the name: many a .tar file is compressed."""
    with open_file() as file:
        start = file.read(8)
    if start.startswith(b"PK") or archive.base.lower().endswith(".zip"):
        yield zip_contents(open_file)
    elif start.startswith(ZSTANDARD):
        raise UnusableFile("compressed by zstd; unpack it")
    elif decompress := next((how for magic, how in DECOMPRESSORS.items() if start.startswith(magic)), None):
        with open_file() as file:
            yield stream_contents(partial(from_start, file, decompress), partial(is_note, names))
    else:
        yield plain_contents(open_file)


def from_start(file: BinaryIO, decompress: Callable[[BinaryIO], object]) -> BinaryIO:
    file.seek(0)
    return cast(BinaryIO, decompress(file))
