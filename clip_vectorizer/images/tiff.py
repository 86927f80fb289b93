"""TIFF pages that Pillow refuses or decodes to wrong pixels, decoded by numpy and the codecs of Pillow's libtiff.

An ordinary page stays with Pillow (tiff_trust.py). Of the others, a few segments at a time are decompressed, made
samples of 8 bits by their depth, and pasted: besides the file and the result only these are in memory.
"""

import io
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module

import numpy as np
from PIL import ExifTags, Image

from clip_vectorizer.errors import ImageRefused
from clip_vectorizer.images.arrays import Bytes, Samples
from clip_vectorizer.images.damage import PartialImage, PixelBox
from clip_vectorizer.images.settings import check_size
from clip_vectorizer.images.tiff_codecs import (
    BATCH_BYTES,
    IMAGE_CODECS,
    LOG_CODECS,
    MAX_SEGMENT_BYTES,
    REVERSED,
    check_codec,
    decode_picture,
    decompress,
    unpack_log,
)
from clip_vectorizer.images.tiff_directory import TiffDirectory, list_tiff_pages, read_at, read_directory
from clip_vectorizer.images.tiff_fax import drop_undecoded_rows
from clip_vectorizer.images.tiff_layout import (
    CCITT_T4,
    CCITT_T6,
    FLOAT,
    NO_COMPRESSION,
    PALETTE,
    RGB,
    SGILOG24,
    UNSIGNED,
    YCBCR,
    TiffLayout,
    read_layout,
)
from clip_vectorizer.images.tiff_samples import (
    FULL_RANGE,
    LUMA,
    ColourTables,
    ValueRange,
    WhiteLevels,
    choose_levels,
    choose_mode,
    count_row_bytes,
    draw_samples,
    find_range,
    undo_predictor,
    unpack_samples,
)

COLOR_MAP = 320
MAX_NUMBER = 64  # characters
NO_DATA = 42113  # of GDAL: the number, as text, of pixels without a value
MAX_BROKEN = 200  # segments; the others are not tried then, each of which costs a call of libtiff
MAX_TOGETHER = 256  # segments that are decompressed in one call
ICC_PROFILE, JPEG_TABLES, T4_OPTIONS, T6_OPTIONS = 34675, 347, 292, 293


def decode_tiff(data: bytes, max_pixels: int, page: int = 0) -> Image.Image:
    """A page of a TIFF file: loaded, of mode L, RGB, RGBA, CMYK or LAB, neither turned nor converted to sRGB.

    `info["icc_profile"]` and the orientation in `getexif()` are kept. Integers are scaled by the depth of the samples,
    not by their content: 4095 is white of 12 bits. For floats and signed integers, see `choose_levels`.
    Raises ImageRefused: 413 for more than `max_pixels`, before any is decoded; 422 for what cannot be decoded whole.
    """
    partial = decode_tiff_rows(data, max_pixels, page)
    if partial.gaps:
        raise ImageRefused(422, f"broken or truncated: {partial.decoded:.0%} of its pixels can be decoded")
    return partial.image


def decode_tiff_rows(data: bytes, max_pixels: int, page: int = 0) -> PartialImage:
    """As `decode_tiff`, but of a page of which some parts may be missing: black, and listed as gaps."""
    file = io.BytesIO(data)
    pages = list_tiff_pages(file, page + 1)
    if page >= len(pages):
        raise ImageRefused(422, f"a TIFF file without a page {page + 1}")
    directory = read_directory(file, pages[page])
    layout = read_layout(directory)
    check_size(layout.width, layout.height, max_pixels)
    check_codec(layout.compression)
    if layout.compression == SGILOG24:
        partial = PartialImage(decode_by_libtiff(data, page), [])
    else:
        partial = TiffDecoder(directory, layout).decode()
    partial.image.format = "TIFF"
    if profile := directory.raw(ICC_PROFILE):
        partial.image.info["icc_profile"] = profile
    partial.image.getexif()[ExifTags.Base.Orientation] = directory.number(ExifTags.Base.Orientation, 1)
    return partial


def decode_by_libtiff(data: bytes, page: int) -> Image.Image:
    """RGB as libtiff shows it; its table of colours of 24 bits is nowhere else. Raises ImageRefused."""
    try:
        pixels = import_module("imagecodecs").tiff_decode(data, index=page, asrgb=True)
    except Exception as error:
        raise ImageRefused(422, f"broken or truncated ({error})") from error
    return Image.fromarray(np.ascontiguousarray(pixels[:, :, :3]))


@dataclass(frozen=True, slots=True)
class Place:
    """A segment's rectangle in the image; with planes, that of one segment of each."""

    left: int
    top: int
    height: int  # as stored: of a tile its full height
    indexes: tuple[int, ...]  # of the segments


class TiffDecoder:
    """Decodes one page."""

    def __init__(self, directory: TiffDirectory, layout: TiffLayout) -> None:
        self._directory, self._stored = directory, layout
        self._layout = describe_decoded(layout)
        self._jpeg_tables = directory.raw(JPEG_TABLES)
        options = T4_OPTIONS if layout.compression == CCITT_T4 else T6_OPTIONS
        self._ccitt_options = directory.number(options)
        self._row_bytes = count_row_bytes(layout)
        self._sorted_offsets = np.unique(layout.offsets)
        self._broken = 0  # segments
        self._tables = read_colours(directory, layout)
        self._no_data = read_no_data(directory) if layout.sample_format == FLOAT else None

    def decode(self) -> PartialImage:
        layout = self._layout
        levels = find_range(layout) or self._measure_levels()
        image = Image.new(choose_mode(layout), (layout.width, layout.height))
        gaps: list[PixelBox] = []
        for place, samples in self._read_samples():
            if samples is not None:
                image.paste(draw_samples(layout, samples, levels, self._tables), (place.left, place.top))
            gap_top = place.top + (len(samples) if samples is not None else 0)
            bottom = min(place.top + place.height, layout.height)
            if gap_top < bottom:
                right = min(place.left + layout.segment_width, layout.width)
                gaps.append((place.left, gap_top, right, bottom))
        return PartialImage(image, gaps)

    def _measure_levels(self) -> WhiteLevels:
        colours, extra = ValueRange(), ValueRange()
        for _, samples in self._read_samples():
            if samples is not None:
                colours.add(samples[:, :, : self._layout.colours])
                extra.add(samples[:, :, self._layout.colours :][:, :, :1])
        return choose_levels(self._layout, colours, extra)

    def _read_samples(self) -> Iterator[tuple[Place, Samples | None]]:
        """Bands of rows from top to bottom, their samples (R, C, S); None, or fewer rows, where data are missing."""
        down = self._block_height
        for places in self._list_batches():
            planes = [self._read_plane(places, plane) for plane in range(self._layout.used_planes)]
            for place, *parts in zip(places, *planes, strict=True):
                step = max(1, BAND_SAMPLES // (self._layout.segment_width * self._layout.samples) // down) * down
                for start in range(0, place.height, step):
                    band = Place(place.left, place.top + start, min(step, place.height - start), ())
                    yield band, self._drop_no_data(self._join_planes(parts, start, band.height))

    def _list_batches(self) -> Iterator[list[Place]]:
        """Segments that are decompressed together: a row of segments or more, of few bytes."""
        layout = self._stored
        segment_bytes = self._row_bytes * layout.segment_height * layout.planes
        together = min(MAX_TOGETHER, max(1, BATCH_BYTES // max(1, segment_bytes)))
        together = 1 if layout.compression in IMAGE_CODECS else together
        batch: list[Place] = []
        for place in list_places(layout):
            batch.append(place)
            if len(batch) == together:
                yield batch
                batch = []
        if batch:
            yield batch

    def _read_plane(self, places: list[Place], plane: int) -> list[Samples | None]:
        """For each place the rows of a plane: bytes (R, row bytes) or samples (R, C, S); None if they are missing."""
        layout = self._stored
        across, down = self._sharing(plane)
        heights = [-(-place.height // down) for place in places]
        row_bytes = -(-self._row_bytes // across) if plane else self._row_bytes
        needed = [row_bytes * height for height in heights]
        segments = [self._read_segment(place.indexes[plane], size) for place, size in zip(places, needed, strict=True)]
        if layout.compression in LOG_CODECS:
            found = [
                unpack_log(layout, segment, layout.segment_width, place.height)
                for segment, place in zip(segments, places, strict=True)
            ]
            return [rows[:, :, None] if rows is not None else None for rows in found]
        if layout.compression in IMAGE_CODECS:
            return [self._decode_picture(segment, place) for segment, place in zip(segments, places, strict=True)]
        if self._broken > MAX_BROKEN:
            return [None] * len(places)
        raw = decompress(layout, segments, row_bytes, heights, self._ccitt_options)
        self._broken += raw.count(None)
        if layout.compression == CCITT_T6:
            raw = [self._check_fax(*one) for one in zip(segments, raw, strict=True)]
        return [split_bytes(one, row_bytes) if one else None for one in raw]

    def _check_fax(self, segment: bytes, raw: bytes | None) -> bytes | None:
        stored = segment.translate(REVERSED) if self._stored.reversed_bits else segment
        return drop_undecoded_rows(stored, raw, self._stored.segment_width, self._ccitt_options) if raw else raw

    def _sharing(self, plane: int) -> tuple[int, int]:
        """How many columns and rows of the image share one of this plane of bytes."""
        layout = self._layout
        if not layout.is_subsampled:
            return 1, 1
        if not layout.planar:
            return 1, layout.subsampling[1]
        return layout.subsampling if plane in (1, 2) else (1, 1)

    @property
    def _block_height(self) -> int:
        return self._layout.subsampling[1] if self._layout.is_subsampled else 1

    def _read_segment(self, index: int, needed: int) -> bytes:
        """The bytes of a segment. A size that is missing or cannot be right is replaced by what the file has."""
        layout = self._stored
        if index >= layout.offsets.size:
            return b""
        offset = int(layout.offsets[index])
        size = int(layout.sizes[index]) if index < layout.sizes.size else 0
        is_raw = layout.compression == NO_COMPRESSION
        if is_raw and (not size or layout.offsets.size == 1):
            size = needed
        if not size:
            following = int(np.searchsorted(self._sorted_offsets, offset, "right"))
            is_last = following == self._sorted_offsets.size
            size = MAX_SEGMENT_BYTES if is_last else int(self._sorted_offsets[following]) - offset
        return read_at(self._directory.file, offset, min(size, needed) if is_raw else size)

    def _decode_picture(self, segment: bytes, place: Place) -> Samples | None:
        layout = self._layout
        if not segment:
            return None
        if self._broken > MAX_BROKEN:
            return None
        pixels = decode_picture(self._stored, segment, place.height, self._jpeg_tables)
        self._broken += pixels is None
        samples = 1 if layout.planar else layout.samples
        if pixels is None or pixels.shape[1] < min(layout.segment_width, layout.width - place.left):
            return None
        if pixels.shape[2] < samples:
            return None
        if pixels.dtype == np.uint8 and layout.bits[0] == 16:
            pixels = pixels.astype(np.uint16) * np.uint16(257)
        return pixels[: place.height, : layout.segment_width, :samples]

    def _join_planes(self, parts: list[Samples | None], start: int, height: int) -> Samples | None:
        bands: list[Samples] = []
        for plane, rows in enumerate(parts):
            if rows is None:
                return None
            across, down = self._sharing(plane)
            band = rows[start // down : -(-(start + height) // down)]
            if not len(band):
                return None
            samples = self._unpack(band, plane)
            if self._layout.planar and (across, down) != (1, 1):
                samples = samples.repeat(down, axis=0).repeat(across, axis=1)
            bands.append(samples[:height])
        if len(bands) == 1:
            return bands[0]
        rows_there, columns = min(len(band) for band in bands), min(band.shape[1] for band in bands)
        return np.concatenate([band[:rows_there, :columns] for band in bands], axis=2)

    def _drop_no_data(self, samples: Samples | None) -> Samples | None:
        if samples is None or self._no_data is None:
            return samples
        return np.where(samples == samples.dtype.type(self._no_data), samples.dtype.type(np.nan), samples)

    def _unpack(self, rows: Samples, plane: int) -> Samples:
        layout = self._layout
        if rows.ndim == 3:
            return rows
        whole = np.ascontiguousarray(rows).view(np.uint8)
        if layout.is_subsampled and not layout.planar:
            return unpack_blocks(layout, unpack_samples(layout, whole, layout.bits[:1])[:, :, 0])
        bits = layout.bits[plane : plane + 1] if layout.planar else layout.bits
        return unpack_samples(layout, undo_predictor(layout, whole, len(bits)), bits)


BAND_SAMPLES = 4_000_000
LUMA_TOLERANCE = 0.02  # shares of the luma add up to 1; rounded ones to a little more or less


def describe_decoded(layout: TiffLayout) -> TiffLayout:
    """The layout of what the codec returns."""
    if layout.compression in LOG_CODECS:
        return replace(layout, bits=(32,), sample_format=UNSIGNED, planar=False)
    if layout.compression in IMAGE_CODECS and layout.photometric == YCBCR and not layout.planar:
        return replace(layout, photometric=RGB, subsampling=(1, 1))
    return layout


def list_places(layout: TiffLayout) -> Iterator[Place]:
    in_plane = layout.rows * layout.columns
    for index in range(in_plane):
        row, column = divmod(index, layout.columns)
        top = row * layout.segment_height
        height = layout.segment_height if layout.tiled else min(layout.segment_height, layout.height - top)
        indexes = tuple(index + plane * in_plane for plane in range(layout.planes))
        yield Place(column * layout.segment_width, top, height, indexes)


def split_bytes(raw: bytes, row_bytes: int) -> Bytes:
    """Whole rows: (R, row bytes)."""
    return np.frombuffer(raw[: len(raw) // row_bytes * row_bytes], np.uint8).reshape(-1, row_bytes)


def unpack_blocks(layout: TiffLayout, values: Samples) -> Samples:
    """Blocks of YCbCr whose pixels share their colour: (block rows, values) to (R, C, 3)."""
    across, down = layout.subsampling
    blocks = values.reshape(len(values), -1, across * down + 2)
    luma = (
        blocks[:, :, :-2].reshape(len(values), -1, down, across).transpose(0, 2, 1, 3).reshape(len(values) * down, -1)
    )
    colours = blocks[:, :, -2:].repeat(down, axis=0).repeat(across, axis=1)
    return np.concatenate([luma[:, :, None], colours], axis=2)


def read_colours(directory: TiffDirectory, layout: TiffLayout) -> ColourTables:
    luma = tuple(float(value) for value in directory.numbers(529)[:3])
    reference = tuple(float(value) for value in directory.numbers(532)[:6])
    return ColourTables(
        palette=read_palette(directory, layout),
        luma=luma if len(luma) == 3 and min(luma) > 0 and abs(sum(luma) - 1) < LUMA_TOLERANCE else LUMA,
        reference=reference if len(reference) == 6 else FULL_RANGE,
    )


def read_no_data(directory: TiffDirectory) -> float | None:
    with suppress(ValueError):  # of text that is no number
        return float(directory.raw(NO_DATA)[:MAX_NUMBER].rstrip(b"\0 "))
    return None


def read_palette(directory: TiffDirectory, layout: TiffLayout) -> Bytes:
    """(N, 3) bytes; some programs write colours of 8 bits where 16 belong."""
    values = directory.numbers(COLOR_MAP)
    if layout.photometric != PALETTE:
        return np.empty((0, 3), np.uint8)
    count = values.size // 3
    if not count:
        raise ImageRefused(422, "a TIFF without the colours of its palette")
    colours = values[: 3 * count].astype(np.int64).reshape(3, count).T
    return (colours >> 8 if colours.max() > 255 else colours).astype(np.uint8)
