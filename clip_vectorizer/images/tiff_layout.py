"""How a page of a TIFF file stores its pixels: what its tags define, what they imply, and what is guessed."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clip_vectorizer.errors import ImageRefused
from clip_vectorizer.images.tiff_directory import Numbers, TiffDirectory

# Values of PhotometricInterpretation
MIN_IS_WHITE, MIN_IS_BLACK, RGB, PALETTE, MASK, CMYK, YCBCR, CIELAB, ICCLAB = 0, 1, 2, 3, 4, 5, 6, 8, 9
LOG_L, LOG_LUV = 32844, 32845
COLOURS = {
    MIN_IS_WHITE: 1, MIN_IS_BLACK: 1, MASK: 1, PALETTE: 1, LOG_L: 1, LOG_LUV: 3, RGB: 3, YCBCR: 3, CIELAB: 3, ICCLAB: 3,
    CMYK: 4,
}  # fmt: skip
UNSUPPORTED_COLOURS = {10: "ITU Lab", 32803: "raw sensor", 34892: "raw sensor", 51177: "depth"}
# Values of Compression
NO_COMPRESSION, CCITT_RLE, CCITT_T4, CCITT_T6, OLD_JPEG, JPEG, SGILOG, SGILOG24 = 1, 2, 3, 4, 6, 7, 34676, 34677
CCITT = (CCITT_RLE, CCITT_T4, CCITT_T6, 32771)
THUNDERSCAN = 32809  # grey of 4 bits, by its definition
WITH_PREDICTOR = (5, 8, 32946, 50013, 34925, 50000)  # LZW, deflate, LZMA, Zstandard: elsewhere the tag has no meaning
# Values of SampleFormat
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
ASSOCIATED_ALPHA, UNASSOCIATED_ALPHA = 1, 2
MAX_SAMPLES = 64  # of a pixel; satellites have 13
MAX_BITS = 64
MAX_SEGMENTS = 200_000
MAX_TILE_PIXELS = 16_000_000  # where the picture has fewer
INK_SET = 332


@dataclass(frozen=True, slots=True, kw_only=True)
class TiffLayout:
    """The tags of one page that describe its pixels, with defaults filled in."""

    width: int
    height: int
    bits: tuple[int, ...]  # of each sample
    sample_format: int
    photometric: int
    extra: tuple[int, ...]  # ExtraSamples: what the samples after the colours are; () if the tag is missing
    planar: bool  # each sample in a plane of its own
    compression: int
    predictor: int
    reversed_bits: bool  # FillOrder 2
    order: str  # of bytes in a sample, "<" or ">"
    tiled: bool
    segment_width: int  # of a strip or a tile
    segment_height: int
    offsets: npt.NDArray[np.int64]  # of the segments
    sizes: npt.NDArray[np.int64]  # of the segments in bytes; 0: unknown
    subsampling: tuple[int, int]  # of YCbCr: columns and rows that share their colour

    @property
    def samples(self) -> int:
        return len(self.bits)

    @property
    def colours(self) -> int:
        """Samples of a pixel without the extra ones."""
        return COLOURS[self.photometric]

    @property
    def planes(self) -> int:
        return self.samples if self.planar else 1

    @property
    def used_planes(self) -> int:
        """Planes of colours and alpha; other extra samples are not read."""
        return min(self.planes, self.colours + bool(self.alpha))

    @property
    def columns(self) -> int:
        """Segments side by side."""
        return -(-self.width // self.segment_width)

    @property
    def rows(self) -> int:
        """Segments one under the other."""
        return -(-self.height // self.segment_height)

    @property
    def is_subsampled(self) -> bool:
        """Whether the bytes are stored in blocks of YCbCr; codecs of images return whole pixels."""
        return self.photometric == YCBCR and self.subsampling != (1, 1) and self.samples >= 3

    @property
    def alpha(self) -> int:
        """What the first extra sample is: associated or unassociated alpha, or 0. As Pillow reads it."""
        if self.samples <= self.colours:
            return 0
        if not self.extra:
            return UNASSOCIATED_ALPHA if self.colours == 3 and self.samples == 4 else 0
        known = (ASSOCIATED_ALPHA, UNASSOCIATED_ALPHA)
        return self.extra[0] if self.extra[0] in known else UNASSOCIATED_ALPHA if self.extra[0] == 999 else 0


def read_layout(directory: TiffDirectory) -> TiffLayout:
    """Raises ImageRefused for a page without pixels or of a kind that is not supported."""
    width, height = directory.number(256), directory.number(257)
    if width < 1 or height < 1:
        raise ImageRefused(422, "a TIFF page without dimensions")
    compression = directory.number(259, NO_COMPRESSION) or NO_COMPRESSION
    bits = read_bits(directory)
    tiled = 324 in directory.entries or (322 in directory.entries and 273 in directory.entries)
    segment_width, segment_height = read_segment_size(directory, width, height, tiled)
    layout = TiffLayout(
        width=width,
        height=height,
        bits=bits,
        sample_format=read_sample_format(directory),
        photometric=read_photometric(directory, len(bits), compression),
        extra=tuple(int(kind) for kind in directory.numbers(338)[:MAX_SAMPLES]),
        planar=directory.number(284, 1) == 2 and len(bits) > 1,
        compression=compression,
        predictor=(directory.number(317, 1) or 1) if compression in WITH_PREDICTOR else 1,
        reversed_bits=directory.number(266, 1) == 2,
        order=directory.header.order,
        tiled=tiled,
        segment_width=segment_width,
        segment_height=segment_height,
        offsets=read_places(directory, 324 if 324 in directory.entries else 273),
        sizes=read_places(directory, 325 if 325 in directory.entries else 279),
        subsampling=read_subsampling(directory),
    )
    check_layout(layout)
    return layout


def read_bits(directory: TiffDirectory) -> tuple[int, ...]:
    """The bits of each sample; one value stands for all, and one missing for 1."""
    bits = [int(bits) for bits in directory.numbers(258)[:MAX_SAMPLES]] or [1]
    if 258 in directory.entries and not directory.numbers(258).size:
        raise ImageRefused(422, "a TIFF whose depth is missing: its directory is broken or cut off")
    given = directory.number(277, len(bits) if directory.number(262, -1) in (RGB, YCBCR) else 1)
    samples = max(1, given)
    if samples > MAX_SAMPLES:
        raise ImageRefused(422, f"a TIFF of {samples} samples a pixel")
    return tuple((bits + [bits[-1]] * samples)[:samples])


def read_sample_format(directory: TiffDirectory) -> int:
    formats = {int(kind) for kind in directory.numbers(339)[:MAX_SAMPLES]} or {UNSIGNED}
    if formats <= {UNSIGNED, SIGNED} and directory.number(262) in (CIELAB, ICCLAB):
        return UNSIGNED  # some programs mark a and b as signed, which they are in any case
    if len(formats) > 1:
        raise ImageRefused(422, "a TIFF whose samples have different formats")
    [kind] = formats
    if kind in (5, 6):
        raise ImageRefused(422, "a TIFF of complex numbers")
    # 4 is "undefined". What is called signed of 8 bits is nearly always not, and libtiff's viewers take it as unsigned.
    return kind if kind == FLOAT or (kind == SIGNED and directory.number(258) > 8) else UNSIGNED


def read_photometric(directory: TiffDirectory, samples: int, compression: int) -> int:
    """What the samples mean; without the tag, what libtiff guesses: by the number of samples, and inks by theirs."""
    if 262 in directory.entries:
        return directory.number(262)
    if INK_SET in directory.entries and samples >= 4:
        return CMYK
    if samples >= 3:
        return RGB
    return MIN_IS_WHITE if compression in CCITT else MIN_IS_BLACK


def read_segment_size(directory: TiffDirectory, width: int, height: int, tiled: bool) -> tuple[int, int]:
    if tiled:
        size = directory.number(322), directory.number(323)
        if min(size) < 1:
            raise ImageRefused(422, "a TIFF whose tiles have no size")
        if size[0] * size[1] > max(MAX_TILE_PIXELS, width * height):
            raise ImageRefused(422, f"a TIFF with tiles of {size[0]} x {size[1]}, larger than the picture")
        return size
    rows = directory.number(278, height)
    return width, rows if 0 < rows < height else guess_strip_rows(directory, width, height)


def guess_strip_rows(directory: TiffDirectory, width: int, height: int) -> int:
    """Rows of a strip where the tag is missing or wrong: all, or by the first one's size."""
    samples, planar = directory.number(277, 1), directory.number(284, 1) == 2
    sizes = directory.numbers(279)
    strips = sizes.size // (samples if planar and samples else 1)
    row_bytes = (width * directory.number(258, 1) * (1 if planar else samples) + 7) // 8
    if strips < 2 or directory.number(259, 1) != NO_COMPRESSION or row_bytes < 1:
        return height
    rows = int(sizes[0]) // row_bytes
    return rows if 0 < rows < height else height


def read_places(directory: TiffDirectory, tag: int) -> npt.NDArray[np.int64]:
    places: Numbers = directory.numbers(tag)[: MAX_SEGMENTS + 1]
    return np.clip(places.astype(np.float64), 0, 2**62).astype(np.int64) if places.size else np.empty(0, np.int64)


def read_subsampling(directory: TiffDirectory) -> tuple[int, int]:
    values = directory.numbers(530)
    across, down = (int(values[0]), int(values[1])) if values.size >= 2 else (2, 2)
    return (across, down) if across in (1, 2, 4) and down in (1, 2, 4) else (1, 1)


def check_layout(layout: TiffLayout) -> None:
    """Raises ImageRefused."""
    if layout.photometric not in COLOURS:
        kind = UNSUPPORTED_COLOURS.get(layout.photometric, f"unknown (PhotometricInterpretation {layout.photometric})")
        raise ImageRefused(422, f"a TIFF with {kind} colours; save it as RGB")
    if layout.samples < layout.colours and layout.compression not in (OLD_JPEG, JPEG, SGILOG, SGILOG24):
        raise ImageRefused(422, f"a TIFF of {layout.samples} samples a pixel where its colours need {layout.colours}")
    if not all(1 <= bits <= MAX_BITS for bits in layout.bits):
        raise ImageRefused(422, f"a TIFF of {max(layout.bits)} bits a sample")
    if layout.planar and len(set(layout.bits)) > 1:
        raise ImageRefused(422, "a TIFF with planes of different depths")
    if layout.sample_format != UNSIGNED and len(set(layout.bits)) > 1:
        raise ImageRefused(422, "a TIFF of floats or signed samples of different sizes")
    if layout.sample_format == FLOAT and set(layout.bits) - {16, 24, 32, 64}:
        raise ImageRefused(422, f"a TIFF of floats of {layout.bits[0]} bits")
    if layout.compression == THUNDERSCAN and layout.bits != (4,):
        raise ImageRefused(422, "a TIFF with ThunderScan compression of other than grey of 4 bits")
    if not layout.offsets.size:
        raise ImageRefused(422, "a TIFF page without pixels")
    if layout.rows * layout.columns * layout.planes > MAX_SEGMENTS:
        raise ImageRefused(422, f"a TIFF of more than {MAX_SEGMENTS} strips or tiles; save it with larger ones")
