"""The structure of a JPEG file (ITU-T T.81): segments and scans, without decoding.

It is read where a decoder fails or cannot be trusted: to bound the work of a progressive file, to name a kind of JPEG
that is not decoded, and to write a file anew whose header is odd.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

SOI, EOI, SOS, DNL = 0xD8, 0xD9, 0xDA, 0xDC
PROGRESSIVE = (0xC2, 0xCA)
FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
STANDALONE = frozenset({0x01, *range(0xD0, 0xDA)})  # markers without a length
NEEDED = frozenset({0xDB, 0xC4, 0xCC, 0xDD, DNL, 0xDE}) | FRAME_MARKERS | {SOS}  # tables, frames and scans
METADATA = (b"Exif\0\0", b"ICC_PROFILE\0", b"Adobe")  # of the application segments those that change the pixels
END_OF_ENTROPY = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]")  # a marker that is no restart and no stuffed byte


@dataclass(frozen=True, slots=True)
class JpegSegment:
    marker: int
    body: bytes
    start: int  # where its marker begins
    end: int  # just after it; for a scan after its header, where the coded data begin


@dataclass(slots=True)
class JpegStructure:
    """The segments of the first image in the file, in order."""

    segments: list[JpegSegment] = field(default_factory=list)
    scan_ends: list[int] = field(default_factory=list)  # of each scan: where its coded data end
    complete: bool = False  # whether the end marker follows the last scan

    @property
    def frame(self) -> JpegSegment | None:
        return next((segment for segment in self.segments if segment.marker in FRAME_MARKERS), None)

    @property
    def scans(self) -> list[JpegSegment]:
        return [segment for segment in self.segments if segment.marker == SOS]

    @property
    def is_progressive(self) -> bool:
        return self.frame is not None and self.frame.marker in PROGRESSIVE

    @property
    def precision(self) -> int:
        """Bits of a sample; 0 if there is no frame."""
        return self.frame.body[0] if self.frame and self.frame.body else 0

    @property
    def height(self) -> int:
        """In pixels; 0 if the frame's header is missing."""
        return int.from_bytes(self.frame.body[1:3]) if self.frame else 0

    @property
    def width(self) -> int:
        return int.from_bytes(self.frame.body[3:5]) if self.frame else 0

    @property
    def block_rows(self) -> int:
        """How many rows of blocks are coded together: 2 where colours have half the resolution."""
        factors = [factor & 15 for factor in self.frame.body[7::3]] if self.frame else []
        return max(factors, default=1) if len(factors) > 1 else 1

    @property
    def has_all_rows(self) -> bool:
        """Whether a progressive file has a first, coarse scan of each component that is complete."""
        if not self.is_progressive or self.frame is None or len(self.frame.body) < 6:
            return False
        done = self.scans if self.complete else self.scans[: len(self.scans) - 1]
        found = {component for scan in done if is_coarse(scan) for component in scanned_components(scan)}
        return len(found) == self.frame.body[5]


def is_coarse(scan: JpegSegment) -> bool:
    """Whether a scan of a progressive file has the first bits of the mean of each block."""
    count = scan.body[0] if scan.body else 0
    rest = scan.body[1 + 2 * count :]
    return len(rest) >= 3 and rest[0] == 0 and rest[2] >> 4 == 0


def scanned_components(scan: JpegSegment) -> bytes:
    count = scan.body[0] if scan.body else 0
    return scan.body[1 : 1 + 2 * count : 2]


def read_jpeg_structure(data: bytes, most_scans: int = 10_000) -> JpegStructure:
    """Read segments up to the end of the image; bytes between them are skipped, as decoders do."""
    found = JpegStructure()
    for segment in iterate_segments(data):
        found.segments.append(segment)
        if segment.marker == SOS:
            found.scan_ends.append(find_scan_end(data, segment.end))
            if len(found.scan_ends) > most_scans:
                break
        if segment.marker == EOI:
            found.complete = True
            break
    return found


def iterate_segments(data: bytes) -> Iterator[JpegSegment]:
    at = 2
    while 0 <= (at := data.find(b"\xff", at)) < len(data) - 1:
        start, at = at, at + 1
        marker = data[at]
        if marker in (0x00, 0xFF):  # fill bytes
            continue
        at += 1
        if marker in STANDALONE:
            if marker == EOI:
                yield JpegSegment(marker, b"", start, at)
            continue
        length = int.from_bytes(data[at : at + 2])
        end = min(at + max(2, length), len(data))
        yield JpegSegment(marker, data[at + 2 : end], start, end)
        at = find_scan_end(data, end) if marker == SOS else end


def find_scan_end(data: bytes, start: int) -> int:
    """Where the coded data that begin at `start` end: at the next marker that is no restart, or with the file."""
    found = END_OF_ENTROPY.search(data, start)
    return found.start() if found else len(data)


def rewrite_jpeg(data: bytes, structure: JpegStructure) -> bytes:
    """The file with its tables, frames and scans alone, and those metadata that change the pixels, in clean segments.

    Decoders refuse a file for an application segment that is too short, or for bytes between segments.
    """
    parts = [b"\xff\xd8"]
    ends = iter(structure.scan_ends)
    for segment in structure.segments:
        wanted = segment.marker in NEEDED or segment.body.startswith(METADATA)
        if wanted:
            parts.append(bytes((0xFF, segment.marker)) + (len(segment.body) + 2).to_bytes(2) + segment.body)
        if segment.marker == SOS:
            parts.append(data[segment.end : next(ends)])
    return b"".join((*parts, b"\xff\xd9"))
