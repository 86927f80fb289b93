"""TIFF: depths, sample formats, layouts, colour spaces, compressions and broken pages. Chromium opens none of them."""

import io
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tests.images import tiff_writer as tiff
from tests.images.case import CorpusCase, Rgb
from tests.images.pictures import grey_picture, picture, three, write
from tests.images.profiles import SRGB, lab_to_srgb, srgb_decode, srgb_encode, xyz_to_lab

PICTURE, GREY = picture(), grey_picture()


def tiff_cases() -> Iterator[CorpusCase]:
    yield from [*depths(), *floats(), *layouts(), *spaces(), *compressions(), *pages(), *cut_files()]


def case(name: str, what: str, data: bytes, truth: Rgb, **more: Any) -> CorpusCase:
    return CorpusCase(f"tiff-{name}.tif", f"TIFF, {what}", data, truth=truth, browser="nothing", **more)


def scaled(values: npt.NDArray[np.uint8], bits: int) -> npt.NDArray[np.uint32]:
    return np.rint(values / 255.0 * (2**bits - 1)).astype(np.uint32)


def unscaled(values: npt.NDArray[np.uint32], bits: int) -> npt.NDArray[np.uint8]:
    return np.rint(values / (2.0**bits - 1) * 255).astype(np.uint8)


def depths() -> Iterator[CorpusCase]:
    for bits in (1, 2, 4, 6, 8, 10, 12, 14, 16, 24, 32):
        grey = scaled(GREY, bits)
        samples = grey.astype(np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32)
        data = tiff.tiff(samples, tiff.BLACK_IS_ZERO, bits=bits)
        yield case(f"grey{bits}", f"grey of {bits} bits", data, three(unscaled(grey, bits)))
        if bits == 1:
            continue
        for order, name in (("<", "II"), (">", "MM")) if bits > 8 else (("<", "II"),):
            rgb = scaled(PICTURE, bits)
            data = tiff.tiff(rgb.astype(samples.dtype), tiff.RGB, bits=bits, order=order)
            yield case(f"rgb{bits}-{name}", f"RGB of {bits} bits, {name}", data, unscaled(rgb, bits))
    white = (255 - GREY).astype(np.uint8)
    yield case("white-is-zero", "grey, white is zero", tiff.tiff(white, tiff.WHITE_IS_ZERO), three(GREY))
    deep = white.astype(np.uint16) * 257
    yield case("white-is-zero-16", "grey of 16 bits, white is zero", tiff.tiff(deep, tiff.WHITE_IS_ZERO), three(GREY))
    dark = (GREY // 8).astype(np.uint16) * 257
    yield case("dark16", "grey of 16 bits, dark: no stretch", tiff.tiff(dark, tiff.BLACK_IS_ZERO), three(GREY // 8))
    yield from palettes()


def palettes() -> Iterator[CorpusCase]:
    for bits in (1, 2, 4, 8, 16):
        palette = np.random.default_rng(bits).integers(0, 256, (2**bits, 3)).astype(np.uint16)
        indexes = scaled(GREY, bits).astype(np.uint8 if bits <= 8 else np.uint16)
        colours = (palette.T * 257).ravel().tolist()
        data = tiff.tiff(indexes, tiff.PALETTE, bits=bits, tags={320: colours})
        yield case(f"palette{bits}", f"palette of {bits} bits", data, palette[indexes].astype(np.uint8))


def floats() -> Iterator[CorpusCase]:
    unit = np.ptp(GREY.astype(np.float64))
    grey = (GREY - float(GREY.min())) / unit
    truth = three(np.rint(grey * 255).astype(np.uint8))
    rgb = (PICTURE - float(PICTURE.min())) / np.ptp(PICTURE.astype(np.float64))
    rgb_truth = np.rint(rgb * 255).astype(np.uint8)
    for bits in (16, 32, 64):
        kind = f"f{bits // 8}"
        yield case(f"float{bits}", f"grey of float{bits}", tiff.tiff(grey.astype(kind), tiff.BLACK_IS_ZERO), truth)
        data = tiff.tiff(rgb.astype(kind), tiff.RGB, order=">")
        yield case(f"rgb-float{bits}", f"RGB of float{bits}, MM", data, rgb_truth)
    for bits in (16, 32):
        data = tiff.tiff(grey.astype(f"f{bits // 8}"), tiff.BLACK_IS_ZERO, deflated=True, predictor=3)
        yield case(f"float{bits}-predictor3", f"grey of float{bits}, predictor 3", data, truth)
    for most in (255, 65535):
        data = tiff.tiff((grey * most).astype(np.float32), tiff.BLACK_IS_ZERO)
        yield case(f"float-{most}", f"float32 from 0 to {most}", data, truth)
    holes = grey.astype(np.float32)
    holes[:4, :4] = np.nan
    data = tiff.tiff(holes, tiff.BLACK_IS_ZERO)
    yield case("float-nan", "float32 with NaN in one corner", data, truth, levels=4.0)
    yield from measured(grey, truth)


def measured(grey: npt.NDArray[np.float64], truth: Rgb) -> Iterator[CorpusCase]:
    """Floats that are no picture: black is the least value, white the greatest."""
    for name, least, most, what in (
        ("heights", -500.0, 1500.0, "heights of -500 to 1500"),
        ("plains", 100.0, 2900.0, "heights of 100 to 2900"),
        ("celsius", -40.0, 35.0, "temperatures of -40 to 35"),
        ("ratio", -1.0, 1.0, "ratios of -1 to 1"),
        ("counts", 0.0, 4e6, "counts up to 4 million"),
    ):
        data = tiff.tiff((least + grey * (most - least)).astype(np.float32), tiff.BLACK_IS_ZERO)
        yield case(f"float-{name}", f"float32, {what}", data, truth)
    dented = (grey * 2000 - 500).astype(np.float32)
    dented[:4, :4] = -9999
    no_data = {42113: (tiff.BYTES, tuple(b"-9999\0"))}
    file = tiff.TiffFile(samples=dented[:, :, None], bits=32, sample_format=tiff.FLOAT, more=no_data)
    black = truth.copy()
    black[:4, :4] = 0
    yield case("float-no-data", "float32, heights with GDAL's number for none", file.write(), black)
    small = (grey * 0.9 - 0.004).astype(np.float32)
    shown = three(np.clip(np.rint(small * 255.0), 0, 255).astype(np.uint8))
    yield case("float-gamut", "float32, a picture with small negatives", tiff.tiff(small, tiff.BLACK_IS_ZERO), shown)


def layouts() -> Iterator[CorpusCase]:
    deep = PICTURE.astype(np.uint16) * 257
    for order, name in (("<", "II"), (">", "MM")):
        yield case(
            f"planar8-{name}", f"planar, {name}", tiff.tiff(PICTURE, tiff.RGB, order=order, planar=True), PICTURE
        )
        planar = tiff.tiff(deep, tiff.RGB, order=order, planar=True)
        yield case(f"planar16-{name}", f"planar of 16 bits, {name}", planar, PICTURE)
        big = tiff.tiff(PICTURE, tiff.RGB, order=order, big=True)
        yield case(f"big-{name}", f"BigTIFF, {name}", big, PICTURE)
        strips = tiff.tiff(PICTURE, tiff.RGB, order=order, rows_per_strip=5)
        yield case(f"strips-{name}", f"strips of 5 rows, {name}", strips, PICTURE)
        packed = tiff.tiff(deep, tiff.RGB, order=order, deflated=True, predictor=2)
        yield case(f"predictor2-16-{name}", f"16 bits, predictor 2, {name}", packed, PICTURE)
    planar = tiff.tiff(deep, tiff.RGB, planar=True, deflated=True, rows_per_strip=7)
    yield case("planar16-strips", "planar of 16 bits, deflate, strips", planar, PICTURE)
    guess = tiff.tiff(PICTURE, tiff.RGB, without=(262,))
    yield case("guess", "three samples, no photometric: RGB", guess, PICTURE)
    guess = tiff.tiff(GREY, tiff.BLACK_IS_ZERO, without=(262,))
    yield case("guess-grey", "one sample, no photometric: grey", guess, three(GREY))
    clear = np.dstack([PICTURE, np.full(GREY.shape, 255, np.uint8)])
    for extra, what in ((0, "unspecified"), (1, "associated alpha"), (2, "alpha")):
        data = tiff.tiff(clear, tiff.RGB, tags={338: extra})
        yield case(f"extra{extra}", f"a fourth sample, {what}", data, PICTURE)
    yield from transparent()
    rows = tiff.tiff(PICTURE, tiff.RGB, planar=True, rows_per_strip=8, tags={278: 2**31 + 1})
    yield case("rows-overflow", "planar, strips of 2 147 483 649 rows by its tag", rows, PICTURE)
    yield case("tiles", "tiles", tiff.tiff(PICTURE, tiff.RGB, tile=32), PICTURE)


def transparent() -> Iterator[CorpusCase]:
    """Half of it fades out from left to right; the truth is on white."""
    alpha = np.clip(np.linspace(1.5, 0.2, PICTURE.shape[1]), 0, 1)[None, :, None] * np.ones((len(PICTURE), 1, 1))
    on_white = np.rint(PICTURE * alpha + 255 * (1 - alpha)).astype(np.uint8)
    for bits in (8, 16):
        kind, most = f"u{bits // 8}", 2**bits - 1
        for extra, colours in ((1, PICTURE / 255.0 * alpha), (2, PICTURE / 255.0)):
            what = "associated alpha" if extra == 1 else "alpha"
            samples = np.rint(np.concatenate([colours, alpha], axis=2) * most).astype(kind)
            for planar in (False, True) if bits == 16 else (False,):
                name, title = ("-planar", ", planar") if planar else ("", "")
                data = tiff.tiff(samples, tiff.RGB, planar=planar, deflated=True, tags={338: extra})
                yield case(f"rgba{bits}-{extra}{name}", f"RGB of {bits} bits with {what}{title}", data, on_white)
    premultiplied = np.rint(np.concatenate([PICTURE * alpha, alpha * 255, alpha * 0 + 77], axis=2)).astype(np.uint8)
    data = tiff.tiff(premultiplied, tiff.RGB, tags={338: [1, 0]})
    yield case("five-samples", "RGB, associated alpha and a fifth sample", data, on_white)


def spaces() -> Iterator[CorpusCase]:
    lab = xyz_to_lab(srgb_decode(PICTURE / 255.0) @ SRGB.T)
    lab8 = np.rint(lab * (2.55, 1, 1)).astype(np.int16).astype(np.uint8)
    exact = np.stack([lab8[..., 0] / 2.55, *(lab8[..., 1:].astype(np.int8).transpose(2, 0, 1))], axis=-1)
    yield case("lab8", "CIELab of 8 bits", tiff.tiff(lab8, tiff.CIELAB), lab_to_srgb(exact))
    lab16 = np.rint(lab * (655.35, 256, 256)).astype(np.int32).astype(np.uint16)
    yield case("lab16", "CIELab of 16 bits", tiff.tiff(lab16, tiff.CIELAB), PICTURE)
    cmyk = np.dstack([255 - PICTURE, np.full(GREY.shape, 30, np.uint8)])
    truth = np.rint(PICTURE * 225.0 / 255).astype(np.uint8)
    data = tiff.tiff(cmyk, tiff.SEPARATED, planar=True, tags={332: 1})
    yield case("cmyk-planar", "CMYK, planar", data, truth)
    data = tiff.tiff(cmyk.astype(np.uint16) * 257, tiff.SEPARATED, tags={332: 1})
    yield case("cmyk16", "CMYK of 16 bits", data, truth)
    yield from luma()
    yield from luma_planes()
    yield from lab_with_alpha(lab)
    yield from log_luv()


def lab_with_alpha(lab: npt.NDArray[np.float64]) -> Iterator[CorpusCase]:
    """Opaque on the left, transparent on the right, where white is shown."""
    clear = np.zeros((*GREY.shape, 1))
    clear[:, : GREY.shape[1] // 2] = 1
    truth = np.where(clear > 0, PICTURE, 255).astype(np.uint8)
    for bits, scale in ((8, (2.55, 1, 1)), (16, (655.35, 256, 256))):
        kind = f"u{bits // 8}"
        colours = np.rint(lab * scale).astype(np.int32).astype(kind)
        samples = np.concatenate([colours, (clear * (2**bits - 1)).astype(kind)], axis=2)
        data = tiff.tiff(samples, tiff.CIELAB, tags={338: 2})
        yield case(f"lab{bits}-alpha", f"CIELab of {bits} bits with alpha", data, truth, levels=3.0)


def to_ycbcr(rgb: Rgb, red: float, blue: float) -> npt.NDArray[np.float64]:
    """Full-range luma and colour differences by the shares of red and blue in the luma (ITU-R BT.601, BT.709)."""
    luma = rgb @ np.array((red, 1 - red - blue, blue))
    return np.stack(
        [luma, (rgb[..., 2] - luma) / (2 - 2 * blue) + 128, (rgb[..., 0] - luma) / (2 - 2 * red) + 128], axis=-1
    )


def luma_planes() -> Iterator[CorpusCase]:
    """YCbCr in planes and with other shares of red, green and blue."""
    full = (0.0, 255.0, 128.0, 255.0, 128.0, 255.0)
    for name, what, shares, tag in (
        ("601", "BT.601", (0.299, 0.114), (0.299, 0.587, 0.114)),
        ("709", "BT.709", (0.2126, 0.0722), (0.2126, 0.7152, 0.0722)),
        ("broken", "shares that cannot be: BT.601", (0.299, 0.114), (1.0, 1.0, 1.0)),
    ):
        ycc = np.clip(np.rint(to_ycbcr(PICTURE, *shares)), 0, 255).astype(np.uint8)
        for planar in (False, True):
            floats = {529: tag, 532: full}
            data = tiff.tiff(ycc, tiff.YCBCR, planar=planar, tags={530: [1, 1]}, floats=floats)
            where = ("-planar", ", planar") if planar else ("", "")
            yield case(f"ycbcr444-{name}{where[0]}", f"YCbCr 4:4:4, {what}{where[1]}", data, PICTURE)
    ycc = np.clip(np.rint(to_ycbcr(PICTURE, 0.299, 0.114)), 0, 255)
    halves = ycc.reshape(len(ycc) // 2, 2, -1, 2, 3).mean(axis=(1, 3))
    planes = [ycc[:, :, 0], halves[:, :, 1], halves[:, :, 2]]
    parts = [np.rint(plane).astype(np.uint8).tobytes() for plane in planes]
    data = tiff.tiff(PICTURE, tiff.YCBCR, planar=True, tags={530: [2, 2], 531: 1}, parts=parts)
    yield case("ycbcr420-planar", "YCbCr 4:2:0, planar", data, PICTURE)


def luma() -> Iterator[CorpusCase]:
    """YCbCr without compression, chroma halved both ways, of even and of odd size."""
    for width, height in ((64, 48), (61, 47)):
        pixels = picture(width, height)
        ycc = np.asarray(Image.fromarray(pixels).convert("YCbCr"))
        padded = np.pad(ycc, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
        blocks = b""
        for y in range(0, height, 2):
            for x in range(0, width, 2):
                square = padded[y : y + 2, x : x + 2].astype(np.uint16)
                blocks += bytes(square[..., 0].ravel().tolist())
                blocks += bytes(int(value) for value in np.rint(square[..., 1:].mean(axis=(0, 1))))
        tags = {530: [2, 2], 531: 1}
        data = tiff.tiff(ycc, tiff.YCBCR, tags=tags, parts=[blocks])
        yield case(f"ycbcr-{width}x{height}", f"YCbCr 4:2:0, {width} x {height}", data, pixels)


def log_luv() -> Iterator[CorpusCase]:
    """Greg Ward's LogLuv of 32 bits, and LogL: the picture as light from 0 to 1."""
    xyz = (
        srgb_decode(PICTURE / 255.0)
        @ np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]).T
    )
    light = np.floor(256 * (np.log2(np.maximum(xyz[..., 1], 1e-6)) + 64)).astype(np.int64)
    total = xyz @ (1, 15, 3)
    u, v = (np.floor(410 * factor * xyz[..., index] / total).astype(np.int64) for index, factor in ((0, 4), (1, 9)))
    words = (light << 16 | u << 8 | v).astype(np.uint32)
    strip = b"".join(literal_planes(row, 4) for row in words)
    data = tiff.tiff(PICTURE, tiff.LOGLUV, tags={258: [16] * 3, 259: tiff.SGILOG, 339: [tiff.INT] * 3}, parts=[strip])
    yield case("logluv", "LogLuv of 32 bits", data, PICTURE, levels=12.0)
    grey = srgb_decode(GREY / 255.0)
    light = np.floor(256 * (np.log2(np.maximum(grey, 1e-6)) + 64)).astype(np.uint32)
    strip = b"".join(literal_planes(row, 2) for row in light)
    data = tiff.tiff(GREY, tiff.LOGL, tags={258: 16, 259: tiff.SGILOG, 339: tiff.INT}, parts=[strip])
    yield case("logl", "LogL of 16 bits", data, three(srgb_encode(grey)), levels=12.0)


def literal_planes(words: npt.NDArray[np.uint32], size: int) -> bytes:
    """A row as SGILOG codes it, the highest byte first, without runs."""
    coded = b""
    for shift in range(8 * (size - 1), -1, -8):
        plane = ((words >> np.uint32(shift)) & np.uint32(255)).astype(np.uint8).tobytes()
        coded += bytes([len(plane)]) + plane
    return coded


def compressions() -> Iterator[CorpusCase]:
    for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd", "lzma"):
        options = {"quality": 97} if name == "jpeg" else {}
        data = write(PICTURE, "TIFF", compression=name, **options)
        title = name.removeprefix("tiff_").replace("_", " ")
        yield case(title.replace(" ", "-"), f"compressed with {title}", data, PICTURE)
    strip = write(PICTURE, "WEBP", lossless=True)
    data = tiff.tiff(PICTURE, tiff.RGB, tags={259: tiff.WEBP}, parts=[strip])
    yield case("webp", "compressed with webp", data, PICTURE)
    nibbles = scaled(GREY, 4)
    tags = {259: tiff.THUNDERSCAN}
    rows = b"".join(bytes((0xC0 | nibbles).ravel().tolist()) for nibbles in nibbles)
    data = tiff.tiff(nibbles.astype(np.uint8), tiff.BLACK_IS_ZERO, bits=4, tags=tags, parts=[rows])
    yield case("thunderscan", "compressed with ThunderScan", data, three(unscaled(nibbles, 4)))
    black = np.where(GREY > 110, 255, 0).astype(np.uint8)
    for name in ("group3", "group4"):
        file = io.BytesIO()
        Image.fromarray(black).convert("1", dither=Image.Dither.NONE).save(file, "TIFF", compression=name)
        yield case(name, f"{name}, fax", file.getvalue(), three(black))


def pages() -> Iterator[CorpusCase]:
    """The first page counts; a broken one behind it changes nothing."""
    file = io.BytesIO()
    first, *rest = [Image.fromarray(PICTURE), Image.fromarray(255 - PICTURE), Image.fromarray(PICTURE[::-1].copy())]
    first.save(file, "TIFF", save_all=True, append_images=rest)
    whole = file.getvalue()
    yield case("pages", "three pages: the first", whole, PICTURE)
    broken = bytearray(whole)
    third = directories(whole)[2]
    broken[third : third + 2] = struct.pack("<H", 0)  # a directory without tags
    yield case("third-page-broken", "three pages, the last one without size", bytes(broken), PICTURE, kind="shown")


def directories(data: bytes) -> list[int]:
    """Where the directories of a small little-endian TIFF are."""
    places, place = [], struct.unpack_from("<I", data, 4)[0]
    while place:
        places.append(place)
        count = struct.unpack_from("<H", data, place)[0]
        place = struct.unpack_from("<I", data, place + 2 + 12 * count)[0]
    return places


def cut_files() -> Iterator[CorpusCase]:
    whole = tiff.tiff(picture(64, 320), tiff.RGB, rows_per_strip=10)
    directory = struct.unpack_from("<I", whole, 4)[0]
    for name, what, data, says in (
        ("no-directory", "its directory", whole[:directory], "directory"),
        ("half-directory", "half of its directory", whole[: directory + 80], "TIFF"),
        ("no-strips", "the places of its strips", whole[:-200], "truncated"),
    ):
        yield CorpusCase(f"tiff-{name}.tif", f"TIFF without {what}", data, "refused", says=says, browser="nothing")
    yield from broken_files()
    yield from fax_files()


def broken_files() -> Iterator[CorpusCase]:
    """What libtiff refuses, too."""
    unknown = tiff.tiff(PICTURE, tiff.RGB, deflated=True, predictor=60162)
    yield refused("predictor", "an unknown predictor", unknown, "Predictor 60162")
    shallow = tiff.TiffFile(samples=PICTURE, bits=8, photometric=tiff.RGB).write()
    at = shallow.index(struct.pack("<HHI", 258, 3, 3)) + 8
    yield refused("no-depth", "a depth outside of the file", shallow[:at] + b"\xff" * 4 + shallow[at + 4 :], "depth")
    no_size = tiff.tiff(PICTURE, tiff.RGB, tags={256: 0})
    yield CorpusCase("tiff-no-width.tif", "TIFF of width 0", no_size, "refused", says="TIFF", browser="nothing")
    noise = np.random.default_rng(5).integers(0, 256, (200, 60, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "TIFF", compression="tiff_lzw", tiffinfo={278: 200})
    broken = bytearray(file.getvalue())
    size = next(int(entry) for entry in Image.open(io.BytesIO(broken)).tag_v2[279])  # type: ignore[attr-defined]
    start = next(int(entry) for entry in Image.open(io.BytesIO(broken)).tag_v2[273])  # type: ignore[attr-defined]
    broken[start + size * 95 // 100 : start + size] = b"\xff" * (size - size * 95 // 100)
    yield case(
        "lzw-fault", "compressed with LZW, one strip with a fault", bytes(broken), noise, kind="damaged", rows=0.9
    )


def fax_files() -> Iterator[CorpusCase]:
    """Pages of CCITT T.6, white in their lower half: libtiff returns white for what it cannot decode, not an error."""
    page = np.full((240, 400), 255, np.uint8)
    page[:120] = np.where(np.random.default_rng(6).random((120, 400)) < 0.2, 0, 255)
    for name, bits, order in (("", "in order", 1), ("-reversed", "in reverse", 2)):
        whole, start, size = write_fax(page, order)
        yield case(f"fax-white-end{name}", f"group4, fax, white at its end, bits {bits}", whole, three(page))
        at = start + size // 4
        fault = whole[:at] + bytes(40) + whole[at + 40 :]
        yield refused(f"fax-fault{name}", f"a fault in a fax page, bits {bits}", fault, "truncated")
    cut, start, size = write_fax(page, 1)
    at = start + size // 4
    ended = cut[:at] + bytes((0x00, 0x10, 0x01)) + bytes(size - size // 4 - 3) + cut[start + size :]
    yield refused("fax-cut", "a fax page of which a quarter is in the file", tail_first(page), "truncated")
    yield refused("fax-ended", "the end of a fax page after a quarter", ended, "truncated")


def tail_first(page: npt.NDArray[np.uint8]) -> bytes:
    """The strip behind the directory, and three quarters of it missing."""
    whole, start, size = write_fax(page, 1)
    strip = whole[start : start + size]
    samples = (page[:, :, None] // 255).astype(np.uint8)
    tags = {259: 4}
    data = tiff.tiff(samples, tiff.WHITE_IS_ZERO, bits=1, tags=tags, parts=[strip])
    at = data.index(strip)
    moved = data[:at] + bytes(size) + data[at + size :] + strip
    return moved.replace(struct.pack("<HHII", 273, 4, 1, at), struct.pack("<HHII", 273, 4, 1, len(data)))[
        : -size * 3 // 4
    ]


def write_fax(page: npt.NDArray[np.uint8], order: int) -> tuple[bytes, int, int]:
    """A file of one strip, where it starts and its bytes."""
    file = io.BytesIO()
    Image.fromarray(page).convert("1", dither=Image.Dither.NONE).save(
        file, "TIFF", compression="group4", tiffinfo={266: order, 278: len(page)}
    )
    with Image.open(file) as image:
        tags = image.tag_v2  # type: ignore[attr-defined]
        return file.getvalue(), int(tags[273][0]), int(tags[279][0])


def refused(name: str, what: str, data: bytes, says: str) -> CorpusCase:
    return CorpusCase(f"tiff-{name}.tif", f"TIFF with {what}", data, "refused", says=says, browser="nothing")
