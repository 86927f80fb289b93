"""Descriptions of colours in files: profiles, PNG's chunks, the `nclx` box of AVIF, the header of BMP.

Each is returned as an ICC profile's bytes, taken from the file or built from its numbers. Nothing here raises for what
is in the file.
"""

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from PIL import Image

from clip_vectorizer.images.icc import BT709, CURVES, PRIMARIES, RgbPrimaries, ToneCurve, build_rgb_profile
from clip_vectorizer.images.iso_boxes import read_associations, read_primary_item, split_boxes
from clip_vectorizer.images.linear_light import HDR_TRANSFERS, PEAK, PQ
from clip_vectorizer.images.png import SIGNATURE, has_right_checksum, split_chunks

MAX_PROFILE_BYTES = 8_000_000  # the largest in use, of printers, have about 3 MB
COLOUR_CHUNKS = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM")
MAX_CHUNKS = 10_000  # before the pixels; files have about ten
MAX_META_BYTES = 1_000_000  # of an AVIF file's description
SRGB_GAMMA = 45_455  # gAMA of an sRGB file, in 1/100,000
GAMMA_TOLERANCE = 0.05  # without cHRM, what is so near to it is taken for it, as by libpng and Chromium
FULL_RANGE = 1
SRGB_CODES = (1, 13)  # colour primaries and transfer characteristics of ITU-T H.273
UNSPECIFIED = 2
DERIVED_MATRIX = 12  # matrix coefficients that follow from the primaries
FIRST_TAG, MAX_TAGS = 132, 100  # its place in a profile; profiles have about 20
BT709_TRANSFERS = (1, 6, 14, 15)
BMP_HEADER = 14  # bytes of the file header, before that of the picture
BMP_V5_BYTES = 124  # of the header that can embed a profile
EMBEDDED = 0x4D424544  # its colour space: PROFILE_EMBEDDED


@dataclass(frozen=True, slots=True)
class ColourSignal:
    """One description of a file's colours: a profile, b"" for sRGB; an HDR signal; or why it is none."""

    profile: bytes = b""
    hdr: tuple[int, int, float] | None = None  # primaries and transfer of ITU-T H.273, brightest pixel in cd/m2
    fault: str = ""


def read_signals(image: Image.Image, data: bytes) -> Iterator[ColourSignal]:
    """All there are, the first that counts first. Pillow returns profiles, but not all of PNG's and none of BMP's."""
    if data.startswith(SIGNATURE):
        yield from read_png_signals(data)
    elif data.startswith(b"BM"):
        yield from read_bmp_signals(data)
    elif "icc_profile" in image.info:
        profile = image.info["icc_profile"]  # None where a part of it is missing
        yield read_profile(profile) if profile else ColourSignal(fault="its colour profile is incomplete")
    elif data[4:8] == b"ftyp":
        yield from read_avif_signals(data)


def read_png_signals(data: bytes) -> Iterator[ColourSignal]:
    """cICP, iCCP, sRGB and gAMA with cHRM: PNG, third edition, 4.3."""
    chunks = read_colour_chunks(data)
    for name, read in PNG_READERS.items():
        if name in chunks:
            try:
                yield read(chunks)
            except ValueError as error:
                yield ColourSignal(fault=f"{name.decode()}: {error}")


def read_colour_chunks(data: bytes) -> dict[bytes, bytes]:
    """Name -> body of the chunks that describe colours, up to the pixels; the first of each name."""
    found: dict[bytes, bytes] = {}
    for chunk in islice(split_chunks(data), MAX_CHUNKS):
        name = chunk[4:8]
        if name == b"IDAT":
            break
        if name in COLOUR_CHUNKS and has_right_checksum(chunk):
            found.setdefault(name, chunk[8 : 8 + int.from_bytes(chunk[:4])])
    return found


def read_cicp(chunks: Mapping[bytes, bytes]) -> ColourSignal:
    body = chunks[b"cICP"]
    if len(body) != 4 or body[2] != 0:
        raise ValueError("not four bytes of an RGB image")
    if UNSPECIFIED in body[:2]:
        raise ValueError("its colours are not specified")
    if body[3] != FULL_RANGE:
        raise ValueError("a narrow range is not supported")
    return read_codes(body[0], body[1])


def read_codes(primaries: int, transfer: int, peak: float = 0) -> ColourSignal:
    """Codes of ITU-T H.273, and the content's brightest pixel in cd/m2, 0 if unknown. Raises ValueError."""
    if (primaries, transfer) == SRGB_CODES:
        return ColourSignal()
    if primaries in PRIMARIES and transfer in HDR_TRANSFERS:
        return ColourSignal(hdr=(primaries, transfer, peak if peak and transfer == PQ else PEAK))
    if primaries not in PRIMARIES or transfer not in CURVES:
        raise ValueError(f"colour primaries {primaries} with transfer characteristics {transfer} are not supported")
    name = f"CICP {primaries}/{transfer}"
    return ColourSignal(build_rgb_profile(name, PRIMARIES[primaries], (CURVES[transfer],)))


def read_profile(profile: bytes) -> ColourSignal:
    """A profile; codes of H.273 in it count before its tables."""
    codes = find_codes(profile)
    with suppress(ValueError):
        if codes:
            return read_codes(*codes)
    return ColourSignal(profile)


def find_codes(profile: bytes) -> bytes:
    """Primaries and transfer of the `cicp` tag of an RGB profile: ICC.1:2022, 9.2.17; b"" where there are none."""
    for place in range(FIRST_TAG, FIRST_TAG + 12 * min(MAX_TAGS, int.from_bytes(profile[128:132])), 12):
        if profile[place : place + 4] == b"cicp" and profile[16:20] == b"RGB ":
            start = int.from_bytes(profile[place + 4 : place + 8])
            return profile[start + 8 : start + 10] if len(profile) >= start + 12 else b""
    return b""


def read_iccp(chunks: Mapping[bytes, bytes]) -> ColourSignal:
    _, _, packed = chunks[b"iCCP"].partition(b"\0")
    try:
        unpacked = zlib.decompressobj().decompress(packed[1:], MAX_PROFILE_BYTES + 1)
    except zlib.error as error:
        raise ValueError("its profile cannot be decompressed") from error
    if not unpacked:
        raise ValueError("its profile is empty")
    return read_profile(unpacked)


def read_srgb(chunks: Mapping[bytes, bytes]) -> ColourSignal:
    return ColourSignal()


def read_gama(chunks: Mapping[bytes, bytes]) -> ColourSignal:
    """gAMA with cHRM, or with sRGB's primaries; cHRM alone does not say what the levels mean."""
    gamma = int.from_bytes(chunks[b"gAMA"]) if len(chunks[b"gAMA"]) == 4 else 0
    if not gamma:
        raise ValueError("no number above 0")
    if b"cHRM" not in chunks and abs(gamma / SRGB_GAMMA - 1) <= GAMMA_TOLERANCE:
        return ColourSignal()
    primaries = parse_chromaticities(chunks[b"cHRM"]) if b"cHRM" in chunks else BT709
    name = f"gamma {100_000 / gamma:.3g}"
    return ColourSignal(build_rgb_profile(name, primaries, (ToneCurve(100_000 / gamma),)))


def parse_chromaticities(body: bytes) -> RgbPrimaries:
    if len(body) != 32:
        raise ValueError("cHRM is not 32 bytes")
    values = [value / 100_000 for value in struct.unpack(">8I", body)]
    white, red, green, blue = zip(values[::2], values[1::2], strict=True)
    return RgbPrimaries(red, green, blue, white)


PNG_READERS: dict[bytes, Callable[[Mapping[bytes, bytes]], ColourSignal]] = {
    b"cICP": read_cicp,
    b"iCCP": read_iccp,
    b"sRGB": read_srgb,
    b"gAMA": read_gama,
}


def read_avif_signals(data: bytes) -> Iterator[ColourSignal]:
    """The `nclx` box of the primary item."""
    meta = next((body for name, body in split_boxes(data) if name == b"meta"), b"")
    try:
        properties = list_properties(meta[4:MAX_META_BYTES])
        light = [body for name, body in properties if name == b"clli"]
        peak = int.from_bytes(light[0][:2]) if light else 0
        for name, body in properties:
            if name == b"colr" and body[:4] == b"nclx":
                primaries, transfer, matrix = struct.unpack_from(">HHH", body, 4)
                yield read_nclx(primaries, transfer, matrix, peak)
    except (ValueError, struct.error, IndexError) as error:
        yield ColourSignal(fault=f"nclx: {error}")


def read_nclx(primaries: int, transfer: int, matrix: int, peak: float) -> ColourSignal:
    """As `read_codes`; what is not specified is sRGB's, and BT.709's curve is shown as sRGB's."""
    if matrix == DERIVED_MATRIX:
        raise ValueError(f"matrix coefficients {matrix} are not supported")  # by Chromium neither
    return read_codes(
        SRGB_CODES[0] if primaries == UNSPECIFIED else primaries,
        SRGB_CODES[1] if transfer in (UNSPECIFIED, *BT709_TRANSFERS) else transfer,
        peak,
    )


def list_properties(meta: bytes) -> list[tuple[bytes, bytes]]:
    """Type and body of the properties of the primary item. Raises IndexError."""
    boxes = dict(reversed(list(split_boxes(meta))))
    properties = dict(split_boxes(boxes.get(b"iprp", b"")))
    stored = list(split_boxes(properties.get(b"ipco", b"")))
    places = read_associations(properties.get(b"ipma", b"")).get(read_primary_item(boxes), [])
    return [stored[place - 1] for _, place in places if 0 < place <= len(stored)]


def read_bmp_signals(data: bytes) -> Iterator[ColourSignal]:
    """The profile that a header of version 5 embeds. Version 4's calibrated RGB is ignored, as by Chromium."""
    header = data[BMP_HEADER : BMP_HEADER + BMP_V5_BYTES]
    size, space = int.from_bytes(header[:4], "little"), int.from_bytes(header[56:60], "little")
    if len(header) == size == BMP_V5_BYTES and space == EMBEDDED:
        start, length = struct.unpack_from("<II", header, 112)
        yield read_profile(data[BMP_HEADER + start : BMP_HEADER + start + length] or b"\0")
