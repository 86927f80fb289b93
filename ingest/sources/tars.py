"""Members of tar files: plain ones are read wherever one likes, compressed ones once from front to end."""

import io
import posixpath
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import BinaryIO, cast

from ingest.sources.beside import MAX_METADATA_BYTES
from ingest.sources.handles import Handles
from ingest.sources.members import KINDS, Member, path_in, sample_stems
from ingest.sources.names import extension, is_entry
from ingest.sources.reading import MAX_FILE_BYTES
from ingest.sources.tar_headers import CHUNK_BYTES, headers, open_tar

MOST_IN_GROUP = 64  # members of a stream that are held back, waiting for notes

Pieces = Sequence[tuple[int, int]]  # of a sparse file, all but its holes: where in the file, how many bytes


def plain_groups(open_file: Callable[[], BinaryIO]) -> Iterator[list[Member]]:
    """All members in one group. Raises whatever ended the way through the headers, after what came before it."""
    handles = Handles(open_file)
    members, links, problem = list[Member](), dict[int, str](), None
    with handles.one() as file:
        try:
            for info in whole_members(file):
                if info.islnk() or info.issym():
                    links[len(members)] = target_of(info)
                if not info.isdir():
                    members.append(plain_member(info, handles))
        except Exception as error:  # tarfile raises all kinds over broken headers
            problem = error
    yield followed(members, links)
    if problem:
        raise problem


def whole_members(file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    end = file.seek(0, io.SEEK_END)
    file.seek(0)
    with open_tar(file, "r:") as tar:
        for info in headers(tar):
            if info.isreg() and info.offset_data + sum(count for _, count in pieces_of(info)) > end:
                raise tarfile.ReadError("cut off")
            yield info


def plain_member(info: tarfile.TarInfo, handles: Handles) -> Member:
    read = partial(read_pieces, handles, info.offset_data, info.size, pieces_of(info))
    return Member(info.name, info.size, info.mtime, read, is_file=info.isreg())


def pieces_of(info: tarfile.TarInfo) -> Pieces:
    return [(0, info.size)] if info.sparse is None else cast(Pieces, info.sparse)


def read_pieces(handles: Handles, start: int, size: int, pieces: Pieces, most: int) -> bytes:
    data = bytearray(min(size, most))
    with handles.one() as file:
        file.seek(start)
        for at, count in pieces:
            wanted = max(0, min(count, most - at))
            data[at : at + wanted] = file.read(wanted)
            file.seek(count - wanted, io.SEEK_CUR)
    return bytes(data)


def target_of(info: tarfile.TarInfo) -> str:
    """A hard link names a member, a symbolic one a path from where it lies."""
    return path_in(info.linkname if info.islnk() else posixpath.join(posixpath.dirname(info.name), info.linkname))


def followed(members: list[Member], links: dict[int, str]) -> list[Member]:
    """With each link (by its place) replaced by what it leads to."""
    places = {path_in(member.name): place for place, member in reversed(list(enumerate(members)))} if links else {}
    for start in links:
        place: int | None = start
        for _ in range(len(links) + 1):  # more steps are a loop
            if place is None or place not in links:
                break
            place = places.get(links[place])
        found = place is not None and place not in links
        members[start] = linked(members[start], members[place] if found and place is not None else None)
    return members


def linked(link: Member, target: Member | None) -> Member:
    if target is None:
        return replace(link, is_file=True, problem="a link to what is not in the archive")
    return replace(target, name=link.name)


def stream_groups(stream: BinaryIO) -> Iterator[list[Member]]:
    """Members that follow one another and share a name up to its first dot. Raises like `plain_groups`."""
    group, problem = list[Member](), None
    try:
        for member in stream_members(stream):
            if group and begins_sample(group, member):
                yield group
                group = []
            group.append(member)
    except Exception as error:
        problem = error
    yield group
    if problem:
        raise problem


def begins_sample(group: Sequence[Member], member: Member) -> bool:
    """Where no sample seems to end, a group does all the same, but not between an image and its notes."""
    (_, last, sample), (_, stem, other) = sample_stems(path_in(group[-1].name)), sample_stems(path_in(member.name))
    full = len(group) >= MOST_IN_GROUP or sum(each.held_bytes for each in group) > MAX_FILE_BYTES
    return sample != other or (full and last != stem)


def stream_members(stream: BinaryIO) -> Iterator[Member]:
    with open_tar(stream, "r|") as tar:
        yield from (stream_member(info, tar) for info in headers(tar) if not info.isdir())
    stream.read(CHUNK_BYTES)  # what follows the end mark, so that the checksum of the whole is compared


def stream_member(info: tarfile.TarInfo, tar: tarfile.TarFile) -> Member:
    member = Member(info.name, info.size, info.mtime, lambda most: b"", is_file=info.isreg())
    if info.islnk() or info.issym():
        return replace(member, is_file=True, problem="a link in a compressed archive; unpack it and ingest the folder")
    if not info.isreg() or not (is_entry(info.name) or extension(info.name) in KINDS):
        return member
    if info.size > (MAX_FILE_BYTES if is_entry(info.name) else MAX_METADATA_BYTES):
        return replace(member, problem=f"{info.size / 1e6:.0f} MB, which is too large")
    file = tar.extractfile(info)
    data = file.read() if file else b""
    return replace(member, read=lambda most: data[:most], held_bytes=len(data))
