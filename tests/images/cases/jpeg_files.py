"""JPEG files that are cut, patched, or of a rare kind."""

import struct
from collections.abc import Iterator

import numpy as np

from tests.images import blobs
from tests.images.case import CorpusCase
from tests.images.pictures import TALL, grey_picture, jpeg, picture, three

PICTURE, TALL_PICTURE = picture(), picture(*TALL)
BLOB, BLOB_GREY = picture(*blobs.SIZE), three(grey_picture(*blobs.SIZE))
MANY_SCANS = 3000


def jpeg_cases() -> Iterator[CorpusCase]:
    yield from cut_files()
    yield from patched_files()
    yield from progressive_files()
    yield from rare_processes()


def cut_files() -> Iterator[CorpusCase]:
    whole, truth = jpeg(TALL_PICTURE), TALL_PICTURE
    yield CorpusCase("cut-20-bytes.jpg", "JPEG without its last 20 bytes", whole[:-20], "damaged", truth, rows=0.9)
    yield CorpusCase("cut-95.jpg", "JPEG cut at 95 %", cut_scan(whole, 0.95), "damaged", truth, rows=0.9)
    yield CorpusCase("cut-50.jpg", "JPEG cut at 50 %", cut_scan(whole, 0.5), "refused", truth, "truncated", rows=0.4)
    yield CorpusCase("cut-10.jpg", "JPEG cut at 10 %", cut_scan(whole, 0.1), "refused", truth, "truncated", rows=0.03)
    yield CorpusCase(
        "cut-header.jpg", "JPEG cut before its scan", whole[:300], "refused", says="truncated", browser="nothing"
    )
    yield CorpusCase("no-eoi.jpg", "JPEG without its end marker", whole[:-2], "shown", truth, rows=0.95)


def cut_scan(data: bytes, share: float) -> bytes:
    """The file up to `share` of its scan's bytes."""
    scan = data.rindex(b"\xff\xda")
    return data[: scan + round((len(data) - scan) * share)]


def segments_end(data: bytes) -> int:
    """Where the first segment after SOI ends."""
    return 4 + struct.unpack_from(">H", data, 4)[0]


def patched_files() -> Iterator[CorpusCase]:
    whole = jpeg(PICTURE)
    first = segments_end(whole)
    no_jfif = whole[:2] + whole[first:]
    files = {
        "after-eoi": ("bytes after the end", whole + b"some words\0" * 20),
        "zeros-between": ("zero bytes between segments", whole[:first] + bytes(7) + whole[first:]),
        "short-jfif": ("a JFIF segment of 7 bytes", whole[:2] + b"\xff\xe0\0\x07JFIF\0" + whole[first:]),
        "empty-jfif": ("an empty JFIF segment", whole[:2] + b"\xff\xe0\0\x02" + whole[first:]),
        "no-jfif": ("no JFIF segment", no_jfif),
        "fill-bytes": ("fill bytes before markers", whole[:first] + b"\xff" * 9 + whole[first:]),
        "comment-ffda": ("FFDA in a comment", whole[:2] + comment(b"\xff\xda" * 200) + whole[2:]),
        "empty-exif": ("an empty EXIF segment", whole[:2] + b"\xff\xe1\0\x02" + whole[2:]),
        "broken-exif": ("a broken EXIF segment", jpeg(PICTURE, exif=b"Exif\0\0MM\0\x2a\xff\xff\xff\xff")),
    }
    for name, (what, data) in files.items():
        yield CorpusCase(f"jpeg-{name}.jpg", f"JPEG, {what}", data, "shown", PICTURE)


def comment(text: bytes) -> bytes:
    return b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text


def progressive_files() -> Iterator[CorpusCase]:
    whole = jpeg(PICTURE, progressive=True)
    yield CorpusCase("progressive.jpg", "progressive JPEG of 10 scans", whole, truth=PICTURE)
    exif = jpeg(PICTURE, progressive=True, exif=b"Exif\0\0" + b"\xff\xda" * 300)
    yield CorpusCase("progressive-ffda.jpg", "progressive JPEG, FFDA in its metadata", exif, "shown", PICTURE)
    yield CorpusCase(
        "progressive-bomb.jpg", f"progressive JPEG of {MANY_SCANS} scans", scan_bomb(), "refused", says="scans",
        browser="left out", why="it decodes every scan, for many seconds",
    )  # fmt: skip
    tall = jpeg(TALL_PICTURE, progressive=True)
    yield CorpusCase(
        "progressive-cut-20.jpg", "progressive JPEG without its last 20 bytes", tall[:-20], "damaged", TALL_PICTURE
    )
    first_scan = tall[: tall.index(b"\xff\xda") + 40]
    yield CorpusCase(
        "progressive-cut-first.jpg", "progressive JPEG cut in its first scan", first_scan, "refused", says="truncated",
        browser="other", why="it shows the grey of what is missing",
    )  # fmt: skip


def scan_bomb() -> bytes:
    """The last scan, a refinement of one component, many times over, of a picture of many pixels."""
    whole = jpeg(np.full((2000, 2000), 120, np.uint8), progressive=True)
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * MANY_SCANS + b"\xff\xd9"


def rare_processes() -> Iterator[CorpusCase]:
    files = {
        "lossless": ("lossless JPEG", blobs.LOSSLESS, "opened", BLOB, ""),
        "lossless-16": ("lossless JPEG of 16 bits", blobs.LOSSLESS_GREY_16, "either", BLOB_GREY, "lossless JPEG"),
        "12-bit": ("JPEG of 12 bits", blobs.TWELVE_BIT, "either", BLOB, "12"),
    }  # fmt: skip
    for name, (what, data, kind, truth, says) in files.items():
        yield CorpusCase(f"jpeg-{name}.jpg", what, data, kind, truth, says, browser="nothing")  # type: ignore[arg-type]
    yield CorpusCase("jpeg-ls.jls", "JPEG-LS", blobs.JPEG_LS, "either", BLOB, "JPEG-LS", browser="nothing")
    yield CorpusCase(
        "jpeg-ls-named.jpg", "JPEG-LS named .jpg", blobs.JPEG_LS, "either", BLOB, "JPEG-LS", browser="nothing"
    )
    for name, what, data in (
        ("", "", blobs.ARITHMETIC),
        ("-progressive", "progressive ", blobs.ARITHMETIC_PROGRESSIVE),
    ):
        yield CorpusCase(f"jpeg-arithmetic{name}.jpg", f"arithmetic-coded {what}JPEG", data, truth=BLOB)
    for name, what, options in (
        ("420", "4:2:0", {"subsampling": 2}),
        ("422", "4:2:2", {"subsampling": 1}),
        ("restart", "restart markers", {"restart_marker_rows": 1}),
        ("optimized", "its own Huffman tables", {"optimize": True}),
    ):
        yield CorpusCase(f"jpeg-{name}.jpg", f"JPEG, {what}", jpeg(PICTURE, **options), truth=PICTURE)
    odd = picture(61, 47)
    yield CorpusCase("jpeg-odd.jpg", "JPEG of 61 x 47, 4:2:0", jpeg(odd, subsampling=2), truth=odd)
