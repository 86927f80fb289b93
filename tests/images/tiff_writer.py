"""TIFF files of every layout, written tag by tag: TIFF 6.0, BigTIFF, and Adobe's notes on predictors."""

import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

SHORT, LONG, RATIONAL, LONG8 = 3, 4, 5, 16
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, SEPARATED, YCBCR, CIELAB = 0, 1, 2, 3, 5, 6, 8
LOGL, LOGLUV = 32844, 32845
NONE, DEFLATE, SGILOG, WEBP = 1, 8, 34676, 50001
UINT, INT, FLOAT = 1, 2, 3  # sample formats
Tags = Mapping[int, int | Sequence[int]]


def pack_bits(samples: npt.NDArray[np.generic], bits: int, order: str) -> bytes:
    """(rows, samples) to rows of `bits` each, every row from a new byte; 24 bits and more in the file's order."""
    rows = samples.reshape(samples.shape[0], -1)
    if samples.dtype.kind == "f":
        return rows.astype(rows.dtype.newbyteorder(order)).tobytes()
    if bits in (8, 16, 32):
        return rows.astype(np.dtype(f"u{bits // 8}").newbyteorder(order)).tobytes()
    if bits == 24:
        quads = rows.astype(np.dtype("u4").newbyteorder(order)).view(np.uint8).reshape(*rows.shape, 4)
        return np.ascontiguousarray(quads[..., :3] if order == "<" else quads[..., 1:]).tobytes()
    wide = rows.astype(">u4").view(np.uint8).reshape(len(rows), -1, 4)
    digits = np.unpackbits(wide, axis=-1)[..., 32 - bits :].reshape(len(rows), -1)
    return np.packbits(digits, axis=-1).tobytes()


def horizontal_predictor(samples: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Predictor 2: differences along each row, modulo the type."""
    return np.concatenate([samples[:, :1], samples[:, 1:] - samples[:, :-1]], axis=1)  # type: ignore[operator]


def float_predictor(samples: npt.NDArray[np.generic]) -> bytes:
    """Predictor 3: the bytes of each row by significance, then their differences."""
    height, width = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    size = samples.dtype.itemsize
    planes = samples.astype(samples.dtype.newbyteorder(">")).view(np.uint8)
    rows = planes.reshape(height, width * channels, size).swapaxes(1, 2).reshape(height, -1).copy()
    rows[:, channels:] -= rows[:, :-channels].copy()
    return rows.tobytes()


def directory(entries: Tags, order: str, place: int, big: bool, next_place: int = 0) -> bytes:
    """A directory at `place`, its long values behind it."""
    count, entry, offset = ("Q", "HHQ", "Q") if big else ("H", "HHI", "I")
    room = 8 if big else 4
    behind = place + struct.calcsize("<" + count) + len(entries) * (20 if big else 12) + room
    table, values = struct.pack(order + count, len(entries)), b""
    for tag, value in sorted(entries.items()):
        numbers = [value] if isinstance(value, int) else list(value)
        kind = LONG if tag in (273, 324, 279, 325, 256, 257, 278) else SHORT
        packed = struct.pack(f"{order}{len(numbers)}{'I' if kind == LONG else 'H'}", *numbers)
        if len(packed) > room:
            values += bytes(-len(values) % 2)
            packed, values = struct.pack(order + offset, behind + len(values)), values + packed
        table += struct.pack(order + entry, tag, kind, len(numbers)) + packed.ljust(room, b"\0")
    return table + struct.pack(order + offset, next_place) + values


def head(order: str, big: bool, place: int) -> bytes:
    mark = b"II" if order == "<" else b"MM"
    return mark + (struct.pack(order + "HHHQ", 43, 8, 0, place) if big else struct.pack(order + "HI", 42, place))


def tiff(
    samples: npt.NDArray[np.generic],
    photometric: int,
    *,
    bits: int | None = None,
    order: str = "<",
    big: bool = False,
    planar: bool = False,
    deflate: bool = False,
    predictor: int = 1,
    rows_per_strip: int = 0,
    tags: Tags | None = None,
    without: Sequence[int] = (),
    parts: Sequence[bytes] | None = None,
) -> bytes:
    """A TIFF of (H, W) or (H, W, channels). `parts` are its strips where the caller has coded them.

    `tags` replace or add to those of the layout; those of `without` are missing.
    """
    height, width = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    bits = bits or samples.dtype.itemsize * 8
    step = rows_per_strip or height
    if parts is None:
        planes = [samples[..., index] for index in range(channels)] if planar else [samples]
        strips = [plane[row : row + step] for plane in planes for row in range(0, height, step)]
        parts = [code(strip, bits, order, predictor, deflate) for strip in strips]
    formats = {"u": UINT, "i": INT, "f": FLOAT}
    entries: dict[int, int | Sequence[int]] = {
        256: width, 257: height, 258: [bits] * channels, 259: DEFLATE if deflate else NONE, 262: photometric,
        277: channels, 278: step, 279: [len(part) for part in parts], 284: 2 if planar else 1,
        339: [formats[samples.dtype.kind]] * channels,
    }  # fmt: skip
    entries |= {317: predictor} if predictor != 1 else {}
    entries |= tags or {}
    start = 16 if big else 8
    places = [start + sum(len(part) for part in parts[:index]) for index in range(len(parts))]
    entries[273] = places
    entries = {tag: value for tag, value in entries.items() if tag not in without}
    body = b"".join(parts)
    body += bytes(-len(body) % 2)
    place = start + len(body)
    return head(order, big, place) + body + directory(entries, order, place, big)


def code(strip: npt.NDArray[np.generic], bits: int, order: str, predictor: int, deflate: bool) -> bytes:
    if predictor == 3:
        data = float_predictor(strip)
    else:
        data = pack_bits(horizontal_predictor(strip) if predictor == 2 else strip, bits, order)
    return zlib.compress(data) if deflate else data
