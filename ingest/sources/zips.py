"""Members of zip files, which are read at any position."""

import lzma
import stat
import struct
import threading
import weakref
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import BinaryIO

from ingest.items import UnusableFile
from ingest.sources.archive_members import ArchiveContents, ArchiveMember

ENCRYPTED_FLAG, UTF8_FLAG = 0x1, 0x800  # bits of a member's flags
DOS_SYSTEM = 0
BROKEN_ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    RuntimeError,
    EOFError,
    ValueError,
)


def read_zip_contents(open_file: Callable[[], BinaryIO]) -> ArchiveContents:
    """Read the directory of a zip file. Raises BadZipFile if it is missing or broken."""
    file = open_file()
    try:
        archive = zipfile.ZipFile(file)
    except BaseException:
        file.close()
        raise
    weakref.finalize(archive, file.close)  # when the last member that uses it is freed
    lock = threading.Lock()
    members = [build_zip_member(archive, info, lock) for info in archive.infolist() if not info.is_dir()]
    return ArchiveContents(members, [member.name for member in members], iter(members))


def build_zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, lock: threading.Lock) -> ArchiveMember:
    version = (info.CRC, info.date_time)
    return ArchiveMember(
        decode_name(info),
        info.file_size,
        version,
        partial(read_zip_member, archive, info, lock),
        problem=find_member_problem(info),
    )


def decode_name(info: zipfile.ZipInfo) -> str:
    """Return the member's name. Some tools, on macOS too, write UTF-8 without its flag; zipfile decodes it as cp437."""
    name = info.filename
    if not info.flag_bits & UTF8_FLAG:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/") if info.create_system == DOS_SYSTEM and "/" not in name else name


def find_member_problem(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & ENCRYPTED_FLAG:
        return "encrypted; unpack the archive with its password and ingest the folder"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "a symbolic link in an archive; unpack it and ingest the folder"
    return ""


def read_zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, lock: threading.Lock, most: int) -> bytes:
    """Read at most `most` bytes; a full read compares the checksum. ZipFile counts its open members without a lock."""
    try:
        with lock:
            file = archive.open(info)
        try:
            return file.read(most)
        finally:
            with lock:
                file.close()
    except BROKEN_ARCHIVE_ERRORS as error:
        raise UnusableFile(f"cannot be unpacked ({error})") from error
