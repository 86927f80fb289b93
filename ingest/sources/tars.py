"""Members of tar files.

A plain tar file is indexed by its headers and read at any position. A compressed one can only be read from start to
end. An annotation may be anywhere in it, because tar packs a folder in no order: so it is read twice, first for the
annotations, which are small, then for the images, each of which is yielded with its own.
"""

import io
import posixpath
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import BinaryIO, Literal, cast

from clip_vectorizer.errors import VectorizerError
from ingest.choices import MAX_FILE_BYTES
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

MAX_HEADER_BYTES = 1_000_000  # of a long name or PAX fields, which tarfile reads into memory
EXTENSION_HEADER_TYPES = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
CHUNK_BYTES = 1_000_000
MAX_ANNOTATION_BYTES = 256_000_000  # memory for all annotations of a compressed archive
ANNOTATION_OVERHEAD_BYTES = 700  # memory of one annotation in Python, in addition to its text and name
MAX_BYTES_BY_SUFFIX = {
    CAPTION_SUFFIX: MAX_CAPTION_BYTES,
    METADATA_SUFFIX: MAX_METADATA_BYTES,
    LABEL_SUFFIX: MAX_CAPTION_BYTES,
}
TOO_MANY_ANNOTATIONS = (
    f"its captions and metadata take more than {MAX_ANNOTATION_BYTES / 1e6:.0f} MB, which is too much for a compressed "
    "archive: unpack it, or exclude some, for example by --ignore '*.json'"
)

TarPieces = Sequence[tuple[int, int]]  # (offset, count) of the parts of a sparse file between its holes


def read_plain_contents(open_file: Callable[[], BinaryIO]) -> ArchiveContents:
    handles = HandlePool(open_file)
    members, links, problem = list[ArchiveMember](), dict[int, str](), None
    with handles.borrow() as file:
        try:
            for info in read_whole_members(file):
                if info.islnk() or info.issym():
                    links[len(members)] = resolve_target(info)
                if not info.isdir():
                    members.append(build_plain_member(info, handles))
        except Exception as error:  # tarfile raises many types over broken headers
            problem = error
    follow_links(members, links)
    return ArchiveContents(members, [member.name for member in members], raise_after(problem, members))


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
    with handles.borrow() as file:
        file.seek(start)
        for at, count in pieces:
            length = max(0, min(count, most - at))
            data[at : at + length] = file.read(length)
            file.seek(count - length, io.SEEK_CUR)
    return bytes(data)


def resolve_target(info: tarfile.TarInfo) -> str:
    """Return the path of a link's target: a hard link names a member, a symbolic link a path relative to its folder."""
    return normalize_member_path(
        info.linkname if info.islnk() else posixpath.join(posixpath.dirname(info.name), info.linkname)
    )


def follow_links(members: list[ArchiveMember], links: dict[int, str]) -> None:
    """Replace each link in `members`; `links` maps its index to the path of its target."""
    if not links:
        return
    index_by_path = {normalize_member_path(member.name): index for index, member in reversed(list(enumerate(members)))}
    for start in links:
        index: int | None = start
        for _ in range(len(links) + 1):  # more steps mean a loop
            if index is None or index not in links:
                break
            index = index_by_path.get(links[index])
        is_resolved = index is not None and index not in links
        members[start] = replace_link(members[start], members[index] if is_resolved and index is not None else None)


def replace_link(link: ArchiveMember, target: ArchiveMember | None) -> ArchiveMember:
    if target is None:
        return replace(link, is_file=True, problem="a link to a file that is not in the archive")
    return replace(target, name=link.name)


class StrictTarInfo(tarfile.TarInfo):
    """A checked header: tarfile takes every invalid header for the end of the archive; here only the end mark is."""

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
            raise tarfile.ReadError(f"a header announces {info.size} bytes")
        return info


def open_tar(file: BinaryIO, mode: Literal["r:", "r|"]) -> tarfile.TarFile:
    """Open a tar file; names that are not UTF-8 contain surrogates."""
    return tarfile.open(
        fileobj=file, mode=mode, bufsize=CHUNK_BYTES, tarinfo=StrictTarInfo, encoding="utf-8", errors="surrogateescape"
    )


def read_headers(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the headers. Raises ReadError and other errors of tarfile for a broken archive."""
    before = -1
    while (info := tar.next()) is not None:
        if tar.offset <= before:  # a PAX header may set a size below 0
            raise tarfile.ReadError("a header points backwards")
        before = tar.offset
        tar.members.clear()  # type: ignore[attr-defined] # else it keeps all of them in memory
        yield info


def read_stream_contents(
    open_stream: Callable[[], BinaryIO], is_wanted: Callable[[str], bool], most: int = MAX_ANNOTATION_BYTES
) -> ArchiveContents:
    """Read the annotations into memory, then yield the images. `open_stream` opens the archive from its start.

    `is_wanted` selects the annotations by name. Raises UnusableFile if they take more than `most` bytes or cannot be
    read: images would be stored without their captions and count as complete. A broken archive ends both passes;
    only the iteration of `members` raises its error.
    """
    annotations, images, problem = list[ArchiveMember](), list[str](), None
    try:
        for member in read_annotations(open_stream(), is_wanted, most):
            if is_wanted(member.name):
                annotations.append(member)
            elif is_entry(member.name):
                images.append(member.name)
    except (UnusableFile, VectorizerError):
        raise
    except Exception as error:
        problem = error
    return ArchiveContents(annotations, images, raise_after(problem, read_stream_members(open_stream(), is_entry)))


def read_annotations(stream: BinaryIO, is_wanted: Callable[[str], bool], most: int) -> Iterator[ArchiveMember]:
    """Yield all members, with the bytes of the annotations. Raises UnusableFile if those take more than `most`."""
    for member in read_stream_members(stream, is_wanted):
        if is_wanted(member.name):
            most -= member.held_bytes + len(member.name) + ANNOTATION_OVERHEAD_BYTES
            if most < 0:
                raise UnusableFile(TOO_MANY_ANNOTATIONS)
        yield member


def read_stream_members(stream: BinaryIO, is_wanted: Callable[[str], bool]) -> Iterator[ArchiveMember]:
    """Yield all members, with their bytes only if `is_wanted(name)`."""
    with open_tar(cast(BinaryIO, EagerStream(stream)), "r|") as tar:
        yield from (build_stream_member(info, tar, is_wanted) for info in read_headers(tar) if not info.isdir())
    stream.read(CHUNK_BYTES)  # the rest after the end mark, so that the decompressor compares its checksum


class EagerStream:
    """`read` returns what is available: read() of a truncated stream raises instead and loses up to CHUNK_BYTES."""

    def __init__(self, stream: BinaryIO) -> None:
        self.read = cast(io.BufferedReader, stream).read1  # every decompressor has it


def build_stream_member(info: tarfile.TarInfo, tar: tarfile.TarFile, is_wanted: Callable[[str], bool]) -> ArchiveMember:
    member = ArchiveMember(info.name, info.size, info.mtime, lambda most: b"", is_file=info.isreg())
    if info.islnk() or info.issym():
        return replace(member, is_file=True, problem="a link in a compressed archive; unpack it and ingest the folder")
    if not (info.isreg() and is_wanted(info.name)):
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
