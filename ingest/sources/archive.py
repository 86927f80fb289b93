"""Images in archives, with keys such as `a.tar::cats/x.jpg`: tar, compressed or not, WebDataset shards, and zip."""

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
from ingest.sources.base import FileOpener, SourceOptions, is_settled, make_stamp
from ingest.sources.entries import ENTRY_EXTENSIONS, Listing, ListingEntry, NameFilter, check_source_name
from ingest.sources.reading import open_regular
from ingest.sources.tars import read_plain_contents, read_stream_contents
from ingest.sources.zips import read_zip_contents

DECOMPRESSORS: dict[bytes, Callable[[BinaryIO], object]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}
ZSTANDARD_MAGIC = b"\x28\xb5\x2f\xfd"


def open_archive(name: str, open_file: FileOpener, stamp: str | Callable[[], str], options: SourceOptions) -> Listing:
    """List the images in an archive at a path or URL. Nothing is opened before the iteration.

    `open_file` is called once for every reading thread and returns a seekable file. `stamp` identifies the archive's
    version, "" if that is unknown; a function is called for every iteration. If a part of the archive cannot be read,
    that is one failure, under the key `a.tar::`.
    """
    name, name_filter = check_source_name(name), NameFilter(options)

    def entries() -> Iterator[ListingEntry]:
        archive = ArchiveInfo(name, stamp if isinstance(stamp, str) else stamp(), options)
        return list_archive(archive, open_file, name_filter)

    return Listing(name, entries, options)


def open_archive_on_disk(path: str, options: SourceOptions) -> Listing:
    path = os.path.abspath(path)  # noqa: PTH100 - not resolve(): the key is the name that the user typed
    return open_archive(path, partial(open_regular, path), partial(stamp_archive, path), options)


def stamp_archive(path: str) -> str:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return ""
    return make_stamp(status.st_size, status.st_mtime_ns) if is_settled(status.st_mtime_ns) else ""


def list_archive(archive: ArchiveInfo, open_file: FileOpener, name_filter: NameFilter) -> Iterator[ListingEntry]:
    try:
        with open_contents(archive, open_file, name_filter) as contents:
            sorter = MemberSorter(archive, name_filter, contents)
            yield from sorter.entries(contents.members)
    except VectorizerError:  # not a fault of the archive but of its transport
        raise
    except UnusableFile as problem:
        yield archive.build_failure(str(problem))
        return
    except Exception as error:  # tarfile, zipfile and the decompressors raise many types over broken files
        yield archive.build_failure(
            f"cannot be read any further ({format_error(error)}); what came before it is ingested"
        )
        return
    yield from sorter.list_dropped()
    if not sorter.has_images:
        yield archive.build_failure(f"no images in this archive; looked for {', '.join(ENTRY_EXTENSIONS)} files")


def format_error(error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(reason.split()) or type(error).__name__


@contextmanager
def open_contents(archive: ArchiveInfo, open_file: FileOpener, name_filter: NameFilter) -> Iterator[ArchiveContents]:
    """Open by the first bytes, not by the name: many .tar files are compressed."""
    with open_file() as file:
        start = file.read(8)
    if start.startswith(b"PK") or archive.base.lower().endswith(".zip"):
        yield read_zip_contents(open_file)
    elif start.startswith(ZSTANDARD_MAGIC):
        raise UnusableFile("compressed by zstd; unpack it")
    elif decompress := next((function for magic, function in DECOMPRESSORS.items() if start.startswith(magic)), None):
        with open_file() as file:
            yield read_stream_contents(
                partial(rewind_and_decompress, file, decompress), partial(is_annotation, name_filter)
            )
    else:
        yield read_plain_contents(open_file)


def rewind_and_decompress(file: BinaryIO, decompress: Callable[[BinaryIO], object]) -> BinaryIO:
    file.seek(0)
    return cast(BinaryIO, decompress(file))
