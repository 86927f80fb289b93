"""BMP files that Pillow refuses: every header of Windows and OS/2, 1 to 32 bits, any bit fields, run lengths.

Layouts as Microsoft documents them (BITMAPINFOHEADER and its successors) and OS/2's headers of 12, 16 and 64 bytes.
"""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from clip_vectorizer.errors import ImageRefused
from clip_vectorizer.images.arrays import Bytes
from clip_vectorizer.images.damage import PartialImage, list_row_gaps
from clip_vectorizer.images.settings import check_size

FILE_HEADER = 14  # bytes
CORE_HEADER = 12  # the first header of OS/2, with sides of 16 bits and colours of 3 bytes
HEADER_SIZES = range(16, 125)
RGB, RLE8, RLE4, BIT_FIELDS, RLE24_OS2, ALPHA_BIT_FIELDS = 0, 1, 2, 3, 4, 6
OS2_HEADER, V3_HEADER = 64, 56
COMPRESSIONS = {RLE8: (8,), RLE4: (4,), BIT_FIELDS: (16, 32), ALPHA_BIT_FIELDS: (16, 32)}
DEFAULT_MASKS = {16: (0x7C00, 0x03E0, 0x001F, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}
PALETTE_BITS = (1, 2, 4, 8)
MAX_RUNS = 4_000_000  # some seconds
END_OF_LINE, END_OF_PICTURE, DELTA = 0, 1, 2


@dataclass(frozen=True, slots=True)
class BmpLayout:
    """What the headers say."""

    width: int
    height: int
    bits: int  # of a pixel
    compression: int
    is_top_down: bool
    offset: int  # of the pixels, from the start of the file
    masks: tuple[int, int, int, int]  # red, green, blue, alpha; of 16 and 32 bits
    palette: Bytes  # (N, 3) RGB; empty for more than 8 bits


def trusts_pillow_bmp(data: bytes) -> bool:
    """Whether Pillow decodes the file to the right pixels: it drops alpha, and refuses or shifts odd runs."""
    header = int.from_bytes(data[14:18], "little")
    bits, compression = int.from_bytes(data[28:30], "little"), int.from_bytes(data[30:34], "little")
    return header == 40 and compression == RGB and bits in (*PALETTE_BITS, 24, 32)


def decode_bmp(data: bytes, max_pixels: int) -> PartialImage:
    """A BMP file as RGB or RGBA; rows that are not in the file are gaps.

    Raises ImageRefused: 413 for more than `max_pixels`, 422 for a layout that is none.
    """
    layout = read_layout(data)
    check_size(layout.width, layout.height, max_pixels)
    if layout.compression in (RLE4, RLE8, RLE24_OS2):
        pixels, there = unpack_runs(layout, data[layout.offset :]), layout.height
    else:
        pixels, there = unpack_rows(layout, data[layout.offset :])
    missing = np.arange(layout.height) >= there
    if not layout.is_top_down:
        pixels, missing = pixels[::-1], missing[::-1]
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.format = "BMP"
    return PartialImage(image, list_row_gaps(missing, layout.width))


def read_layout(data: bytes) -> BmpLayout:
    """Raises ImageRefused."""
    try:
        offset, header = struct.unpack_from("<II", data, 10)
        if header == CORE_HEADER:
            width, height, _, bits = struct.unpack_from("<HHHH", data, FILE_HEADER + 4)
        elif header in HEADER_SIZES:
            width, height, _, bits = struct.unpack_from("<iiHH", data, FILE_HEADER + 4)
        else:
            raise ImageRefused(422, f"a BMP file with a header of {header} bytes, which no program writes")
        compression, count, masks = read_details(data, header, bits)
    except struct.error as error:
        raise ImageRefused(422, "a BMP file whose header is cut off") from error
    check_layout(width, height, bits, compression)
    masks_after = {BIT_FIELDS: 12, ALPHA_BIT_FIELDS: 16}.get(compression, 0) if header == 40 else 0
    start = FILE_HEADER + header + masks_after
    palette = read_palette(data, start, 3 if header == CORE_HEADER else 4, min(count or 256, 1 << bits), bits)
    return BmpLayout(width, abs(height), bits, compression, height < 0, offset, masks, palette)


def read_details(data: bytes, header: int, bits: int) -> tuple[int, int, tuple[int, int, int, int]]:
    """Compression, number of colours, masks. A short header has none of them."""
    if header < 40:
        return RGB, 0, DEFAULT_MASKS.get(bits, (0, 0, 0, 0))
    compression, _, _, _, count = struct.unpack_from("<IIiiI", data, FILE_HEADER + 16)
    if header == OS2_HEADER and compression == BIT_FIELDS:
        raise ImageRefused(422, "a BMP file of OS/2 with fax compression, which is not read here")
    masks = DEFAULT_MASKS.get(bits, (0, 0, 0, 0))
    alpha = (header >= V3_HEADER and bits in DEFAULT_MASKS) or compression == ALPHA_BIT_FIELDS
    if compression in (BIT_FIELDS, ALPHA_BIT_FIELDS):
        red, green, blue = struct.unpack_from("<III", data, FILE_HEADER + 40)
        masks = (red, green, blue, 0)
    if alpha:
        masks = (*masks[:3], struct.unpack_from("<I", data, FILE_HEADER + 52)[0])
    return compression, count, masks


def check_layout(width: int, height: int, bits: int, compression: int) -> None:
    """Raises ImageRefused."""
    if width <= 0 or height == 0:
        raise ImageRefused(422, f"a BMP file of {width} x {abs(height)} pixels")
    if compression == RGB and bits in (*PALETTE_BITS, 16, 24, 32):
        return
    if bits in COMPRESSIONS.get(compression, ()) or (compression, bits) == (RLE24_OS2, 24):
        return
    raise ImageRefused(422, f"a BMP file of {bits} bits with compression {compression}, which is not read here")


def read_palette(data: bytes, start: int, entry: int, count: int, bits: int) -> Bytes:
    """(N, 3) RGB of the 2^bits colours; those that the file lacks are black."""
    if bits not in PALETTE_BITS:
        return np.empty((0, 3), np.uint8)
    raw = np.frombuffer(data[start : start + entry * count].ljust(entry * count, b"\0"), np.uint8)
    palette = np.zeros((1 << bits, 3), np.uint8)
    palette[:count] = raw.reshape(count, entry)[:, 2::-1]
    return palette


def unpack_rows(layout: BmpLayout, data: bytes) -> tuple[Bytes, int]:
    """Pixels in the file's order, (H, W, 3 or 4), and how many of the rows are there."""
    stride = (layout.width * layout.bits + 31) // 32 * 4
    there = min(layout.height, len(data) // stride)
    rows = np.frombuffer(data[: stride * there], np.uint8).reshape(there, stride)
    found = decode_rows(layout, rows)
    pixels = np.zeros((layout.height, layout.width, found.shape[2]), np.uint8)
    pixels[:there] = found
    return pixels, there


def decode_rows(layout: BmpLayout, rows: Bytes) -> Bytes:
    """Rows of bytes, (R, stride), as pixels, (R, W, 3 or 4)."""
    if layout.bits in PALETTE_BITS:
        return layout.palette[unpack_indexes(rows, layout.bits, layout.width)]
    if layout.bits == 24:
        return rows[:, : 3 * layout.width].reshape(len(rows), layout.width, 3)[:, :, ::-1]
    values = np.ascontiguousarray(rows[:, : layout.width * layout.bits // 8]).view(f"<u{layout.bits // 8}")
    return apply_masks(values, layout.masks)


def unpack_indexes(rows: Bytes, bits: int, width: int) -> Bytes:
    """(H, W) indexes of 1, 2, 4 or 8 bits, the first one in the highest bits."""
    if bits == 8:
        return rows[:, :width]
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
    spread: Bytes = np.bitwise_and(np.right_shift(rows[:, :, None], shifts), np.uint8((1 << bits) - 1))
    return spread.reshape(len(rows), -1)[:, :width]


def apply_masks(values: npt.NDArray[np.unsignedinteger], masks: tuple[int, int, int, int]) -> Bytes:
    """(H, W, 3 or 4): the bits of each mask, scaled to 0..255. An alpha that is 0 everywhere is none."""
    bands = [scale_field(values, mask) for mask in masks[:3]]
    alpha = scale_field(values, masks[3])
    return np.stack([*bands, alpha] if alpha.any() else bands, axis=-1)


def scale_field(values: npt.NDArray[np.unsignedinteger], mask: int) -> Bytes:
    if not mask:
        return np.zeros(values.shape, np.uint8)
    low = (mask & -mask).bit_length() - 1
    field = (values & values.dtype.type(mask & (2 ** (8 * values.itemsize) - 1))) >> low
    scaled: Bytes = np.rint(field * (255.0 / (mask >> low))).astype(np.uint8)
    return scaled


def unpack_runs(layout: BmpLayout, data: bytes) -> Bytes:
    """(H, W, 3) in the file's order; pixels that no run sets are black, as in Chromium. Raises ImageRefused."""
    pixels = np.zeros((layout.height, layout.width, 3), np.uint8)
    for left, row, colours in iterate_runs(layout, data):
        if row < layout.height and left < layout.width:
            end = min(left + len(colours), layout.width)
            pixels[row, left:end] = colours[: end - left]
    return pixels


def iterate_runs(layout: BmpLayout, data: bytes) -> Iterator[tuple[int, int, Bytes]]:
    """Column, row and colours (N, 3) of each run. They end with the data or the picture."""
    file, column, row = io.BytesIO(data), 0, 0
    for _ in range(MAX_RUNS):
        pair = file.read(2)
        if len(pair) < 2 or row >= layout.height:
            return
        count, code = pair
        if count:
            colours = repeat_colour(layout, file, count, code)
        elif code == END_OF_LINE:
            column, row = 0, row + 1
            continue
        elif code == END_OF_PICTURE:
            return
        elif code == DELTA:
            right, down = file.read(2).ljust(2, b"\0")
            column, row = column + right, row + down
            continue
        else:
            colours = read_colours(layout, file, code)
        yield column, row, colours
        column += len(colours)
    raise ImageRefused(422, f"a BMP file of more than {MAX_RUNS:,} runs; save it anew")


def repeat_colour(layout: BmpLayout, file: io.BytesIO, count: int, code: int) -> Bytes:
    if layout.bits == 24:
        colour = bytes((code, *file.read(2).ljust(2, b"\0")))[::-1]
        return np.tile(np.frombuffer(colour, np.uint8), (count, 1))
    indexes = (code,) if layout.bits == 8 else (code >> 4, code & 15)
    colours: Bytes = layout.palette[np.resize(indexes, count)]
    return colours


def read_colours(layout: BmpLayout, file: io.BytesIO, count: int) -> Bytes:
    """`count` colours as they are; they fill whole words."""
    size = -(-count * layout.bits // 8)
    raw = np.frombuffer(file.read(size + size % 2)[:size].ljust(size, b"\0"), np.uint8)
    if layout.bits == 24:
        return raw.reshape(count, 3)[:, ::-1]
    colours: Bytes = layout.palette[unpack_indexes(raw[None], layout.bits, count)[0]]
    return colours
