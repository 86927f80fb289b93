"""BMP files of every header and depth, written by code.

The layout: https://learn.microsoft.com/windows/win32/gdi/bitmap-storage and the OS/2 1.x and 2.x headers.
"""

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tests.images.case import Rgb

RGB, RLE8, RLE4, BITFIELDS = 0, 1, 2, 3  # compressions
Masks = tuple[int, int, int, int]
MASKS_565: Masks = (0xF800, 0x07E0, 0x001F, 0)
MASKS_555: Masks = (0x7C00, 0x03E0, 0x001F, 0)
MASKS_888: Masks = (0xFF0000, 0xFF00, 0xFF, 0)
MASKS_8888: Masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
MASKS_1010: Masks = (0x3FF00000, 0x000FFC00, 0x000003FF, 0)
CORE, OS2_SHORT, INFO, V2, V3, OS2, V4, V5 = 12, 16, 40, 52, 56, 64, 108, 124  # bytes of the header


def file_of(
    pixels: bytes,
    size: tuple[int, int],
    bits: int,
    *,
    header: int = INFO,
    compression: int = RGB,
    masks: Masks | None = None,
    palette: bytes = b"",
    tail: bytes = b"",
) -> bytes:
    """A BMP around `pixels`; a negative height is top-down. `tail` follows the pixels, such as a profile."""
    width, height = size
    if header == CORE:
        info = struct.pack("<IHHHH", CORE, width, height, 1, bits)
    else:
        colours = len(palette) // 4
        info = struct.pack(
            "<IiiHHIIiiII", header, width, height, 1, bits, compression, len(pixels), 2835, 2835, colours, 0
        )
    if masks and header in (V2, V3, V4, V5):
        info += struct.pack("<IIII", *masks)[: header - INFO]
    extra = b""
    if masks and header == INFO:
        extra = struct.pack("<III", *masks[:3])
    info = info[:header].ljust(header, b"\0")
    if header in (V4, V5):
        profile = b"DEBM" if tail else b"BGRs"  # embedded profile, or sRGB
        info = info[:56] + profile + info[60:]
        if header == V5:
            info = info[:108] + struct.pack("<IIII", 4, header + len(palette) + len(pixels), len(tail), 0)
    start = 14 + len(info) + len(extra) + len(palette)
    head = struct.pack("<2sIHHI", b"BM", start + len(pixels) + len(tail), 0, 0, start)
    return head + info + extra + palette + pixels + tail


def pad_rows(rows: Sequence[bytes], *, top_down: bool = False) -> bytes:
    """Rows from the bottom up, each padded to four bytes."""
    ordered = rows if top_down else rows[::-1]
    return b"".join(row + bytes(-len(row) % 4) for row in ordered)


def bgr_rows(pixels: Rgb) -> list[bytes]:
    return [np.ascontiguousarray(row[:, ::-1]).tobytes() for row in pixels]


def packed_rows(indexes: npt.NDArray[np.uint8], bits: int) -> list[bytes]:
    digits = np.unpackbits(indexes[..., None], axis=-1)[..., 8 - bits :].reshape(len(indexes), -1)
    return [row.tobytes() for row in np.packbits(digits, axis=-1)]


def masked_rows(pixels: npt.NDArray[np.uint8], masks: Masks, bits: int) -> list[bytes]:
    """(H, W, 3 or 4) by bit masks."""
    words = np.zeros(pixels.shape[:2], np.uint32)
    for channel, mask in enumerate(masks[: pixels.shape[2]]):
        shift, width = (mask & -mask).bit_length() - 1, mask.bit_count()
        values = np.rint(pixels[..., channel] / 255.0 * (2**width - 1)).astype(np.uint32)
        words |= values << np.uint32(shift)
    return [row.astype("<u2" if bits == 16 else "<u4").tobytes() for row in words]


def through_masks(pixels: Rgb, masks: Masks) -> Rgb:
    """What is left of `pixels` after the bits of `masks`."""
    widths = np.array([2 ** mask.bit_count() - 1 for mask in masks[:3]])
    return np.rint(np.rint(pixels / 255.0 * widths) / widths * 255).astype(np.uint8)


def bgrx_palette(colours: Rgb) -> bytes:
    """(N, 3) as four bytes each."""
    return b"".join(bytes([blue, green, red, 0]) for red, green, blue in colours.tolist())


def bgr_palette(colours: Rgb) -> bytes:
    """(N, 3) as OS/2 1.x has it."""
    return np.ascontiguousarray(colours[:, ::-1]).tobytes()


def rle8(indexes: npt.NDArray[np.uint8]) -> bytes:
    """Runs for the left half of each row, literals for the right half."""
    coded = b""
    for row in indexes[::-1]:
        half = len(row) // 2
        for value in row[:half].tolist():
            coded += bytes([1, value])
        literal = row[half:].tobytes()
        coded += bytes([0, len(literal)]) + literal + bytes(len(literal) % 2) + b"\0\0"
    return coded + b"\0\1"


def rle4(indexes: npt.NDArray[np.uint8]) -> bytes:
    """Runs of pairs."""
    coded = b""
    for row in indexes[::-1]:
        for first, second in zip(row[::2].tolist(), row[1::2].tolist(), strict=True):
            coded += bytes([2, first << 4 | second])
        coded += b"\0\0"
    return coded + b"\0\1"
