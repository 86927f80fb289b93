"""PNG files written chunk by chunk: what Pillow cannot write, and what is wrong on purpose."""

import struct
import zlib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6  # colour types
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))  # Adam7
Samples = npt.NDArray[np.uint16] | npt.NDArray[np.uint8]


def chunk(name: bytes, data: bytes = b"", crc: int | None = None) -> bytes:
    crc = zlib.crc32(name + data) if crc is None else crc
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)


def header(width: int, height: int, bits: int, colour: int, interlaced: bool = False) -> bytes:
    return chunk(b"IHDR", struct.pack(">2I5B", width, height, bits, colour, 0, 0, interlaced))


def pack_rows(samples: Samples, bits: int) -> bytes:
    """(H, W, channels) as filtered rows (filter 0)."""
    rows = samples.reshape(samples.shape[0], -1)
    if bits == 16:
        packed = rows.astype(">u2").view(np.uint8)
    else:
        digits = np.unpackbits(rows.astype(np.uint8)[..., None], axis=-1)[..., 8 - bits :]
        packed = np.packbits(digits.reshape(len(rows), -1), axis=-1)
    return b"".join(b"\0" + row.tobytes() for row in packed)


def pixel_data(samples: Samples, bits: int, interlaced: bool = False) -> bytes:
    if not interlaced:
        return zlib.compress(pack_rows(samples, bits))
    passes = [samples[y::dy, x::dx] for x, y, dx, dy in PASSES]
    return zlib.compress(b"".join(pack_rows(part, bits) for part in passes if part.size))


def png(
    samples: Samples,
    colour: int,
    bits: int = 8,
    chunks: Iterable[bytes] = (),
    *,
    interlaced: bool = False,
    after: Sequence[bytes] = (),
) -> bytes:
    """A PNG of (H, W) or (H, W, channels) `samples`; `chunks` come before the pixels, `after` behind them."""
    height, width = samples.shape[:2]
    data = pixel_data(samples.reshape(height, width, CHANNELS[colour]), bits, interlaced)
    head = SIGNATURE + header(width, height, bits, colour, interlaced)
    return head + b"".join([*chunks, chunk(b"IDAT", data), *after, chunk(b"IEND")])


def iccp(profile: bytes) -> bytes:
    return chunk(b"iCCP", b"corpus\0\0" + zlib.compress(profile))


def gama(exponent: float) -> bytes:
    """`exponent` of the file's encoding: 0.45455 is the usual one."""
    return chunk(b"gAMA", struct.pack(">I", round(exponent * 100_000)))


def chrm(white: tuple[float, float], primaries: Iterable[tuple[float, float]]) -> bytes:
    points = [value for point in (white, *primaries) for value in point]
    return chunk(b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in points)))


def cicp(primaries: int, transfer: int) -> bytes:
    """ITU-T H.273 code points, for RGB in full range."""
    return chunk(b"cICP", bytes([primaries, transfer, 0, 1]))


def chunk_start(data: bytes, name: bytes) -> int:
    """Where the chunk begins, at its length."""
    return data.index(name) - 4


def split(data: bytes) -> list[bytes]:
    """The chunks of a PNG, whole, in order."""
    place, found = len(SIGNATURE), []
    while place < len(data):
        size = 12 + struct.unpack_from(">I", data, place)[0]
        found.append(data[place : place + size])
        place += size
    return found
