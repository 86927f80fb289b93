"""PNG files that are cut or patched, of every bit depth, and animated ones."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from tests.images import png_writer as png
from tests.images.case import CorpusCase
from tests.images.pictures import TALL, grey_picture, picture, three
from tests.images.profiles import SRGB, matrix_profile, srgb_decode, table_tag

PICTURE, GREY, TALL_PICTURE = picture(), grey_picture(), picture(*TALL)
BIG_TEXT = 2 << 20  # bytes; Pillow refuses text of more than 1 MiB


def png_cases() -> Iterator[CorpusCase]:
    yield from checksums()
    yield from cut_files()
    yield from large_chunks()
    yield from animations()
    yield from depths()


def break_crc(data: bytes, name: bytes) -> bytes:
    """The checksum of the first chunk of that name is wrong."""
    start = png.chunk_start(data, name)
    end = start + 12 + struct.unpack_from(">I", data, start)[0]
    return data[: end - 4] + bytes(byte ^ 0x55 for byte in data[end - 4 : end]) + data[end:]


def checksums() -> Iterator[CorpusCase]:
    text = png.chunk(b"tEXt", b"Title\0a picture")
    whole = png.png(PICTURE, png.RGB, chunks=[text])
    cases = {"IEND": "last", "IDAT": "pixels'", "tEXt": "text's"}
    for name, what in cases.items():
        data = break_crc(whole, name.encode())
        yield CorpusCase(f"crc-{name}.png", f"PNG, the {what} checksum is wrong", data, "shown", PICTURE)
    body = whole.index(b"IDAT") + 4
    size = struct.unpack_from(">I", whole, body - 8)[0]
    stream = whole[body : body + size - 4] + b"\0\0\0\0"  # the checksum of zlib
    data = whole[: body - 8] + png.chunk(b"IDAT", stream) + png.chunk(b"IEND")
    yield CorpusCase("adler.png", "PNG, the checksum of zlib is wrong", data, "damaged", PICTURE, rows=0.9)


def cut_files() -> Iterator[CorpusCase]:
    whole = png.png(PICTURE, png.RGB)
    yield CorpusCase("no-iend.png", "PNG without its end chunk", whole[:-12], "shown", PICTURE)
    yield CorpusCase("after-iend.png", "PNG, bytes after the end", whole + b"some words" * 9, "shown", PICTURE)
    tall = png.png(noisy_tall(), png.RGB)
    data = tall.index(b"IDAT")
    for share, kind in ((0.96, "damaged"), (0.5, "refused"), (0.1, "refused")):
        cut = tall[: data + round((len(tall) - data) * share)]
        rows = 0.9 if kind == "damaged" else share * 0.8
        name, what = f"cut-{share * 100:.0f}.png", f"PNG cut at {share:.0%} of its pixels"
        yield CorpusCase(name, what, cut, kind, noisy_tall(), "truncated" * (kind == "refused"), rows=rows)  # type: ignore[arg-type]
    yield CorpusCase("cut-20.png", "PNG without its last 20 bytes", tall[:-20], "shown", noisy_tall(), rows=0.95)
    yield CorpusCase(
        "cut-header.png", "PNG cut before its pixels", tall[:35], "refused", says="truncated", browser="nothing"
    )
    signature = whole[:8]
    yield CorpusCase("signature.png", "PNG's signature alone", signature, "refused", says="cut off", browser="nothing")


def noisy_tall() -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    """Its compressed bytes are spread evenly over its rows."""
    noise = np.random.default_rng(3).integers(0, 12, TALL_PICTURE.shape, dtype=np.uint8)
    return TALL_PICTURE + noise


def large_chunks() -> Iterator[CorpusCase]:
    text = png.chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"words " * (BIG_TEXT // 6)))
    yield CorpusCase("text-2-MiB.png", "PNG, a text of 2 MiB", png.png(PICTURE, png.RGB, chunks=[text]), truth=PICTURE)
    text = png.chunk(b"iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0" + zlib.compress(b"<x/> " * (BIG_TEXT // 5)))
    yield CorpusCase("xmp-2-MiB.png", "PNG, XMP of 2 MiB", png.png(PICTURE, png.RGB, chunks=[text]), truth=PICTURE)
    profile = matrix_profile(SRGB, table_tag(srgb_decode, 300_000))
    data = png.png(PICTURE, png.RGB, chunks=[png.iccp(profile)])
    yield CorpusCase("profile-1.8-MiB.png", "PNG, an sRGB profile of 1.8 MiB", data, truth=PICTURE)


def animations() -> Iterator[CorpusCase]:
    control = png.chunk(b"acTL", struct.pack(">II", 2, 0))
    frame = png.chunk(b"fcTL", struct.pack(">5I2H2B", 0, 64, 48, 0, 0, 1, 10, 0, 0))
    next_frame = png.chunk(b"fcTL", struct.pack(">5I2H2B", 1, 64, 48, 0, 0, 1, 10, 0, 0))
    pixels = png.chunk(b"fdAT", struct.pack(">I", 2) + png.pixel_data(255 - PICTURE, 8))
    whole = png.png(PICTURE, png.RGB, chunks=[control, frame], after=[next_frame, pixels])
    yield CorpusCase("apng.png", "animated PNG: its first frame", whole, truth=PICTURE)
    data = png.png(PICTURE, png.RGB, chunks=[control])
    yield CorpusCase(
        "apng-no-fctl.png", "animated PNG without frame control: the still picture", data, "shown", PICTURE,
        browser="other", why="it waits for a frame and draws nothing",
    )  # fmt: skip
    data = png.png(PICTURE, png.RGB, chunks=[png.chunk(b"acTL", bytes(8)), frame])
    yield CorpusCase("apng-no-frames.png", "animated PNG of 0 frames: the still picture", data, truth=PICTURE)


def depths() -> Iterator[CorpusCase]:
    for bits in (1, 2, 4):
        few = (GREY >> (8 - bits)).astype(np.uint8)
        truth = three((few.astype(np.uint16) * 255 // (2**bits - 1)).astype(np.uint8))
        yield CorpusCase(f"grey{bits}.png", f"grey PNG of {bits} bits", png.png(few, png.GREY, bits), truth=truth)
        palette = np.random.default_rng(bits).integers(0, 256, (2**bits, 3), dtype=np.uint8)
        data = png.png(few, png.PALETTE, bits, [png.chunk(b"PLTE", palette.tobytes())])
        yield CorpusCase(f"palette{bits}.png", f"PNG, palette of {bits} bits", data, truth=palette[few])
    deep_grey, deep = GREY.astype(np.uint16) * 257, PICTURE.astype(np.uint16) * 257
    yield CorpusCase("grey16.png", "grey PNG of 16 bits", png.png(deep_grey, png.GREY, 16), truth=three(GREY))
    yield CorpusCase("rgb16.png", "RGB PNG of 16 bits", png.png(deep, png.RGB, 16), truth=PICTURE)
    for name, samples, colour, bits, truth in (
        ("rgb", PICTURE, png.RGB, 8, PICTURE),
        ("grey16", deep_grey, png.GREY, 16, three(GREY)),
    ):
        data = png.png(samples, colour, bits, interlaced=True)
        yield CorpusCase(f"interlaced-{name}.png", f"interlaced PNG, {name}", data, truth=truth)
