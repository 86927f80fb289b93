"""BMP: every header, depth and compression that a browser shows."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from tests.images import bmp_writer as bmp
from tests.images.case import CorpusCase, Rgb
from tests.images.pictures import alpha_ramp, on_white, picture
from tests.images.profiles import P3, P3_PROFILE, convert_rgb, srgb_decode

PICTURE = picture()
SIZE = (PICTURE.shape[1], PICTURE.shape[0])


def bmp_cases() -> Iterator[CorpusCase]:
    yield from true_colour()
    yield from bit_fields()
    yield from palettes()
    yield from run_lengths()
    yield from broken()


def true_colour() -> Iterator[CorpusCase]:
    rows = bmp.bgr_rows(PICTURE)
    pixels = bmp.pad_rows(rows)
    for name, what, header in (
        ("info", "", bmp.INFO),
        ("os2", ", header of OS/2 1 (12 bytes)", bmp.CORE),
        ("os2-64", ", header of OS/2 2 (64 bytes)", bmp.OS2),
        ("os2-16", ", header of OS/2 2 (16 bytes)", bmp.OS2_SHORT),
        ("v2", ", header of 52 bytes", bmp.V2),
        ("v3", ", header of 56 bytes", bmp.V3),
        ("v4", ", header of version 4", bmp.V4),
        ("v5", ", header of version 5", bmp.V5),
    ):
        yield CorpusCase(
            f"{name}.bmp", f"BMP of 24 bits{what}", bmp.file_of(pixels, SIZE, 24, header=header), truth=PICTURE
        )
    down = bmp.file_of(bmp.pad_rows(rows, top_down=True), (SIZE[0], -SIZE[1]), 24)
    yield CorpusCase("top-down.bmp", "BMP, top-down", down, truth=PICTURE)
    odd = picture(61, 47)
    yield CorpusCase("odd.bmp", "BMP, 61 x 47", bmp.file_of(bmp.pad_rows(bmp.bgr_rows(odd)), (61, 47), 24), truth=odd)
    data = bmp.file_of(pixels, SIZE, 24, header=bmp.V5, tail=P3_PROFILE)
    yield CorpusCase("p3.bmp", "BMP, Display P3", data, truth=convert_rgb(PICTURE, P3, srgb_decode))


def bit_fields() -> Iterator[CorpusCase]:
    for name, masks, bits in (
        ("565", bmp.MASKS_565, 16),
        ("555", bmp.MASKS_555, 16),
        ("888", bmp.MASKS_888, 32),
        ("1010", bmp.MASKS_1010, 32),
    ):
        pixels = bmp.pad_rows(bmp.masked_rows(PICTURE, masks, bits))
        for header, what in ((bmp.INFO, "3"), (bmp.V4, "4")):
            data = bmp.file_of(pixels, SIZE, bits, header=header, compression=bmp.BITFIELDS, masks=masks)
            description = f"BMP of {bits} bits, fields of {name}, header {what}"
            yield CorpusCase(f"fields-{name}-{what}.bmp", description, data, truth=bmp.through_masks(PICTURE, masks))
    plain = bmp.file_of(bmp.pad_rows(bmp.masked_rows(PICTURE, bmp.MASKS_555, 16)), SIZE, 16)
    yield CorpusCase("16.bmp", "BMP of 16 bits", plain, truth=bmp.through_masks(PICTURE, bmp.MASKS_555))
    plain = bmp.file_of(bmp.pad_rows(bmp.masked_rows(PICTURE, bmp.MASKS_888, 32)), SIZE, 32)
    yield CorpusCase("32.bmp", "BMP of 32 bits, the last byte zero", plain, truth=PICTURE)
    clear = bmp.pad_rows(bmp.masked_rows(np.dstack([PICTURE, alpha_ramp()]), bmp.MASKS_8888, 32))
    for name, header in (("v3", bmp.V3), ("v4", bmp.V4), ("v5", bmp.V5)):
        data = bmp.file_of(clear, SIZE, 32, header=header, compression=bmp.BITFIELDS, masks=bmp.MASKS_8888)
        truth = on_white(PICTURE, alpha_ramp())
        yield CorpusCase(f"alpha-{name}.bmp", f"BMP with alpha, header {name}", data, truth=truth)


def quantize(colours: int) -> tuple["np.ndarray[tuple[int, ...], np.dtype[np.uint8]]", Rgb]:
    """Indexes (H, W) and palette (colours, 3)."""
    image = Image.fromarray(PICTURE).quantize(colours)
    palette = np.zeros((colours, 3), np.uint8)
    found = np.asarray(image.getpalette(), np.uint8).reshape(-1, 3)[:colours]
    palette[: len(found)] = found
    return np.asarray(image), palette


def palettes() -> Iterator[CorpusCase]:
    for bits in (1, 2, 4, 8):
        indexes, palette = quantize(2**bits)
        pixels, truth = bmp.pad_rows(bmp.packed_rows(indexes, bits)), palette[indexes]
        data = bmp.file_of(pixels, SIZE, bits, palette=bmp.bgrx_palette(palette))
        yield CorpusCase(f"palette{bits}.bmp", f"BMP, palette of {bits} bits", data, truth=truth)
        if bits != 2:
            data = bmp.file_of(pixels, SIZE, bits, header=bmp.CORE, palette=bmp.bgr_palette(palette))
            yield CorpusCase(f"palette{bits}-os2.bmp", f"BMP of OS/2, palette of {bits} bits", data, truth=truth)
    indexes, palette = quantize(32)
    data = bmp.file_of(bmp.pad_rows(bmp.packed_rows(indexes, 8)), SIZE, 8, palette=bmp.bgrx_palette(palette))
    yield CorpusCase("palette-short.bmp", "BMP, palette of 32 colours", data, truth=palette[indexes])


def run_lengths() -> Iterator[CorpusCase]:
    indexes, palette = quantize(256)
    options = {"palette": bmp.bgrx_palette(palette)}
    data = bmp.file_of(bmp.rle8(indexes), SIZE, 8, compression=bmp.RLE8, **options)  # type: ignore[arg-type]
    yield CorpusCase("rle8.bmp", "BMP, RLE of 8 bits", data, truth=palette[indexes])
    indexes, palette = quantize(16)
    options = {"palette": bmp.bgrx_palette(palette)}
    data = bmp.file_of(bmp.rle4(indexes), SIZE, 4, compression=bmp.RLE4, **options)  # type: ignore[arg-type]
    yield CorpusCase("rle4.bmp", "BMP, RLE of 4 bits", data, truth=palette[indexes])


def broken() -> Iterator[CorpusCase]:
    whole = bmp.file_of(bmp.pad_rows(bmp.bgr_rows(PICTURE)), SIZE, 24)
    no_size = whole[:2] + bytes(4) + whole[6:]
    yield CorpusCase("no-size.bmp", "BMP, a file size of 0", no_size, truth=PICTURE)
    yield CorpusCase("after-end.bmp", "BMP, bytes after the end", whole + bytes(100), "shown", PICTURE)
    yield CorpusCase(
        "cut-10.bmp", "BMP cut at 10 %", whole[: len(whole) // 10], "refused", says="truncated",
        browser="other", why="it shows what is there",
    )  # fmt: skip
