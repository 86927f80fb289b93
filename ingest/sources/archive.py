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
from ingest.sources.archive_members import ArchiveContents, ArchiveInfo, MemberSorter, is_annotation
from ingest.sources.base import SourceOptions, is_settled, make_stamp
from ingest.sources.entries import ENTRY_EXTENSIONS, Listing, ListingEntry, NameFilter, check_source_name
from ingest.sources.reading import open_regular
from ingest.sources.tars import read_plain_contents, read_stream_contents
from ingest.sources.zips import read_zip_contents

ArchiveOpener = Callable[[], BinaryIO]
DECOMPRESSORS: dict[bytes, Callable[[BinaryIO], object]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}
ZSTANDARD_MAGIC = b"\x28\xb5\x2f\xfd"


def open_archive(
    name: str, open_file: ArchiveOpener, stamp: str | Callable[[], str], options: SourceOptions
) -> Listing:
    """The images in an archive at a path or an address. Nothing is opened until it is iterated over.

    `open_file` opens it once for every thread that reads; the files must be seekable. `stamp` tells its version, ""
    when that cannot be known; given as a function it is asked every time. What cannot be read of the archive is one
    failure, under the key `a.tar::`.
    """
    name, names = check_source_name(name), NameFilter(options)

    def entries() -> Iterator[ListingEntry]:
        archive = ArchiveInfo(name, stamp if isinstance(stamp, str) else stamp(), options)
        return list_archive(archive, open_file, names)

    return Listing(name, entries, options)


def open_archive_on_disk(path: str, options: SourceOptions) -> Listing:
    path = os.path.abspath(path)  # noqa: PTH100 - not resolve(): the key is the name the user sees
    return open_archive(path, partial(open_regular, path), partial(stamp_archive, path), options)


def stamp_archive(path: str) -> str:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return ""
    return make_stamp(status.st_size, status.st_mtime_ns) if is_settled(status.st_mtime_ns) else ""


def list_archive(archive: ArchiveInfo, open_file: ArchiveOpener, names: NameFilter) -> Iterator[ListingEntry]:
    try:
        with open_contents(archive, open_file, names) as inside:
            shelf = MemberSorter(archive, names, inside.notes)
            yield from shelf.entries(inside.members)
    except VectorizerError:  # not of this archive, but of whatever it is reached by
        raise
    except UnusableFile as problem:
        yield archive.broken(str(problem))
        return
    except Exception as error:  # tarfile, zipfile and the decompressors raise all kinds over broken files
        yield archive.broken(f"cannot be read any further ({format_error(error)}); what came before is taken")
        return
    yield from shelf.rest()
    if not shelf.holds_images:
        yield archive.broken(f"no images in this archive; looked for {', '.join(ENTRY_EXTENSIONS)} files")


def format_error(error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(reason.split()) or type(error).__name__


@contextmanager
def open_contents(archive: ArchiveInfo, open_file: ArchiveOpener, names: NameFilter) -> Iterator[ArchiveContents]:
    """What the first bytes say counts, not the name: many a .tar file is compressed."""
    with open_file() as file:
        start = file.read(8)
    if start.startswith(b"PK") or archive.base.lower().endswith(".zip"):
        yield read_zip_contents(open_file)
    elif start.startswith(ZSTANDARD_MAGIC):
        raise UnusableFile("compressed by zstd; unpack it")
    elif decompress := next((how for magic, how in DECOMPRESSORS.items() if start.startswith(magic)), None):
        with open_file() as file:
            yield read_stream_contents(partial(rewind_and_decompress, file, decompress), partial(is_annotation, names))
    else:
        yield read_plain_contents(open_file)


def rewind_and_decompress(file: BinaryIO, decompress: Callable[[BinaryIO], object]) -> BinaryIO:
    file.seek(0)
    return cast(BinaryIO, decompress(file))
