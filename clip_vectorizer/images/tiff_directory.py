"""Directories of TIFF and BigTIFF files: tags and pages.

Reads what a hostile file has of them and no more: no value is read past the end, no chain is followed twice.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO

import numpy as np
import numpy.typing as npt

from clip_vectorizer.errors import ImageRefused

TIFF_PREFIXES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two are BigTIFF
MAX_PAGES = 10_000
MAX_ENTRIES = 4096  # of a directory; real ones have fewer than 100
VALUE_TYPES = {
    1: "u1", 2: "u1", 3: "u2", 4: "u4", 5: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 10: "i4", 11: "f4", 12: "f8",
    13: "u4", 16: "u8", 17: "i8", 18: "u8",
}  # fmt: skip
FRACTIONS = (5, 10)  # types of two numbers a value
Numbers = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class TiffHeader:
    """What the first bytes of the file define."""

    order: str  # "<" or ">", as of struct
    big: bool  # BigTIFF: offsets of 64 bits

    @property
    def offset_format(self) -> str:
        return self.order + ("Q" if self.big else "I")

    @property
    def offset_bytes(self) -> int:
        return 8 if self.big else 4

    @property
    def first_at(self) -> int:
        """Position of the offset of the first directory."""
        return 8 if self.big else 4

    @property
    def count_format(self) -> str:
        """Of the number of entries, which begins a directory."""
        return self.order + ("Q" if self.big else "H")

    @property
    def entry_format(self) -> str:
        """Tag, type, count; the value or its offset follows."""
        return self.order + ("HHQ" if self.big else "HHI")

    @property
    def entry_bytes(self) -> int:
        return struct.calcsize(self.entry_format) + self.offset_bytes


@dataclass(frozen=True, slots=True)
class TiffEntry:
    """A tag's values: `count` numbers of type `kind` at `at`, as bytes from the start of the file."""

    kind: int
    count: int
    at: int

    @property
    def size(self) -> int:
        """In bytes."""
        return self.count * value_bytes(self.kind)


@dataclass(frozen=True, slots=True)
class TiffDirectory:
    """The tags of one page. Values are read from `file` when they are asked for."""

    file: IO[bytes]
    header: TiffHeader
    entries: Mapping[int, TiffEntry]

    def numbers(self, tag: int) -> Numbers:
        """The values of a tag; empty if it is missing, fewer than its count where the file ends first."""
        entry = self.entries.get(tag)
        if entry is None:
            return np.empty(0, np.uint32)
        kind = np.dtype(self.header.order + VALUE_TYPES[entry.kind])
        raw = self.raw(tag)
        values: Numbers = np.frombuffer(raw[: len(raw) // kind.itemsize * kind.itemsize], kind)
        if entry.kind in FRACTIONS:
            pairs = values[: values.size // 2 * 2].reshape(-1, 2).astype(np.float64)
            return pairs[:, 0] / np.where(pairs[:, 1] == 0, 1, pairs[:, 1])
        return values

    def number(self, tag: int, default: int = 0) -> int:
        """The first value of a tag as a whole number."""
        values = self.numbers(tag)
        return int(values[0]) if values.size and np.isfinite(values[0]) else default

    def raw(self, tag: int) -> bytes:
        """The bytes of a tag's values; b"" if it is missing."""
        entry = self.entries.get(tag)
        return read_at(self.file, entry.at, entry.size) if entry else b""


def value_bytes(kind: int) -> int:
    return np.dtype(VALUE_TYPES[kind]).itemsize * (2 if kind in FRACTIONS else 1)


def read_at(file: IO[bytes], at: int, size: int) -> bytes:
    """Up to `size` bytes from `at`; fewer where the file ends. No more memory than the file has bytes."""
    if size <= 0 or at < 0 or at >= 1 << 63:
        return b""
    file.seek(0, 2)
    size = min(size, file.tell() - at)
    if size <= 0:
        return b""
    file.seek(at)
    return file.read(size)


def is_tiff(file: IO[bytes]) -> bool:
    return read_at(file, 0, 4) in TIFF_PREFIXES


def read_header(file: IO[bytes]) -> TiffHeader:
    """Raises ImageRefused."""
    prefix = read_at(file, 0, 4)
    if prefix not in TIFF_PREFIXES:
        raise ImageRefused(422, "not a TIFF file")
    return TiffHeader("<" if prefix[:2] == b"II" else ">", prefix[2:].strip(b"\0") == b"+")


def list_tiff_pages(file: IO[bytes], most: int = MAX_PAGES) -> list[int]:
    """The offsets of the directories of a TIFF file, one a page, at most `most`. Raises ImageRefused if there is none.

    A broken directory has its place like the others, so that pages keep their numbers: `read_directory` refuses it.
    A chain that leaves the file ends with such a page; one that comes back to a page of before ends without it.
    """
    header = read_header(file)
    pages: dict[int, None] = {}
    for offset in follow_chain(file, header):
        if offset in pages or len(pages) == most:
            break
        pages[offset] = None
    if not pages:
        raise ImageRefused(422, "a TIFF file without a page")
    return list(pages)


def follow_chain(file: IO[bytes], header: TiffHeader) -> Iterator[int]:
    at = header.first_at
    while offset := unpack_at(file, header.offset_format, at):
        yield offset
        count = unpack_at(file, header.count_format, offset)
        if not count:
            return
        at = offset + struct.calcsize(header.count_format) + count * header.entry_bytes


def unpack_at(file: IO[bytes], number: str, at: int) -> int:
    """The number at a position; 0 behind the end."""
    raw = read_at(file, at, size := struct.calcsize(number))
    return int(struct.unpack(number, raw)[0]) if len(raw) == size else 0


def read_directory(file: IO[bytes], offset: int) -> TiffDirectory:
    """The directory at `offset`; entries of unknown types are left out. Raises ImageRefused if there is none."""
    header = read_header(file)
    count = unpack_at(file, header.count_format, offset)
    if not 0 < count <= MAX_ENTRIES:
        raise ImageRefused(422, f"a TIFF with a broken directory (at byte {offset})")
    start = offset + struct.calcsize(header.count_format)
    table = read_at(file, start, count * header.entry_bytes)
    entries: dict[int, TiffEntry] = {}
    for at in range(0, len(table) // header.entry_bytes * header.entry_bytes, header.entry_bytes):
        tag, kind, values = struct.unpack_from(header.entry_format, table, at)
        if kind not in VALUE_TYPES or tag in entries:
            continue
        value_at = at + struct.calcsize(header.entry_format)
        if values * value_bytes(kind) > header.offset_bytes:
            place = struct.unpack_from(header.offset_format, table, value_at)[0]
        else:
            place = start + value_at
        entries[tag] = TiffEntry(kind, values, place)
    return TiffDirectory(file, header, entries)
