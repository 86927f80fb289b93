"""Members of plain tar files, which are read wherever one likes.

The headers of a tar file, with an end where it ends and nowhere else.

Members of compressed tar files, which are read from front to end.

A caption may lie anywhere, and tar packs a folder in no order at all: so the file is gone through twice, first for the
notes, which are small, then for the images, each of which leaves with its own.
"""

import io
import posixpath
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import BinaryIO, Literal, cast

from clip_vectorizer.errors import VectorizerError
from ingest.items import UnusableFile
from ingest.sources.annotations import (
    CAPTION_SUFFIX,
    LABEL_SUFFIX,
    MAX_CAPTION_BYTES,
    MAX_METADATA_BYTES,
    METADATA_SUFFIX,
)
from ingest.sources.archive_members import ArchiveContents, ArchiveMember, HandlePool, normalize_member_path
from ingest.sources.entries import is_entry, parse_extension
from ingest.sources.reading import MAX_FILE_BYTES

MAX_HEADER_BYTES = 1_000_000  # of a long name or of PAX fields, which tarfile reads into memory
EXTENSION_HEADER_TYPES = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
CHUNK_BYTES = 1_000_000
MAX_ANNOTATION_BYTES = 256_000_000  # of memory, for all notes of a compressed archive
ANNOTATION_OVERHEAD_BYTES = 700  # of memory that Python takes for one besides its text and its name
MAX_BYTES_BY_SUFFIX = {
    CAPTION_SUFFIX: MAX_CAPTION_BYTES,
    METADATA_SUFFIX: MAX_METADATA_BYTES,
    LABEL_SUFFIX: MAX_CAPTION_BYTES,
}
TOO_MANY_ANNOTATIONS = (
    f"its captions and metadata take more than {MAX_ANNOTATION_BYTES / 1e6:.0f} MB, which is too much for a compressed "
    "archive: unpack it, or leave some out, for example by --ignore '*.json'"
)

TarPieces = Sequence[tuple[int, int]]  # of a sparse file, all but its holes: where in the file, how many bytes


def read_plain_contents(open_file: Callable[[], BinaryIO]) -> ArchiveContents:
    handles = HandlePool(open_file)
    members, links, problem = list[ArchiveMember](), dict[int, str](), None
    with handles.one() as file:
        try:
            for info in read_whole_members(file):
                if info.islnk() or info.issym():
                    links[len(members)] = resolve_target(info)
                if not info.isdir():
                    members.append(build_plain_member(info, handles))
        except Exception as error:  # tarfile raises all kinds over broken headers
            problem = error
    follow_links(members, links)
    return ArchiveContents(members, raise_after(problem, members))


def raise_after(problem: Exception | None, members: Iterable[ArchiveMember]) -> Iterator[ArchiveMember]:
    yield from members
    if problem:
        raise problem


def read_whole_members(file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    end = file.seek(0, io.SEEK_END)
    file.seek(0)
    with open_tar(file, "r:") as tar:
        for info in read_headers(tar):
            if info.isreg() and info.offset_data + sum(count for _, count in list_pieces(info)) > end:
                raise tarfile.ReadError("cut off")
            yield info


def build_plain_member(info: tarfile.TarInfo, handles: HandlePool) -> ArchiveMember:
    read = partial(read_pieces, handles, info.offset_data, info.size, list_pieces(info))
    return ArchiveMember(info.name, info.size, info.mtime, read, is_file=info.isreg())


def list_pieces(info: tarfile.TarInfo) -> TarPieces:
    return [(0, info.size)] if info.sparse is None else cast(TarPieces, info.sparse)


def read_pieces(handles: HandlePool, start: int, size: int, pieces: TarPieces, most: int) -> bytes:
    data = bytearray(min(size, most))
    with handles.one() as file:
        file.seek(start)
        for at, count in pieces:
            wanted = max(0, min(count, most - at))
            data[at : at + wanted] = file.read(wanted)
            file.seek(count - wanted, io.SEEK_CUR)
    return bytes(data)


def resolve_target(info: tarfile.TarInfo) -> str:
    """A hard link names a member, a symbolic one a path from where it lies."""
    return normalize_member_path(
        info.linkname if info.islnk() else posixpath.join(posixpath.dirname(info.name), info.linkname)
    )


def follow_links(members: list[ArchiveMember], links: dict[int, str]) -> None:
    """Replaces each link (by its place) by what it leads to."""
    places = (
        {normalize_member_path(member.name): place for place, member in reversed(list(enumerate(members)))}
        if links
        else {}
    )
    for start in links:
        place: int | None = start
        for _ in range(len(links) + 1):  # more steps are a loop
            if place is None or place not in links:
                break
            place = places.get(links[place])
        found = place is not None and place not in links
        members[start] = replace_link(members[start], members[place] if found and place is not None else None)


def replace_link(link: ArchiveMember, target: ArchiveMember | None) -> ArchiveMember:
    if target is None:
        return replace(link, is_file=True, problem="a link to what is not in the archive")
    return replace(target, name=link.name)


class StrictTarInfo(tarfile.TarInfo):
    """tarfile takes whatever is no header for the end of the archive; here only the end mark ends it."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "StrictTarInfo":
        try:
            info = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) < tarfile.BLOCKSIZE:
                raise tarfile.ReadError("cut off") from error
            if any(buf):
                raise tarfile.ReadError(f"no tar file, or a broken one: {error}") from error
            raise
        if info.size < 0 or (info.type in EXTENSION_HEADER_TYPES and info.size > MAX_HEADER_BYTES):
            raise tarfile.ReadError(f"a header says {info.size} bytes")
        return info


def open_tar(file: BinaryIO, mode: Literal["r:", "r|"]) -> tarfile.TarFile:
    """Names that are no UTF-8 have surrogates in them."""
    return tarfile.open(
        fileobj=file, mode=mode, bufsize=CHUNK_BYTES, tarinfo=StrictTarInfo, encoding="utf-8", errors="surrogateescape"
    )


def read_headers(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Raises ReadError, and whatever else tarfile does, where the archive is broken."""
    before = -1
    while (info := tar.next()) is not None:
        if tar.offset <= before:  # a PAX header may set a size below 0
            raise tarfile.ReadError("a header points backwards")
        before = tar.offset
        tar.members.clear()  # type: ignore[attr-defined] # it would remember them all
        yield info


def read_stream_contents(
    open_stream: Callable[[], BinaryIO], wanted: Callable[[str], bool], most: int = MAX_ANNOTATION_BYTES
) -> ArchiveContents:
    """`open_stream` begins anew, `wanted` tells by their names which notes count.

    Raises UnusableFile where these take more than `most` bytes, or cannot be reached: images without captions that
    they have would be taken for finished. A broken archive ends both ways through it, and `members` alone raises.
    """
    notes, problem = list[ArchiveMember](), None
    try:
        for note in read_annotations(open_stream(), wanted, most):
            notes.append(note)
    except (UnusableFile, VectorizerError):
        raise
    except Exception as error:
        problem = error
    return ArchiveContents(notes, raise_after(problem, read_stream_members(open_stream(), is_entry)))


def read_annotations(stream: BinaryIO, wanted: Callable[[str], bool], most: int) -> Iterator[ArchiveMember]:
    for note in read_stream_members(stream, wanted):
        if wanted(note.name):
            most -= note.held_bytes + len(note.name) + ANNOTATION_OVERHEAD_BYTES
            if most < 0:
                raise UnusableFile(TOO_MANY_ANNOTATIONS)
            yield note


def read_stream_members(stream: BinaryIO, wanted: Callable[[str], bool]) -> Iterator[ArchiveMember]:
    """All of them; with their bytes those whose names are wanted."""
    with open_tar(cast(BinaryIO, EagerStream(stream)), "r|") as tar:
        yield from (build_stream_member(info, tar, wanted) for info in read_headers(tar) if not info.isdir())
    stream.read(CHUNK_BYTES)  # what follows the end mark, so that the checksum of the whole is compared


class EagerStream:
    """Gives what it has: read() of what is cut off raises instead, and up to a CHUNK_BYTES would be lost."""

    def __init__(self, stream: BinaryIO) -> None:
        self.read = cast(io.BufferedReader, stream).read1  # all decompressors have it


def build_stream_member(info: tarfile.TarInfo, tar: tarfile.TarFile, wanted: Callable[[str], bool]) -> ArchiveMember:
    member = ArchiveMember(info.name, info.size, info.mtime, lambda most: b"", is_file=info.isreg())
    if info.islnk() or info.issym():
        return replace(member, is_file=True, problem="a link in a compressed archive; unpack it and ingest the folder")
    if not (info.isreg() and wanted(info.name)):
        return member
    if problem := find_size_problem(info):
        return replace(member, problem=problem)
    file = tar.extractfile(info)
    data = file.read() if file else b""
    return replace(member, read=lambda most: data[:most], held_bytes=len(data))


def find_size_problem(info: tarfile.TarInfo) -> str:
    if (longest := MAX_BYTES_BY_SUFFIX.get(parse_extension(normalize_member_path(info.name)))) is not None:
        return f"longer than {longest} bytes" if info.size > longest else ""
    return f"{info.size / 1e6:.0f} MB, which is too large" if info.size > MAX_FILE_BYTES else ""
