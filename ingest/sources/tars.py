"""Members of plain tar files, which are read wherever one likes."""

import io
import posixpath
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import BinaryIO, cast

from ingest.sources.handles import Handles
from ingest.sources.members import Contents, Member, path_in
from ingest.sources.tar_headers import headers, open_tar

Pieces = Sequence[tuple[int, int]]  # of a sparse file, all but its holes: where in the file, how many bytes


def plain_contents(open_file: Callable[[], BinaryIO]) -> Contents:
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
    followed(members, links)
    return Contents(members, ended_by(problem, members))


def ended_by(problem: Exception | None, members: Iterable[Member]) -> Iterator[Member]:
    yield from members
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


def followed(members: list[Member], links: dict[int, str]) -> None:
    """Replaces each link (by its place) by what it leads to."""
    places = {path_in(member.name): place for place, member in reversed(list(enumerate(members)))} if links else {}
    for start in links:
        place: int | None = start
        for _ in range(len(links) + 1):  # more steps are a loop
            if place is None or place not in links:
                break
            place = places.get(links[place])
        found = place is not None and place not in links
        members[start] = linked(members[start], members[place] if found and place is not None else None)


def linked(link: Member, target: Member | None) -> Member:
    if target is None:
        return replace(link, is_file=True, problem="a link to what is not in the archive")
    return replace(target, name=link.name)
