"""Samples of a TIFF file: bytes to numbers, numbers to 8 bits by their depth, and colours to a mode of Pillow.

S samples a pixel · R rows · C columns
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from clip_vectorizer.errors import ImageRefused
from clip_vectorizer.images.arrays import Bytes, Samples
from clip_vectorizer.images.tiff_layout import (
    ASSOCIATED_ALPHA,
    CIELAB,
    CMYK,
    FLOAT,
    ICCLAB,
    LOG_L,
    LOG_LUV,
    MIN_IS_WHITE,
    PALETTE,
    SIGNED,
    YCBCR,
    TiffLayout,
)

Floats = npt.NDArray[np.float32]
FLOAT_WHITES = (1.0, 255.0, 65535.0)
INTEGER_WHITES = (255.0, 65535.0)  # of signed integers, besides their type's largest
MOST_CLIPPED = 0.01  # the share of positive values
NEGATIVE_SHARE = 0.01  # of white; colours outside of sRGB have smaller negative values
MEASURED_BELOW = 65536 / 4  # 12 bits of a camera end at 4095
PREDICTORS = (1, 2, 3)  # values of the tag: none, of integers, of floats
# Reference primaries of ITU-R BT.601, as TIFF 6.0 section 21 has them, and of full-range YCbCr.
LUMA = (0.299, 0.587, 0.114)
FULL_RANGE = (0.0, 255.0, 128.0, 255.0, 128.0, 255.0)
# CIE XYZ to linear RGB of BT.709's primaries with the white of equal energy: neutral is x = y = 1/3 in LogLuv.
XYZ_TO_RGB = np.array(((2.690, -1.276, -0.414), (-1.022, 1.978, 0.044), (0.061, -0.224, 1.163)), np.float32)


@dataclass(frozen=True, slots=True)
class WhiteLevels:
    """The numbers that become black and white: of the colours, and of the extra samples."""

    black: float
    white: float
    extra_black: float
    extra_white: float


@dataclass(frozen=True, slots=True)
class ColourTables:
    """What a page defines about its colours besides their layout."""

    palette: Bytes  # (N, 3); empty if there is none
    luma: tuple[float, ...]  # of YCbCr: red, green, blue
    reference: tuple[float, ...]  # of YCbCr: black and white of each


def count_row_bytes(layout: TiffLayout) -> int:
    """The bytes of a segment's row, or for YCbCr with shared colours those of a row of blocks."""
    if layout.is_subsampled and not layout.planar:
        across, down = layout.subsampling
        bits = -(-layout.segment_width // across) * (across * down + 2) * layout.bits[0]
    else:
        bits = layout.segment_width * (layout.bits[0] if layout.planar else sum(layout.bits))
    return (bits + 7) // 8


def undo_predictor(layout: TiffLayout, rows: Bytes, samples: int) -> Bytes:
    """Rows of bytes without the differences between neighbours: (R, row bytes) in and out. Raises ImageRefused."""
    width = layout.bits[0] // 8
    if layout.predictor not in PREDICTORS:
        raise ImageRefused(422, f"a TIFF of unknown differences (Predictor {layout.predictor}); save it anew")
    if layout.predictor != 1 and len(set(layout.bits)) > 1:
        raise ImageRefused(422, "a TIFF of differences between samples of different sizes")
    if layout.predictor == 2 and layout.bits[0] in (8, 16, 32, 64):
        kind = np.dtype(f"{layout.order}u{width}")
        differences = rows.view(kind).reshape(len(rows), -1, samples)
        sums = np.cumsum(differences, axis=1, dtype=kind.newbyteorder("="))
        return sums.astype(kind).reshape(len(rows), -1).view(np.uint8)
    if layout.predictor == 3 and layout.sample_format == FLOAT:
        planes = np.cumsum(rows.reshape(len(rows), -1, samples), axis=1, dtype=np.uint8).reshape(len(rows), width, -1)
        planes = planes if layout.order == ">" else planes[:, ::-1]  # the first plane has the highest bytes
        return np.ascontiguousarray(planes.transpose(0, 2, 1)).reshape(len(rows), -1)
    return rows


def unpack_samples(layout: TiffLayout, rows: Bytes, bits: tuple[int, ...]) -> Samples:
    """Rows of bytes as numbers: (R, row bytes) to (R, C, S), of the smallest type that holds them."""
    size = bits[0]
    if set(bits) != {size}:
        return unpack_mixed_bits(rows, bits)
    if layout.sample_format == FLOAT:
        values = expand_float24(rows, layout.order) if size == 24 else rows.view(f"{layout.order}f{size // 8}")
    elif size in (8, 16, 32, 64):
        kind = "i" if layout.sample_format == SIGNED else "u"
        values = rows.view(f"{layout.order}{kind}{size // 8}")
    else:
        values = extend_sign(expand_integers(rows, size, layout.order), size, layout.sample_format == SIGNED)
    usable = values.shape[1] // len(bits) * len(bits)
    samples: Samples = values[:, :usable].reshape(len(rows), -1, len(bits))
    return samples


def expand_integers(rows: Bytes, size: int, order: str) -> Samples:
    """Integers of 1 to 63 bits: (R, row bytes) to (R, N). Those of whole bytes have the order of the file."""
    if size == 24:
        triples = rows[:, : rows.shape[1] // 3 * 3].reshape(len(rows), -1, 3).astype(np.uint32)
        high, middle, low = np.moveaxis(triples if order == ">" else triples[:, :, ::-1], 2, 0)
        joined: Samples = high << 16 | middle << 8 | low
        return joined
    if size == 12:  # the usual one; two of them in three bytes
        triples = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 3))).reshape(len(rows), -1, 3).astype(np.uint16)
        first, middle, last = np.moveaxis(triples, 2, 0)
        pairs = np.stack([first << 4 | middle >> 4, (middle & 15) << 8 | last], axis=2)
        return pairs.reshape(len(rows), -1)[:, : rows.shape[1] * 8 // 12]
    bits = np.unpackbits(rows, axis=1)
    bits = bits[:, : bits.shape[1] // size * size].reshape(len(rows), -1, size)
    return join_bits(bits)


def join_bits(bits: Bytes) -> Samples:
    """Bits, the highest first, as numbers along the last axis."""
    size = bits.shape[-1]
    kind = np.uint8 if size <= 8 else np.uint16 if size <= 16 else np.uint32 if size <= 32 else np.uint64
    result = np.zeros(bits.shape[:-1], kind)
    for at in range(size):
        result <<= kind(1)
        result |= bits[..., at]
    return result


def extend_sign(values: Samples, size: int, signed: bool) -> Samples:
    if not signed:
        return values
    wide = values.astype(np.int64)
    return wide - ((wide >> size - 1) << size)


def unpack_mixed_bits(rows: Bytes, bits: tuple[int, ...]) -> Samples:
    """Samples of different sizes, each scaled to 8 bits: (R, row bytes) to (R, C, S)."""
    stream = np.unpackbits(rows, axis=1)
    stream = stream[:, : stream.shape[1] // sum(bits) * sum(bits)].reshape(len(rows), -1, sum(bits))
    ends = np.cumsum(bits).tolist()
    places = zip(ends, bits, strict=True)
    samples = (scale_to_bytes(join_bits(stream[:, :, end - size : end]), 0, 2.0**size - 1) for end, size in places)
    return np.stack(list(samples), axis=2)


def expand_float24(rows: Bytes, order: str) -> Floats:
    """Floats of 24 bits (sign, 7 of exponent, 16 of fraction) as floats of 32."""
    values = expand_integers(rows, 24, order).astype(np.uint32)
    sign, exponent, fraction = values >> 23, values >> 16 & 0x7F, values & 0xFFFF
    exponent = np.where(exponent == 0, 0, np.where(exponent == 0x7F, 0xFF, exponent + 64))
    floats: Floats = (sign << 31 | exponent << 23 | fraction << 7).astype(np.uint32).view(np.float32)
    return floats


def find_range(layout: TiffLayout) -> WhiteLevels | None:
    """Black and white by the depth of the samples; None where their values decide: floats and signed integers."""
    if layout.sample_format in (FLOAT, SIGNED):
        return None
    white = 255.0 if len(set(layout.bits)) > 1 else 2.0 ** layout.bits[0] - 1
    return WhiteLevels(0, white, 0, white)


class ValueRange:
    """The values of a page, seen in bands, as far as black and white depend on them. Infinite ones do not count."""

    def __init__(self) -> None:
        self.lowest, self.highest = 0.0, 0.0
        self._count, self._positive = 0, 0
        whites = (*FLOAT_WHITES, *INTEGER_WHITES)
        self._over, self._under = dict.fromkeys(whites, 0), dict.fromkeys(whites, 0)

    def add(self, values: Samples) -> None:
        usable: Any = values
        if values.dtype.kind == "f" and not (finite := np.isfinite(values)).all():
            usable = values[finite]
        if usable.dtype.kind == "f" and usable.dtype.itemsize == 2:
            usable = usable.astype(np.float32)  # 65535 is more than the largest float of 16 bits
        if usable.size:
            lowest, highest = float(usable.min()), float(usable.max())
            self.lowest = min(self.lowest, lowest) if self._count else lowest
            self.highest = max(self.highest, highest) if self._count else highest
            self._count += usable.size
            self._positive += int(np.count_nonzero(usable > 0))
            for white in self._over:
                self._over[white] += int(np.count_nonzero(usable > white)) if highest > white else 0
                least = -NEGATIVE_SHARE * white
                self._under[white] += int(np.count_nonzero(usable < least)) if lowest < least else 0

    def choose_white(self, whites: tuple[float, ...]) -> float:
        """The first level that at most 1 % of the positive values exceed, else the last."""
        usual = (white for white in whites[:-1] if self._over[white] <= MOST_CLIPPED * self._positive)
        return next(usual, whites[-1])

    def is_measured(self, white: float) -> bool:
        """Whether the values are no picture of 0..`white`, one of FLOAT_WHITES, but heights, temperatures, ...

        More than 1 % of them are clearly negative, or more than 1 % are over 65535, or all are in the lowest quarter of
        0..65535, which a picture of 16 bits is not.
        """
        is_low = white == FLOAT_WHITES[-1] and self.highest < MEASURED_BELOW
        is_over = white == FLOAT_WHITES[-1] and self._over[white] > MOST_CLIPPED * self._positive
        return is_low or is_over or self._under[white] > MOST_CLIPPED * self._count


def choose_levels(layout: TiffLayout, colours: ValueRange, extra: ValueRange) -> WhiteLevels:
    """Black and white by the values of a page.

    Floats: the smallest usual range of 0..1, 0..255 and 0..65535 that holds all values but 1 % of the positive ones,
    which are clipped as a viewer clips a highlight; negative ones become black. Measured data, such as heights of -500
    to 1500 (`ValueRange.is_measured`), fit none of them: black is their least finite value and white their greatest.
    Signed integers: the whole range of their type if there is a negative one, else in the same way as a picture of
    floats 0..255, 0..65535 or 0..largest.
    """
    if layout.sample_format == FLOAT:
        black, white = choose_float_range(colours)
        return WhiteLevels(black, white, 0, extra.choose_white(FLOAT_WHITES))
    largest = 2.0 ** (layout.bits[0] - 1) - 1
    if min(colours.lowest, extra.lowest) < 0:
        return WhiteLevels(-largest - 1, largest, -largest - 1, largest)
    whites = (*(white for white in INTEGER_WHITES if white < largest), largest)
    return WhiteLevels(0, colours.choose_white(whites), 0, extra.choose_white(whites))


def choose_float_range(values: ValueRange) -> tuple[float, float]:
    white = values.choose_white(FLOAT_WHITES)
    if values.lowest < values.highest and values.is_measured(white):
        return values.lowest, values.highest
    return 0.0, white


def scale_to_bytes(values: Samples, black: float, white: float) -> Bytes:
    """Numbers of `black`..`white` as 0..255. Not-a-number, a pixel without a value, becomes black."""
    if values.dtype == np.uint8 and (black, white) == (0, 255):
        return values.astype(np.uint8, copy=False)
    grey: Floats = values.astype(np.float32 if values.dtype.itemsize <= 2 or white <= 65535 else np.float64)
    np.nan_to_num(grey, copy=False, nan=black, posinf=np.inf, neginf=-np.inf)
    np.clip(grey, black, white, out=grey)
    grey -= black
    grey *= 255 / (white - black)
    return np.rint(grey, out=grey).astype(np.uint8)


def draw_samples(layout: TiffLayout, samples: Samples, levels: WhiteLevels, tables: ColourTables) -> Image.Image:
    """(R, C, S) numbers as an image of the mode that `choose_mode` returns."""
    colours = samples[:, :, : layout.colours]
    if layout.photometric == PALETTE:
        drawn = look_up(colours[:, :, 0], tables.palette)
    elif layout.photometric in (CIELAB, ICCLAB):
        drawn = scale_lab(layout, colours)
    elif layout.photometric in (LOG_L, LOG_LUV):
        drawn = convert_log(layout, colours)
    else:
        drawn = scale_colours(layout, colours, levels)
    if layout.photometric == MIN_IS_WHITE:
        drawn = 255 - drawn
    if layout.photometric == YCBCR:
        drawn = convert_ycbcr(drawn, tables)
    if layout.alpha:
        drawn = add_alpha(
            layout, drawn, scale_to_bytes(samples[:, :, layout.colours], levels.extra_black, levels.extra_white)
        )
    mode = choose_mode(layout)
    size = drawn.shape[1], drawn.shape[0]
    return Image.frombuffer(mode, size, np.ascontiguousarray(drawn), "raw", mode, 0, 1)


def choose_mode(layout: TiffLayout) -> str:
    """L, RGB, RGBA, CMYK or LAB. Inks and Lab colours with alpha are drawn on white."""
    if layout.photometric == CMYK:
        return "CMYK"
    if layout.photometric in (CIELAB, ICCLAB):
        return "LAB"
    if layout.alpha:
        return "RGBA"
    return "L" if layout.colours == 1 and layout.photometric != PALETTE else "RGB"


def scale_colours(layout: TiffLayout, colours: Samples, levels: WhiteLevels) -> Bytes:
    """Colours of 16 bits keep their higher byte, as Pillow does: one picture has one vector, however it is stored."""
    if layout.colours > 1 and colours.dtype.kind == "u" and levels.white == 65535:
        return (colours.astype(np.uint16, copy=False) >> 8).astype(np.uint8)
    return scale_to_bytes(colours, levels.black, levels.white)


def look_up(indexes: Samples, palette: Bytes) -> Bytes:
    """(R, C) indexes as colours; those without one are black."""
    colours = np.vstack([palette, np.zeros((1, 3), np.uint8)])
    return np.asarray(colours[np.minimum(indexes.astype(np.int64), len(palette))])


def scale_lab(layout: TiffLayout, lab: Samples) -> Bytes:
    """L as 0..255, a and b as signed bytes, in the order of Pillow's raw mode LAB.

    Integers of n bits: L is 0..2**n - 1, a and b are signed and of a 128th of half their range a unit; in ICCLab they
    begin at -128. Floats: L is 0..100, a and b are the values themselves.
    """
    if layout.sample_format == FLOAT:
        scaled = np.nan_to_num(lab.astype(np.float32)) * np.array((2.55, 1, 1), np.float32)
        return encode_lab(scaled)
    size = layout.bits[0]
    wide = lab.astype(np.int64)
    high = (wide >> size - 8 if size >= 8 else wide << 8 - size).astype(np.uint8)
    return high ^ np.array((0, 128, 128), np.uint8) if layout.photometric == ICCLAB else high


def encode_lab(lab: npt.NDArray[Any]) -> Bytes:
    """L of 0..255 and signed a and b, as bytes."""
    encoded: Bytes = np.clip(np.rint(lab), (0, -128, -128), (255, 127, 127)).astype(np.int16).astype(np.uint8)
    return encoded


def convert_ycbcr(pixels: Bytes, tables: ColourTables) -> Bytes:
    """TIFF 6.0, section 21: (R, C, 3) luma and colour differences to red, green and blue."""
    red_luma, green_luma, blue_luma = tables.luma
    black = np.array(tables.reference[0::2], np.float32)
    white = np.array(tables.reference[1::2], np.float32)
    ranges = np.array((255, 127, 127), np.float32) / np.where(white == black, 1, white - black)
    luma, blue, red = np.moveaxis((pixels.astype(np.float32) - black) * ranges, 2, 0)
    red_out = luma + red * (2 - 2 * red_luma)
    blue_out = luma + blue * (2 - 2 * blue_luma)
    green_out = (luma - blue_luma * blue_out - red_luma * red_out) / green_luma
    rgb: Bytes = np.clip(np.rint(np.stack([red_out, green_out, blue_out], axis=2)), 0, 255).astype(np.uint8)
    return rgb


def convert_log(layout: TiffLayout, codes: Samples) -> Bytes:
    """LogL and LogLuv (Ward Larson 1998) as grey or sRGB: luminance 1 is white, what is brighter is clipped."""
    numbers = codes[:, :, 0].astype(np.uint32)
    if layout.photometric == LOG_L:
        return encode_srgb(expand_log_luminance(numbers))[:, :, None]
    luminance = expand_log_luminance(numbers >> 16)
    u, v = ((numbers >> 8 & 0xFF) + 0.5) / 410, ((numbers & 0xFF) + 0.5) / 410
    denominator = 6 * u - 16 * v + 12
    x, y = 9 * u / denominator, 4 * v / denominator
    xyz = np.stack([x / y, np.ones_like(x), (1 - x - y) / y], axis=2).astype(np.float32) * luminance[:, :, None]
    linear: Floats = (xyz @ XYZ_TO_RGB.T).astype(np.float32)
    return encode_srgb(linear)


def expand_log_luminance(numbers: Samples) -> Floats:
    """15 bits of logarithm, of 256 steps a doubling, below a sign."""
    size = numbers.astype(np.int64)
    values = np.exp2(((size & 0x7FFF) + 0.5) / 256 - 64)
    return np.where((size & 0x7FFF == 0) | (size & 0x8000 != 0), 0, values).astype(np.float32)


def encode_srgb(linear: Floats) -> Bytes:
    """IEC 61966-2-1: linear light of 0..1 to 0..255."""
    light = np.clip(np.nan_to_num(linear), 0, 1)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    grey: Bytes = np.rint(encoded * 255).astype(np.uint8)
    return grey


def add_alpha(layout: TiffLayout, drawn: Bytes, alpha: Bytes) -> Bytes:
    """Colours with unassociated alpha; those of modes without alpha are laid on white."""
    share = alpha[:, :, None].astype(np.float32) / 255
    associated = layout.extra[:1] == (ASSOCIATED_ALPHA,)
    if layout.photometric == CMYK:  # no ink is white
        return drawn if associated else np.rint(drawn * share).astype(np.uint8)
    if layout.photometric in (CIELAB, ICCLAB):
        lab: Any = drawn.view(np.int8).astype(np.float32)
        lab[:, :, 0] = drawn[:, :, 0]
        lab = lab * (1 if associated else share) + (1 - share) * np.array((255, 0, 0), np.float32)
        return encode_lab(lab)
    if associated:
        whole = np.where(share == 0, 1, share)
        drawn = np.minimum(np.rint(drawn / whole), 255).astype(np.uint8)
    colours = np.repeat(drawn, 3, axis=2) if drawn.shape[2] == 1 else drawn
    return np.concatenate([colours, alpha[:, :, None]], axis=2)
