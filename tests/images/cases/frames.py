"""GIF, WebP and AVIF: first frames, and files that are cut."""

import io
import struct
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tests.images import avif_writer as avif
from tests.images.case import CorpusCase, Other
from tests.images.pictures import TALL, on_white, picture, write

UNDRAWN: Other = {"browser": "other", "why": "it has a size and draws nothing"}
PICTURE, TALL_PICTURE = picture(), picture(*TALL)


def frames_cases() -> Iterator[CorpusCase]:
    yield from gif_files()
    yield from webp_files()
    yield from avif_files()
    yield from odd_avif_files()
    yield from plain_formats()


def gif_files() -> Iterator[CorpusCase]:
    image = Image.fromarray(PICTURE).quantize(128)
    truth = np.asarray(image.convert("RGB"))
    file = io.BytesIO()
    image.save(file, "GIF")
    yield CorpusCase("plain.gif", "GIF", file.getvalue(), truth=truth)
    yield CorpusCase("after-end.gif", "GIF, bytes after the end", file.getvalue() + b"some words", "shown", truth)
    file = io.BytesIO()
    image.save(file, "GIF", interlace=1)
    yield CorpusCase("interlaced.gif", "GIF, interlaced", file.getvalue(), truth=truth)
    file = io.BytesIO()
    other = Image.fromarray(255 - PICTURE).quantize(128)
    image.save(file, "GIF", save_all=True, append_images=[other], duration=50)
    yield CorpusCase("animated.gif", "GIF, animated: its first frame", file.getvalue(), truth=truth)
    yield small_frame()
    image = Image.fromarray(TALL_PICTURE).quantize(128)
    truth = np.asarray(image.convert("RGB"))
    file = io.BytesIO()
    image.save(file, "GIF", interlace=0)
    whole = file.getvalue()
    yield CorpusCase("no-trailer.gif", "GIF without its last byte", whole[:-1], "shown", truth)
    cut = whole[: len(whole) - len(whole) // 30]
    yield CorpusCase("cut-97.gif", "GIF cut at 97 %", cut, "damaged", truth, rows=0.9)
    yield CorpusCase("cut-50.gif", "GIF cut at 50 %", whole[: len(whole) // 2], "refused", truth, "truncated", rows=0.3)
    yield CorpusCase(
        "cut-header.gif", "GIF cut before its pixels", whole[:40], "refused", says="truncated", browser="nothing"
    )


def small_frame() -> CorpusCase:
    """Its first half alone has pixels; the background colour is not shown."""
    left = Image.fromarray(PICTURE[:, :32]).quantize(16)
    file = io.BytesIO()
    left.save(file, "GIF")
    data = bytearray(file.getvalue())
    data[6:8] = struct.pack("<H", 64)  # of the screen
    truth = np.full_like(PICTURE, 255)
    truth[:, :32] = np.asarray(left.convert("RGB"))
    return CorpusCase("small-frame.gif", "GIF, a first frame smaller than the screen", bytes(data), truth=truth)


def webp_files() -> Iterator[CorpusCase]:
    for name, options in (("lossy", {"quality": 95}), ("lossless", {"lossless": True})):
        whole = write(TALL_PICTURE, "WEBP", **options)
        levels = 3.0 if name == "lossy" else 2.0
        yield CorpusCase(f"{name}.webp", f"WebP, {name}", whole, truth=TALL_PICTURE, levels=levels)
        for share, kind in ((0.97, "either"), (0.5, "refused")):
            cut = whole[: round(len(whole) * share)]
            title = f"WebP, {name}, cut at {share:.0%}"
            yield CorpusCase(
                f"{name}-cut-{share * 100:.0f}.webp", title, cut, kind, TALL_PICTURE, "truncated",  # type: ignore[arg-type]
                rows=0.8 if share > 0.9 else 0.1, levels=levels, **UNDRAWN,
            )  # fmt: skip
    file = io.BytesIO()
    first, second = Image.fromarray(PICTURE), Image.fromarray(255 - PICTURE)
    first.save(file, "WEBP", save_all=True, append_images=[second], lossless=True, duration=50)
    yield CorpusCase("animated.webp", "WebP, animated: its first frame", file.getvalue(), truth=PICTURE)
    whole = write(PICTURE, "WEBP", lossless=True)
    yield CorpusCase("after-end.webp", "WebP, bytes after the end", whole + b"some words", "shown", PICTURE)


def avif_files() -> Iterator[CorpusCase]:
    for subsampling in ("4:2:0", "4:2:2", "4:0:0"):
        pixels = PICTURE if subsampling != "4:0:0" else np.repeat(PICTURE[..., 1:2], 3, axis=-1)
        data = write(pixels, "AVIF", quality=97, subsampling=subsampling)
        name = subsampling.replace(":", "")
        yield CorpusCase(f"avif-{name}.avif", f"AVIF, {subsampling}", data, truth=pixels)
    odd = picture(61, 47)
    data = write(odd, "AVIF", quality=97, subsampling="4:2:0")
    yield CorpusCase("avif-odd.avif", "AVIF of 61 x 47", data, truth=odd, levels=2.5)
    whole = write(PICTURE, "AVIF", quality=97)
    cut = whole[: len(whole) // 2]
    yield CorpusCase("avif-cut.avif", "AVIF cut at 50 %", cut, "refused", says="AVIF", **UNDRAWN)
    yield CorpusCase(
        "avif-named.png", "AVIF named .png", write(PICTURE, "AVIF", quality=97, subsampling="4:4:4"), truth=PICTURE
    )
    yield CorpusCase("png-named.jpg", "PNG named .jpg", write(PICTURE, "PNG"), truth=PICTURE)


def odd_avif_files() -> Iterator[CorpusCase]:
    """They break rules that libavif checks in Pillow, and not in browsers."""
    alpha = np.zeros(PICTURE.shape[:2], np.uint8)
    alpha[8:40, 16:56] = 255
    truth = on_white(PICTURE, alpha)
    plain = write(PICTURE, "AVIF", quality=97, subsampling="4:4:4")
    clear = write(np.dstack([PICTURE, alpha]), "AVIF", "RGBA", quality=97, subsampling="4:4:4")
    yield CorpusCase("avif-alpha.avif", "AVIF with alpha", clear, truth=truth)
    yield CorpusCase(
        "avif-two-lists.avif", "AVIF with alpha and two lists of properties", avif.with_two_lists(clear), truth=truth
    )
    yield CorpusCase(
        "avif-alpha-no-size.avif",
        "AVIF with alpha of no size of its own",
        avif.without_alpha_size(clear),
        truth=truth,
        browser="nothing",
    )
    yield CorpusCase(
        "avif-group.avif",
        "AVIF with a pyramid that has the picture's number",
        avif.with_same_group(plain),
        truth=PICTURE,
        levels=2.5,
    )
    minimal = struct.pack(">I4s4s4s", 16, b"ftyp", b"mif3", b"avif") + struct.pack(">I4s4x", 12, b"mini")
    yield CorpusCase(
        "avif-minimal.avif",
        "AVIF with a minimal header",
        minimal,
        "refused",
        says="minimal header",
        browser="nothing",
    )


def plain_formats() -> Iterator[CorpusCase]:
    """What Chromium does not show and many archives have."""
    pgm = b"P5\n64 48\n255\n" + np.ascontiguousarray(PICTURE[..., 1]).tobytes()
    yield CorpusCase("plain.pgm", "PGM", pgm, "refused", says="PNM", browser="nothing")
    yield CorpusCase(
        "plain.jp2", "JPEG 2000", write(PICTURE, "JPEG2000"), "refused", says="JPEG 2000", browser="nothing"
    )
    icon = io.BytesIO()
    Image.fromarray(PICTURE).resize((32, 32)).save(icon, "ICO", sizes=[(32, 32)])
    yield CorpusCase("plain.ico", "ICO", icon.getvalue(), "refused", says="ICO", browser="other", why="it shows icons")
    header = struct.pack("<3B2HB4H2B", 0, 0, 2, 0, 0, 0, 0, 0, 64, 48, 24, 32)
    tga = header + np.ascontiguousarray(PICTURE[..., ::-1]).tobytes()
    yield CorpusCase("plain.tga", "TGA", tga, "refused", browser="nothing")
