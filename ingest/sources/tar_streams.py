"""Members of compressed tar files, which are read from front to end.

A caption may lie anywhere, and tar packs a folder in no order at all: so the file is gone through twice, first for the
notes, which are small, then for the images, each of which leaves with its own.
"""

import io
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import BinaryIO, cast

from clip_vectorizer.errors import VectorizerError
from ingest.items import UnusableFile
from ingest.sources.beside import CAPTION, LABEL, MAX_CAPTION_BYTES, MAX_METADATA_BYTES, METADATA
from ingest.sources.members import Contents, Member, path_in
from ingest.sources.names import extension, is_entry
from ingest.sources.reading import MAX_FILE_BYTES
from ingest.sources.tar_headers import CHUNK_BYTES, headers, open_tar
from ingest.sources.tars import ended_by

MAX_NOTES_BYTES = 256_000_000  # of memory, for all notes of a compressed archive
NOTE_BYTES = 700  # of memory that Python takes for one besides its text and its name
LONGEST = {CAPTION: MAX_CAPTION_BYTES, METADATA: MAX_METADATA_BYTES, LABEL: MAX_CAPTION_BYTES}
TOO_MANY_NOTES = (
    f"its captions and metadata take more than {MAX_NOTES_BYTES / 1e6:.0f} MB, which is too much for a compressed "
    "archive: unpack it, or leave some out, for example by --ignore '*.json'"
)


def stream_contents(
    open_stream: Callable[[], BinaryIO], wanted: Callable[[str], bool], most: int = MAX_NOTES_BYTES
) -> Contents:
    """`open_stream` begins anew, `wanted` tells by their names which notes count.

    Raises UnusableFile where these take more than `most` bytes, or cannot be reached: images without captions that
    they have would be taken for finished. A broken archive ends both ways through it, and `members` alone raises.
    """
    notes, problem = list[Member](), None
    try:
        for note in wanted_notes(open_stream(), wanted, most):
            notes.append(note)
    except (UnusableFile, VectorizerError):
        raise
    except Exception as error:
        problem = error
    return Contents(notes, ended_by(problem, stream_members(open_stream(), is_entry)))


def wanted_notes(stream: BinaryIO, wanted: Callable[[str], bool], most: int) -> Iterator[Member]:
    for note in stream_members(stream, wanted):
        if wanted(note.name):
            most -= note.held_bytes + len(note.name) + NOTE_BYTES
            if most < 0:
                raise UnusableFile(TOO_MANY_NOTES)
            yield note


def stream_members(stream: BinaryIO, wanted: Callable[[str], bool]) -> Iterator[Member]:
    """All of them; with their bytes those whose names are wanted."""
    with open_tar(cast(BinaryIO, Eager(stream)), "r|") as tar:
        yield from (stream_member(info, tar, wanted) for info in headers(tar) if not info.isdir())
    stream.read(CHUNK_BYTES)  # what follows the end mark, so that the checksum of the whole is compared


class Eager:
    """Gives what it has: read() of what is cut off raises instead, and up to a CHUNK_BYTES would be lost."""

    def __init__(self, stream: BinaryIO) -> None:
        self.read = cast(io.BufferedReader, stream).read1  # all decompressors have it


def stream_member(info: tarfile.TarInfo, tar: tarfile.TarFile, wanted: Callable[[str], bool]) -> Member:
    member = Member(info.name, info.size, info.mtime, lambda most: b"", is_file=info.isreg())
    if info.islnk() or info.issym():
        return replace(member, is_file=True, problem="a link in a compressed archive; unpack it and ingest the folder")
    if not (info.isreg() and wanted(info.name)):
        return member
    if problem := too_large(info):
        return replace(member, problem=problem)
    file = tar.extractfile(info)
    data = file.read() if file else b""
    return replace(member, read=lambda most: data[:most], held_bytes=len(data))


def too_large(info: tarfile.TarInfo) -> str:
    if (longest := LONGEST.get(extension(path_in(info.name)))) is not None:
        return f"longer than {longest} bytes" if info.size > longest else ""
    return f"{info.size / 1e6:.0f} MB, which is too large" if info.size > MAX_FILE_BYTES else ""
