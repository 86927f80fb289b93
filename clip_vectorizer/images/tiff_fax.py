"""Rows of fax pages (CCITT T.6) that were never decoded: libtiff stops at a fault without an error, and leaves white.

Where a page ends in white rows, the strip is decoded again with other data at its end. If that changes nothing, the
decoder did not come so far; if what is put behind the end becomes rows, the data ended before the strip did.
"""

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import numpy.typing as npt
from PIL import Image

from clip_vectorizer.images.arrays import Bytes
from clip_vectorizer.images.tiff_codecs import unwrap
from clip_vectorizer.images.tiff_layout import CCITT_T6

LEAST_WHITE = 0.1  # the share of a strip's rows, at its end; fewer are left to the eye
SPARE_BYTES = 64  # of data that must have had an effect, besides one bit a white row
END_OF_BLOCK = bytes([*[0] * 11, 1, *[0] * 11, 1])  # bits
MARK = bytes((0, 0, 0, 0, 0, 1, 0, 1)) * 8  # bits: rows that are black at their right end, on a white one

Bits = npt.NDArray[np.uint8]


def ends_in_one_colour(image: Image.Image) -> bool:
    """Whether the last tenth of the rows, or more, has one colour throughout."""
    top = image.height - max(1, round(image.height * LEAST_WHITE))
    lowest, highest = image.crop((0, top, image.width, image.height)).convert("L").getextrema()
    return lowest == highest


def drop_undecoded_rows(segment: bytes, raw: bytes, columns: int, options: int) -> bytes:
    """The rows `raw` of a strip without those that the decoder never reached."""
    rows = split_rows(raw, columns)
    inked = np.flatnonzero(rows.any(axis=1))
    written = int(inked[-1]) + 1 if len(inked) else 0
    white = len(rows) - written
    body = find_body(segment)
    unread = 8 * (SPARE_BYTES + white // 8)  # bits; the white rows need one each
    if white < max(1, len(rows) * LEAST_WHITE) or len(body) <= unread:
        return raw
    shorter = decode_bits([body[:-unread], END_OF_BLOCK], columns, len(rows), options)
    longer = decode_bits([body, MARK, END_OF_BLOCK], columns, len(rows), options)
    is_whole = shorter != raw and longer == raw
    return raw if is_whole else raw[: written * rows.shape[1]]


def split_rows(raw: bytes, columns: int) -> Bytes:
    row_bytes = -(-columns // 8)
    return np.frombuffer(raw, np.uint8)[: len(raw) // row_bytes * row_bytes].reshape(-1, row_bytes)


def find_body(segment: bytes) -> Bits:
    """The bits before the end-of-block code, or before the zeros that fill the last byte."""
    bits = np.unpackbits(np.frombuffer(segment, np.uint8))
    end = bits.tobytes().rfind(END_OF_BLOCK)
    if end < 0:
        ones = np.flatnonzero(bits)
        end = int(ones[-1]) + 1 if len(ones) else 0
    return bits[:end]


def decode_bits(parts: Sequence[Bits | bytes], columns: int, rows: int, options: int) -> bytes:
    bits = np.concatenate([np.frombuffer(part, np.uint8) if isinstance(part, bytes) else part for part in parts])
    with suppress(Exception):
        return unwrap(CCITT_T6, [np.packbits(bits).tobytes()], columns, [rows], 1, options)
    return b""
