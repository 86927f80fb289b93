"""EXIF orientation and transparency."""

import io
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from tests.images import png_writer as png
from tests.images.case import CorpusCase, Other, Rgb
from tests.images.pictures import alpha_ramp, grey_picture, jpeg, on_white, picture, three, write

PICTURE, GREY, ALPHA = picture(), grey_picture(), alpha_ramp()
UNTURNED: Other = {"browser": "other", "why": "it ignores EXIF in WebP"}
WEBP: dict[str, Any] = {"lossless": True, "exact": True}


def shape_cases() -> Iterator[CorpusCase]:
    yield from orientations()
    yield from untouched()
    yield from transparent_png()
    yield from transparent_others()


def turn_upright(pixels: Rgb, orientation: int) -> Rgb:
    """`pixels` as stored to upright, by the table of EXIF 2.3, 4.6.4."""
    flipped = pixels.swapaxes(0, 1) if orientation >= 5 else pixels
    if orientation in (2, 3, 6, 7):
        flipped = flipped[:, ::-1]
    if orientation in (3, 4, 7, 8):
        flipped = flipped[::-1]
    return np.ascontiguousarray(flipped)


def orientations() -> Iterator[CorpusCase]:
    for orientation in range(1, 9):
        truth = turn_upright(PICTURE, orientation)
        exif = Image.Exif()
        exif[274] = orientation
        files = {
            "jpg": jpeg(PICTURE, exif=exif),
            "png": png.png(PICTURE, png.RGB, chunks=[png.chunk(b"eXIf", exif.tobytes()[6:])]),
            "webp": write(PICTURE, "WEBP", exif=exif, **WEBP),
            "tif": write(PICTURE, "TIFF", tiffinfo={274: orientation}),
        }
        if orientation in (2, 5, 8):
            files["avif"] = write(PICTURE, "AVIF", quality=95, subsampling="4:4:4", exif=exif)
        for suffix, data in files.items():
            what = f"{suffix.upper().replace('JPG', 'JPEG').replace('TIF', 'TIFF')}, orientation {orientation}"
            if suffix == "tif":
                yield CorpusCase(f"turned-{orientation}.tif", what, data, truth=truth, browser="nothing")
            elif suffix == "webp" and orientation > 1:
                yield CorpusCase(f"turned-{orientation}.webp", what, data, truth=truth, **UNTURNED)
            else:
                yield CorpusCase(f"turned-{orientation}.{suffix}", what, data, truth=truth)
    big = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + struct.pack(">HH", 6, 0) + bytes(4)
    yield CorpusCase(
        "turned-6-big-endian.jpg",
        "JPEG, orientation 6, big-endian",
        jpeg(PICTURE, exif=big),
        truth=turn_upright(PICTURE, 6),
    )


def untouched() -> Iterator[CorpusCase]:
    """An orientation in XMP alone turns nothing: browsers read EXIF."""
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><tiff:Orientation>6</tiff:Orientation></x:xmpmeta>'
    camera = Image.Exif()
    camera[271] = "camera"
    text = png.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    files = {
        "xmp-turned.jpg": ("JPEG", jpeg(PICTURE, xmp=xmp)),
        "xmp-turned-exif.jpg": ("JPEG with other EXIF", jpeg(PICTURE, xmp=xmp, exif=camera)),
        "xmp-turned.png": ("PNG", png.png(PICTURE, png.RGB, chunks=[text])),
        "xmp-turned.webp": ("WebP", write(PICTURE, "WEBP", xmp=xmp, **WEBP)),
        "xmp-turned.avif": ("AVIF", write(PICTURE, "AVIF", quality=95, subsampling="4:4:4", xmp=xmp)),
    }
    for name, (what, data) in files.items():
        yield CorpusCase(name, f"{what}, orientation 6 in XMP alone", data, truth=PICTURE)
    tags = {700: xmp}
    tiff = write(PICTURE, "TIFF", tiffinfo=tags)
    yield CorpusCase("xmp-turned.tif", "TIFF, orientation 6 in XMP alone", tiff, truth=PICTURE, browser="nothing")


def transparent_png() -> Iterator[CorpusCase]:
    deep, deep_alpha = PICTURE.astype(np.uint16) * 257, ALPHA.astype(np.uint16) * 257
    clear = on_white(PICTURE, ALPHA)
    grey_clear = on_white(three(GREY), ALPHA)
    files = {
        "rgba": ("RGBA", png.png(np.dstack([PICTURE, ALPHA]), png.RGBA), clear),
        "la": ("grey and alpha", png.png(np.dstack([GREY, ALPHA]), png.GREY_ALPHA), grey_clear),
        "rgba16": ("RGBA of 16 bits", png.png(np.dstack([deep, deep_alpha]), png.RGBA, 16), clear),
        "la16": (
            "grey and alpha of 16 bits",
            png.png(np.dstack([GREY.astype(np.uint16) * 257, deep_alpha]), png.GREY_ALPHA, 16),
            grey_clear,
        ),
    }
    for name, (what, data, truth) in files.items():
        yield CorpusCase(f"clear-{name}.png", f"PNG, {what}", data, truth=truth)
    yield from one_transparent_colour()
    yield from transparent_palettes()


def one_transparent_colour() -> Iterator[CorpusCase]:
    """tRNS of grey and RGB: a block of one colour becomes white."""
    grey, rgb = GREY.copy(), PICTURE.copy()
    grey[10:30, 20:44] = 17
    rgb[10:30, 20:44] = (17, 200, 90)
    white = np.zeros(grey.shape, bool)
    white[10:30, 20:44] = True
    grey_truth, rgb_truth = (np.where(white[..., None], 255, array).astype(np.uint8) for array in (three(grey), rgb))
    for bits in (8, 16):
        scale = 257 if bits == 16 else 1
        key = png.chunk(b"tRNS", struct.pack(">H", 17 * scale))
        data = png.png(grey.astype(np.uint16) * scale, png.GREY, bits, [key])
        yield CorpusCase(f"clear-grey{bits}.png", f"grey PNG of {bits} bits, tRNS", data, truth=grey_truth)
        key = png.chunk(b"tRNS", struct.pack(">3H", *(value * scale for value in (17, 200, 90))))
        data = png.png(rgb.astype(np.uint16) * scale, png.RGB, bits, [key])
        yield CorpusCase(f"clear-rgb{bits}.png", f"RGB PNG of {bits} bits, tRNS", data, truth=rgb_truth)
    near = grey.astype(np.uint16) * 257
    near[10:30, 20:32] += 1  # of the same high byte, yet another colour
    truth = grey_truth.copy()
    truth[10:30, 20:32] = 17
    data = png.png(near, png.GREY, 16, [png.chunk(b"tRNS", struct.pack(">H", 17 * 257))])
    yield CorpusCase("clear-grey16-near.png", "grey PNG of 16 bits, tRNS, a colour next to it", data, truth=truth)


def transparent_palettes() -> Iterator[CorpusCase]:
    image = Image.fromarray(PICTURE).quantize(16)
    indexes = np.asarray(image)
    palette = np.asarray(image.getpalette(), np.uint8).reshape(-1, 3)[:16]
    alphas = np.linspace(0, 255, 16).astype(np.uint8)
    truth = on_white(palette[indexes], alphas[indexes])
    chunks = [png.chunk(b"PLTE", palette.tobytes()), png.chunk(b"tRNS", alphas.tobytes())]
    for bits in (4, 8):
        data = png.png(indexes, png.PALETTE, bits, chunks)
        yield CorpusCase(f"clear-palette{bits}.png", f"PNG, palette of {bits} bits, tRNS", data, truth=truth)
    short = [chunks[0], png.chunk(b"tRNS", alphas[:4].tobytes())]
    opaque = np.where(np.arange(16) < 4, alphas, 255).astype(np.uint8)
    truth = on_white(palette[indexes], opaque[indexes])
    data = png.png(indexes, png.PALETTE, 8, short)
    yield CorpusCase("clear-palette-short.png", "PNG, palette, tRNS of the first colours", data, truth=truth)
    file = io.BytesIO()
    image.save(file, "GIF", transparency=3)
    truth = np.where((indexes == 3)[..., None], 255, palette[indexes]).astype(np.uint8)
    yield CorpusCase("clear.gif", "GIF, one transparent colour", file.getvalue(), truth=truth)


def transparent_others() -> Iterator[CorpusCase]:
    clear = np.dstack([PICTURE, ALPHA])
    truth = on_white(PICTURE, ALPHA)
    yield CorpusCase("clear.webp", "transparent WebP", write(clear, "WEBP", "RGBA", **WEBP), truth=truth)
    tiff = write(clear, "TIFF", "RGBA")
    yield CorpusCase("clear.tif", "TIFF, RGBA", tiff, truth=truth, browser="nothing")
    tiff = write(np.dstack([GREY, ALPHA]), "TIFF", "LA")
    yield CorpusCase(
        "clear-la.tif", "TIFF, grey and alpha", tiff, truth=on_white(three(GREY), ALPHA), browser="nothing"
    )
