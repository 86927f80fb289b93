"""One page of a TIFF file cut out as a file of its own, so that whatever opens images opens pages."""

import struct
from dataclasses import dataclass
from typing import IO

import numpy as np

from clip_vectorizer.errors import ImageRefused
from clip_vectorizer.images.tiff_directory import TiffDirectory, TiffHeader, read_at, read_directory

SEGMENT_TAGS = {273: 279, 324: 325}  # offsets of strips and tiles: their sizes
POINTER_TAGS = (330, 34665, 34853, 40965)  # to directories of other pictures and of EXIF
OLD_JPEG = 6  # its tables are somewhere else in the file
MAX_PAGE_BYTES = 500_000_000
LONG, LONG8 = 4, 16


def extract_tiff_page(file: IO[bytes], offset: int, most_bytes: int = MAX_PAGE_BYTES) -> bytes:
    """The page whose directory is at `offset` (`list_tiff_pages`) as a TIFF file of one page; only it is read.

    Raises ImageRefused for a broken directory, and for a page of more than `most_bytes`.
    """
    directory = read_directory(file, offset)
    segments = find_segments(directory)
    if segments is None:
        return read_from_page(file, directory.header, offset, most_bytes)
    if segments.bytes > most_bytes:
        raise_too_large(segments.bytes, most_bytes)
    return write_page(directory, segments)


@dataclass(frozen=True, slots=True)
class PageSegments:
    tag: int  # of the offsets
    places: list[int]
    sizes: list[int]

    @property
    def bytes(self) -> int:
        return sum(self.sizes)


def find_segments(directory: TiffDirectory) -> PageSegments | None:
    """Offsets and sizes of strips or tiles; None where the page cannot be cut out without more knowledge."""
    for tag, sizes_tag in SEGMENT_TAGS.items():
        places, sizes = (directory.numbers(values).astype(np.float64).tolist() for values in (tag, sizes_tag))
        if places and len(places) == len(sizes) and min(sizes) > 0 and directory.number(259, 1) != OLD_JPEG:
            return PageSegments(tag, list(map(int, places)), list(map(int, sizes)))
    return None


def read_from_page(file: IO[bytes], header: TiffHeader, offset: int, most_bytes: int) -> bytes:
    """The whole file, with the page as its first one."""
    file.seek(0, 2)
    if file.tell() > most_bytes:
        raise_too_large(file.tell(), most_bytes)
    data = bytearray(read_at(file, 0, file.tell()))
    struct.pack_into(header.offset_format, data, header.first_at, offset)
    return bytes(data)


def raise_too_large(size: int, most_bytes: int) -> None:
    raise ImageRefused(413, f"a page of {size / 1e6:.0f} MB; the limit is {most_bytes / 1e6:.0f} MB")


def write_page(directory: TiffDirectory, segments: PageSegments) -> bytes:
    """A file of one directory: header, directory, values, strips or tiles."""
    header = directory.header
    pieces = [read_at(directory.file, *place) for place in zip(segments.places, segments.sizes, strict=True)]
    values = {tag: value for tag in directory.entries if (value := read_value(directory, segments, tag))}
    values[segments.tag] = (LONG8 if header.big else LONG, len(pieces), bytes(len(pieces) * header.offset_bytes))
    start = header.first_at + header.offset_bytes
    head = struct.pack(header.count_format, len(values))
    extra_at = start + len(head) + len(values) * header.entry_bytes + header.offset_bytes
    extra_bytes = sum(len(raw) for _, _, raw in values.values() if len(raw) > header.offset_bytes)
    starts = np.cumsum([extra_at + extra_bytes, *map(len, pieces)])[:-1].tolist()
    offsets = struct.pack(f"{header.order}{len(pieces)}{header.offset_format[1]}", *starts)
    values[segments.tag] = (*values[segments.tag][:2], offsets)
    entries, extra = bytearray(), bytearray()
    for tag, (kind, count, raw) in sorted(values.items()):
        entries += struct.pack(header.entry_format, tag, kind, count)
        if len(raw) > header.offset_bytes:
            entries += struct.pack(header.offset_format, extra_at + len(extra))
            extra += raw
        else:
            entries += raw.ljust(header.offset_bytes, b"\0")
    return b"".join([write_header(header, start), head, entries, bytes(header.offset_bytes), extra, *pieces])


def read_value(directory: TiffDirectory, segments: PageSegments, tag: int) -> tuple[int, int, bytes] | None:
    """Type, count and bytes of a tag; None for what leads out of the page, and for what the file does not have."""
    entry, raw = directory.entries[tag], directory.raw(tag)
    is_other_segment = tag in SEGMENT_TAGS and tag != segments.tag
    if tag in POINTER_TAGS or is_other_segment or len(raw) < entry.size:
        return None
    return entry.kind, entry.count, raw


def write_header(header: TiffHeader, first: int) -> bytes:
    order = b"II" if header.order == "<" else b"MM"
    if header.big:
        return order + struct.pack(header.order + "HHHQ", 43, 8, 0, first)
    return order + struct.pack(header.order + "HI", 42, first)
