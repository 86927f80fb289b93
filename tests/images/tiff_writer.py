"""TIFF files of any layout, written from numbers: what a decoder must return is known without another decoder.

TIFF 6.0, BigTIFF, and Adobe's notes on predictors. `TiffFile` has every choice, `tiff` is short for the usual ones.
"""

import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.generic]
KINDS = {1: "B", 2: "B", 3: "H", 4: "I", 7: "B", 11: "f", 12: "d", 16: "Q"}  # type of a tag's values: struct's
SHORT, LONG, BYTES, FLOATS = 3, 4, 7, 11  # types of a tag's values
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, SEPARATED, YCBCR, CIELAB = 0, 1, 2, 3, 5, 6, 8
LOGL, LOGLUV = 32844, 32845
NONE, LZW, JPEG, DEFLATE, THUNDERSCAN, SGILOG, WEBP = 1, 5, 7, 8, 32809, 34676, 50001
UINT, INT, FLOAT = 1, 2, 3  # sample formats
LONG_TAGS = (256, 257, 273, 278, 279, 324, 325)


@dataclass(frozen=True, slots=True, kw_only=True)
class TiffFile:
    """What is written; `samples` are (H, W, S) numbers. The tags of `more` are added: tag to type and values."""

    samples: Numbers
    bits: int
    photometric: int | None = 1
    sample_format: int = 1
    planar: bool = False
    order: str = "<"
    big: bool = False
    tile: int = 0  # side of the tiles; 0: strips
    strip_rows: int = 7
    compression: int = 1
    compress: Callable[[bytes], bytes] = bytes
    predictor: int = 1
    fill_order: int = 1
    more: dict[int, tuple[int, tuple[float, ...]]] = field(default_factory=dict)
    without: tuple[int, ...] = ()  # tags that are left out
    segments: Sequence[bytes] | None = None  # strips or tiles that the caller has coded

    def write(self) -> bytes:
        return write_pages([self])


def tiff(
    samples: Numbers,
    photometric: int,
    *,
    bits: int | None = None,
    order: str = "<",
    big: bool = False,
    planar: bool = False,
    deflated: bool = False,
    predictor: int = 1,
    rows_per_strip: int = 0,
    tile: int = 0,
    tags: Mapping[int, float | Sequence[float]] | None = None,
    floats: Mapping[int, Sequence[float]] | None = None,
    without: Sequence[int] = (),
    parts: Sequence[bytes] | None = None,
) -> bytes:
    """A TIFF of (H, W) or (H, W, S) samples, whose type is that of the file. `parts` are strips that are coded already.

    `tags` and `floats` replace or add to those of the layout; those of `without` are missing.
    """
    more: dict[int, tuple[int, tuple[float, ...]]] = {}
    for tag, value in (tags or {}).items():
        values = (value,) if isinstance(value, int | float) else tuple(value)
        more[tag] = (LONG if tag in LONG_TAGS else SHORT, values)
    more |= {tag: (FLOATS, tuple(values)) for tag, values in (floats or {}).items()}
    return TiffFile(
        samples=samples if samples.ndim == 3 else samples[:, :, None],
        bits=bits or samples.dtype.itemsize * 8,
        photometric=photometric,
        sample_format={"u": UINT, "i": INT, "f": FLOAT}[samples.dtype.kind],
        planar=planar,
        order=order,
        big=big,
        tile=tile,
        strip_rows=rows_per_strip or len(samples),
        compression=DEFLATE if deflated else NONE,
        compress=deflate if deflated else bytes,
        predictor=predictor,
        more=more,
        without=tuple(without),
        segments=parts,
    ).write()


def write_pages(pages: list[TiffFile]) -> bytes:
    first = pages[0]
    order, big = first.order, first.big
    data = bytearray(b"II" if order == "<" else b"MM")
    data += struct.pack(order + ("HHHQ" if big else "HI"), *((43, 8, 0, 0) if big else (42, 0)))
    link = 8 if big else 4
    for page in pages:
        offsets, sizes = [], []
        for segment in split_segments(page):
            offsets.append(len(data))
            data += segment
            sizes.append(len(segment))
            data += bytes(len(data) % 2)
        struct.pack_into(order + ("Q" if big else "I"), data, link, len(data))
        data, link = append_directory(data, page, list_tags(page, offsets, sizes))
    return bytes(data)


def list_tags(page: TiffFile, offsets: list[int], sizes: list[int]) -> dict[int, tuple[int, tuple[float, ...]]]:
    high, wide, samples = page.samples.shape
    places, counts = (324, 325) if page.tile else (273, 279)
    tags: dict[int, tuple[int, tuple[float, ...]]] = {
        256: (4, (wide,)),
        257: (4, (high,)),
        258: (3, (page.bits,) * samples),
        259: (3, (page.compression,)),
        277: (3, (samples,)),
        284: (3, (2 if page.planar else 1,)),
        266: (3, (page.fill_order,)),
        339: (3, (page.sample_format,) * samples),
        317: (3, (page.predictor,)),
        places: (16 if page.big else 4, tuple(offsets)),
        counts: (4, tuple(sizes)),
    }
    if page.photometric is not None:
        tags[262] = (3, (page.photometric,))
    if page.tile:
        tags |= {322: (4, (page.tile,)), 323: (4, (page.tile,))}
    else:
        tags[278] = (4, (page.strip_rows,))
    return {tag: value for tag, value in sorted((tags | page.more).items()) if tag not in page.without}


def append_directory(
    data: bytearray, page: TiffFile, tags: dict[int, tuple[int, tuple[float, ...]]]
) -> tuple[bytearray, int]:
    """The file with a directory, and the position of the link to the next one."""
    order, big = page.order, page.big
    entry_bytes, room = (20, 8) if big else (12, 4)
    head = struct.pack(order + ("Q" if big else "H"), len(tags))
    extra_at = len(data) + len(head) + entry_bytes * len(tags) + room
    entries, extra = b"", b""
    for tag, (kind, values) in tags.items():
        raw = struct.pack(f"{order}{len(values)}{KINDS[kind]}", *values)
        entries += struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, len(values))
        if len(raw) > room:
            entries += struct.pack(order + ("Q" if big else "I"), extra_at + len(extra))
            extra += raw + bytes(len(raw) % 2)
        else:
            entries += raw.ljust(room, b"\0")
    link = len(data) + len(head) + len(entries)
    return data + head + entries + bytes(room) + extra, link


def split_segments(page: TiffFile) -> list[bytes]:
    if page.segments is not None:
        return list(page.segments)
    planes = np.split(page.samples, page.samples.shape[2], axis=2) if page.planar else [page.samples]
    return [compress_segment(page, block) for plane in planes for block in split_blocks(page, plane)]


def split_blocks(page: TiffFile, plane: Numbers) -> list[Numbers]:
    high, wide, _ = plane.shape
    if not page.tile:
        return [plane[top : top + page.strip_rows] for top in range(0, high, page.strip_rows)]
    side = page.tile
    padded = np.pad(plane, ((0, -high % side), (0, -wide % side), (0, 0)), mode="edge")
    return [padded[y : y + side, x : x + side] for y in range(0, high, side) for x in range(0, wide, side)]


def compress_segment(page: TiffFile, block: Numbers) -> bytes:
    raw = page.compress(pack_block(page, block))
    return raw.translate(bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))) if page.fill_order == 2 else raw


def pack_block(page: TiffFile, block: Numbers) -> bytes:
    rows, columns, samples = block.shape
    if page.sample_format == 3:
        kind = np.dtype(f"f{page.bits // 8}").newbyteorder(page.order)
        floats = np.ascontiguousarray(block.astype(kind))
        if page.predictor == 3:
            return predict_floats(floats.astype(f">f{page.bits // 8}"))
        block = floats.astype(kind.newbyteorder("=")).view(f"u{page.bits // 8}")
    if page.bits in (8, 16, 32, 64):
        kind = np.dtype(f"u{page.bits // 8}").newbyteorder(page.order)
        numbers = block.astype(np.int64 if block.dtype.kind == "i" else np.uint64).astype(f"u{page.bits // 8}")
        if page.predictor == 2:
            numbers = np.concatenate([numbers[:, :1], np.diff(numbers, axis=1)], axis=1)
        return numbers.astype(kind).tobytes()
    unsigned = block.astype(np.int64)
    if page.bits == 24:
        raw = np.ascontiguousarray(unsigned.astype(">u4")).view(np.uint8).reshape(rows, -1, 4)[:, :, 1:]
        return (raw if page.order == ">" else raw[:, :, ::-1]).tobytes()
    bits = (unsigned.reshape(rows, columns * samples, 1) >> np.arange(page.bits - 1, -1, -1)) & 1
    return np.packbits(bits.reshape(rows, -1).astype(np.uint8), axis=1).tobytes()


def predict_floats(floats: Numbers) -> bytes:
    """Predictor 3: bytes by significance, each row's differences (Adobe Photoshop TIFF Technical Note 3)."""
    rows, columns, samples = floats.shape
    planes = floats.view(np.uint8).reshape(rows, columns * samples, -1).transpose(0, 2, 1).reshape(rows, -1, samples)
    planes = np.concatenate([planes[:, :1], np.diff(planes, axis=1)], axis=1)
    return planes.astype(np.uint8).tobytes()


def deflate(raw: bytes) -> bytes:
    return zlib.compress(raw, 6)


def draw_gradient(high: int, wide: int, samples: int) -> npt.NDArray[np.float64]:
    """(H, W, S) numbers of 0 to 1: another slope in each sample."""
    y, x = np.mgrid[0:high, 0:wide]
    waves = [(np.sin(x / (5 + s)) + np.cos(y / (7 - s))) / 4 + 0.5 for s in range(samples)]
    return np.stack(waves, axis=2)
