"""Segments of a TIFF file, strips or tiles, decompressed: by Pillow's libtiff, the standard library or imagecodecs.

Codecs of bytes do not depend on what the bytes mean: segments are wrapped as strips of a grey image of 8 bits, which
libtiff decodes in C, many at a time, within the size that the tags define. Codecs of images return pixels.
"""

import io
import struct
import zlib
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, TiffImagePlugin

from clip_vectorizer.errors import ImageRefused
from clip_vectorizer.images.arrays import Samples
from clip_vectorizer.images.pillow import ignore_pillow_warnings, open_image
from clip_vectorizer.images.tiff_layout import (
    CCITT,
    CCITT_RLE,
    CCITT_T4,
    CMYK,
    JPEG,
    LOG_L,
    MIN_IS_BLACK,
    NO_COMPRESSION,
    OLD_JPEG,
    RGB,
    SGILOG,
    SGILOG24,
    THUNDERSCAN,
    YCBCR,
    TiffLayout,
)

DEFLATE = (8, 32946, 50013)
LIBTIFF_CODECS = (5, 32773, 34925, 50000)  # LZW, PackBits, LZMA, Zstandard
WEBP, JPEG_2000, LERC, JPEG_XR, JPEG_XL = (
    (50001,),
    (34712, 33003, 33004, 33005),
    (34887,),
    (34934, 22610),
    (50002, 52546),
)
PILLOW_IMAGES = (*WEBP, *JPEG_2000)
EXTRA_CODECS = {
    **dict.fromkeys(LERC, ("LERC", "lerc_decode")),
    **dict.fromkeys(JPEG_XR, ("JPEG XR", "jpegxr_decode")),
    **dict.fromkeys(JPEG_XL, ("JPEG XL", "jpegxl_decode")),
    SGILOG24: ("LogLuv 24-bit", "tiff_decode"),
}
OTHER_CODECS = {32766: "NeXT", 32908: "Pixar film", 32909: "Pixar log", 34661: "JBIG"}
BYTE_CODECS = (NO_COMPRESSION, *DEFLATE, *LIBTIFF_CODECS, *CCITT, THUNDERSCAN)
LOG_CODECS = (SGILOG,)
IMAGE_CODECS = (OLD_JPEG, JPEG, *PILLOW_IMAGES, *EXTRA_CODECS)
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
MISSING_EXTRA = "to read these, `pip install clip-vectorizer[tiff]`"
ROW_STEPS = 64  # so a broken segment is decoded 7 times at most
BATCH_BYTES = 8_000_000  # decompressed at a time; a segment is never split
MAX_SEGMENT_BYTES = 600_000_000  # 100 megapixels of RGB of 16 bits in one strip


def check_codec(compression: int) -> None:
    """Raises ImageRefused for a compression that nothing here decodes, with its name or the extra that does."""
    if compression in EXTRA_CODECS:
        require_extra(f"{EXTRA_CODECS[compression][0]} compression")
    if compression not in (*BYTE_CODECS, *LOG_CODECS, *IMAGE_CODECS):
        name = OTHER_CODECS.get(compression, f"unknown ({compression})")
        raise ImageRefused(422, f"a TIFF with {name} compression; save it with another")


def require_extra(what: str) -> None:
    if find_spec("imagecodecs") is None:
        raise ImageRefused(422, f"a TIFF with {what}; {MISSING_EXTRA}")


def decompress(
    layout: TiffLayout, segments: Sequence[bytes], row_bytes: int, heights: Sequence[int], options: int = 0
) -> list[bytes | None]:
    """The bytes of each segment, `row_bytes` a row; shorter where the data end, None where they are broken.

    Segments of one call have equal heights but for the last. `options` are those of CCITT T.4.
    """
    sizes = [row_bytes * height for height in heights]
    if max(sizes) > MAX_SEGMENT_BYTES:
        raise ImageRefused(422, f"a TIFF with strips of {max(sizes) / 1e6:.0f} MB; save it with smaller ones")
    if layout.reversed_bits:
        segments = [segment.translate(REVERSED) for segment in segments]
    if layout.compression == NO_COMPRESSION:
        return [segment[:size] for segment, size in zip(segments, sizes, strict=True)]
    if layout.compression in DEFLATE:
        return [inflate(segment, size) for segment, size in zip(segments, sizes, strict=True)]
    return decode_strips(layout, segments, row_bytes, heights, options)


def decode_strips(
    layout: TiffLayout, segments: Sequence[bytes], row_bytes: int, heights: Sequence[int], options: int
) -> list[bytes | None]:
    """All segments by one call of libtiff if none is missing or broken, else each by its own."""
    bits = 1 if layout.compression in CCITT else 4 if layout.compression == THUNDERSCAN else 8
    columns = row_bytes if bits == 8 else layout.segment_width
    if all(segments):
        with suppress(Exception):
            return split_rows(unwrap(layout.compression, segments, columns, heights, bits, options), heights)
    return [unwrap_one(layout.compression, *one, columns, bits, options) for one in zip(segments, heights, strict=True)]


def inflate(segment: bytes, size: int) -> bytes | None:
    """What can be decompressed of the first `size` bytes."""
    decoder = zlib.decompressobj()
    pieces: list[bytes] = []
    with suppress(zlib.error):
        # In small steps: what comes before a fault is kept.
        for at in range(0, len(segment), step := 1 << 10):
            if size <= 0:
                break
            pieces.append(decoder.decompress(segment[at : at + step], size))
            size -= len(pieces[-1])
            while size > 0 and decoder.unconsumed_tail:
                pieces.append(decoder.decompress(decoder.unconsumed_tail, size))
                size -= len(pieces[-1])
    return b"".join(pieces)


def split_rows(rows: bytes, heights: Sequence[int]) -> list[bytes | None]:
    row_bytes = len(rows) // sum(heights)
    ends = np.cumsum(heights) * row_bytes
    return [rows[end - height * row_bytes : end] for end, height in zip(ends.tolist(), heights, strict=True)]


def unwrap_one(compression: int, segment: bytes, height: int, columns: int, bits: int, options: int) -> bytes | None:
    """The rows of a segment before its first fault, or a 64th fewer; None if there are none."""
    rows, found = height, None
    least, most = 0, height  # rows that can be decoded: more than `least` are not known yet, more than `most` cannot
    while segment and most - least > height // ROW_STEPS:
        try:
            found, least = unwrap(compression, [segment], columns, [rows], bits, options), rows
        except Exception:  # SyntaxError, OSError, ...
            most = rows - 1
        rows = (least + most + 1) // 2
    return found


def unwrap(
    compression: int, segments: Sequence[bytes], columns: int, heights: Sequence[int], bits: int, options: int
) -> bytes:
    """Segments decoded as strips of one grey image of 1, 4 or 8 bits. Raises what Pillow raises."""
    tags = {258: bits, 277: 1, 262: MIN_IS_BLACK, 292 if compression == CCITT_T4 else 293: options}
    file = wrap_strips(compression, segments, columns, heights, tags)
    with ignore_pillow_warnings(), TiffImagePlugin.TiffImageFile(io.BytesIO(file), "") as image:
        return pack_nibbles(np.asarray(image)) if bits == 4 else image.tobytes()


def pack_nibbles(grey: npt.NDArray[np.uint8]) -> bytes:
    """Levels of 0, 17, ... 255 as numbers of 4 bits, two a byte: each row begins with a byte."""
    padded = np.pad(grey, ((0, 0), (0, grey.shape[1] % 2)))
    return (padded[:, 0::2] & 0xF0 | padded[:, 1::2] >> 4).tobytes()


def wrap_strips(
    compression: int, segments: Sequence[bytes], width: int, heights: Sequence[int], tags: dict[int, int],
    tables: bytes = b"",
) -> bytes:  # fmt: skip
    """A TIFF file of these strips, all as high as the first but the last. `tables` are those of JPEG."""
    compression = {32771: CCITT_RLE}.get(compression, compression)
    numbers = {
        **{tag: (value,) for tag, value in tags.items()},
        256: (width,), 257: (sum(heights),), 259: (compression,), 278: (heights[0],),
        273: tuple(range(len(segments))), 279: tuple(map(len, segments)),
    }  # fmt: skip
    if tags.get(277, 1) > 1:
        numbers[258] = (tags[258],) * tags[277]
    out_of_line = 8 + 2 + 12 * (len(numbers) + bool(tables)) + 4
    values_bytes = 4 * sum(len(values) for values in numbers.values() if len(values) > 1) + len(tables)
    starts = np.cumsum([out_of_line + values_bytes, *map(len, segments)])[:-1]
    numbers[273] = tuple(starts.tolist())
    entries, extra = [], b""
    for tag, values in numbers.items():
        place = values[0] if len(values) == 1 else out_of_line + len(extra)
        entries.append((tag, struct.pack("<HHII", tag, 4, len(values), place)))
        extra += struct.pack(f"<{len(values)}I", *values) if len(values) > 1 else b""
    if tables:
        entries.append((347, struct.pack("<HHII", 347, 7, len(tables), out_of_line + len(extra))))
    header = b"II*\0" + struct.pack("<IH", 8, len(entries))
    return b"".join([header, *(entry for _, entry in sorted(entries)), bytes(4), extra, tables, *segments])


def decode_picture(layout: TiffLayout, segment: bytes, height: int, tables: bytes) -> Samples | None:
    """A segment that is an image by itself: (rows, columns, samples); None if it is broken. YCbCr becomes RGB.

    Raises ImageRefused where an extra is missing.
    """
    try:
        if layout.compression in EXTRA_CODECS:
            return decode_extra(EXTRA_CODECS[layout.compression][1], segment)
        if layout.compression in (JPEG, OLD_JPEG):
            return decode_jpeg(layout, segment, height, tables)
        if layout.compression in JPEG_2000 and layout.bits[0] > 8:  # Pillow's colours of 16 bits overflow near white
            require_extra("JPEG 2000 compression of more than 8 bits")
            return decode_extra("jpeg2k_decode", segment)
        with open_picture(layout, segment) as image:
            image.load()
            return as_samples(image.convert("RGB") if image.mode == "YCbCr" else image)
    except ImageRefused:
        raise
    except Exception:  # codecs raise OSError, ValueError, RuntimeError of their own, ...
        return None


def open_picture(layout: TiffLayout, segment: bytes) -> Any:
    if layout.compression in WEBP:
        return open_image(io.BytesIO(segment))
    return import_module("PIL.Jpeg2KImagePlugin").Jpeg2KImageFile(io.BytesIO(segment), "")


def as_samples(image: Image.Image) -> Samples:
    pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def decode_extra(name: str, segment: bytes, **options: object) -> Samples:
    pixels: Samples = np.asarray(getattr(import_module("imagecodecs"), name)(segment, **options))
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def decode_jpeg(layout: TiffLayout, segment: bytes, height: int, tables: bytes) -> Samples:
    samples = 1 if layout.planar else layout.samples
    if layout.bits[0] == 8 and samples in (1, 3, 4) and not is_lossless(segment):
        colours = {1: MIN_IS_BLACK, 3: YCBCR if layout.photometric == YCBCR else RGB, 4: CMYK}[samples]
        tags = {258: 8, 277: samples, 262: colours}
        file = wrap_strips(JPEG, [segment], layout.segment_width, [height], tags, tables)
        with ignore_pillow_warnings(), TiffImagePlugin.TiffImageFile(io.BytesIO(file), "") as image:
            return as_samples(image.convert("RGB") if image.mode == "YCbCr" else image)
    require_extra(f"lossless or {layout.bits[0]}-bit JPEG compression")
    return decode_extra("jpeg_decode", segment, tables=tables or None)


def is_lossless(segment: bytes) -> bool:
    """Whether the JPEG's frame is a lossless one (marker SOF3)."""
    at = 2
    while at + 4 <= len(segment) and segment[at] == 0xFF:
        if segment[at + 1] == 0xC3:
            return True
        if segment[at + 1] in (0xC0, 0xC1, 0xC2, 0xDA):
            return False
        at += 2 + int.from_bytes(segment[at + 2 : at + 4])
    return False


def unpack_log(layout: TiffLayout, segment: bytes, columns: int, rows: int) -> npt.NDArray[np.uint32] | None:
    """LogL or LogLuv pixels as numbers of 16 or 32 bits: (rows, columns); None if there are too few bytes."""
    planes = 2 if layout.photometric == LOG_L else 4
    result = np.zeros((rows, columns), np.uint32)
    at = 0
    for row in range(rows):
        for plane in range(planes):
            line, at = unpack_runs(segment, at, columns)
            if line is None:
                return None
            result[row] |= np.frombuffer(line, np.uint8).astype(np.uint32) << 8 * (planes - 1 - plane)
    return result


def unpack_runs(data: bytes, at: int, size: int) -> tuple[bytes | None, int]:
    """`size` bytes of run lengths of SGILOG from `at`, and where they end; None if there are too few."""
    out = bytearray()
    while len(out) < size:
        if at + 1 >= len(data):
            return None, at
        code = data[at]
        if code >= 128:  # a run of 2 to 129 equal bytes
            out += data[at + 1 : at + 2] * (code - 126)
            at += 2
        else:
            out += data[at + 1 : at + 1 + code]
            at += 1 + code
            if not code:
                return None, at
    return (bytes(out), at) if len(out) == size else (None, at)
