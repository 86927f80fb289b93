"""Damaged PDF files that PDFium does not rebuild by itself: bytes before the header, a lost trailer.

PDFium rebuilds a cross-reference table that is missing or wrong, but looks for the header only in the first
kilobyte, and for the root of the document only in a trailer, which a file that is cut off has lost.
"""

import re
from collections.abc import Iterator
from typing import Protocol

HEADER = b"%PDF-"
HEADER_BYTES = 65_536  # of the file, in which the header is looked for
MAX_REPAIR_BYTES = 70_000_000  # in memory
MAX_DICTIONARY_BYTES = 4096  # between the start of the root object and its type
CATALOG = re.compile(rb"/Type\s*/Catalog\b")
OBJECT_START = re.compile(rb"(\d{1,10})\s+(\d{1,5})\s+obj\b")
ENCRYPTED = re.compile(rb"/Filter\s*/Standard\b|/Encrypt\b")


class SeekableFile(Protocol):
    def seek(self, offset: int, /) -> int: ...

    def read(self, size: int, /) -> bytes | None: ...


def repair_pdf(file: SeekableFile) -> Iterator[bytes]:
    """Yield repaired copies of the file to try, the one that changes least first; none of a file that is no PDF."""
    file.seek(0)
    data = read_fully(file, MAX_REPAIR_BYTES + 1)
    start = data.find(HEADER, 0, HEADER_BYTES)
    if start < 0 or len(data) > MAX_REPAIR_BYTES:
        return
    if start:
        yield data[start:]
    root = find_root(data)
    # Without its trailer, an encrypted file cannot be decrypted: its pages would be blank.
    if root and not ENCRYPTED.search(data):
        trailer = b"trailer\n<</Size 8388607/Root %s %s R>>\nstartxref\n" % root
        yield data[start:] + b"\n" + trailer + b"0\n%%EOF\n"
        whole = data[start:] + b"\n"
        yield whole + build_table(whole) + trailer + b"%d\n%%%%EOF\n" % len(whole)


def build_table(data: bytes) -> bytes:
    """Return a cross-reference table of all objects; of two with one number, the last counts."""
    places = {int(each[1]): (each.start(), int(each[2])) for each in OBJECT_START.finditer(data)}
    entries = (b"%d 1\n%010d %05d n \n" % (number, *place) for number, place in sorted(places.items()))
    return b"xref\n0 1\n0000000000 65535 f \n" + b"".join(entries)


def read_fully(file: SeekableFile, most: int) -> bytes:
    data = bytearray()
    while len(data) < most and (chunk := file.read(min(most - len(data), 8_000_000))):
        data += chunk
    return bytes(data)


def find_root(data: bytes) -> tuple[bytes, ...] | None:
    """Return number and generation of the last catalog, which replaces those before it."""
    found = None
    for catalog in CATALOG.finditer(data):
        before = data[max(0, catalog.start() - MAX_DICTIONARY_BYTES) : catalog.start()]
        *_, last = [None, *OBJECT_START.finditer(before)]
        if last and b"endobj" not in before[last.end() :]:
            found = last.groups()
    return found
