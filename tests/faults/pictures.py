"""Pictures that are good, marked, or bombs; made on the spot."""

import io
import struct
import zlib
from typing import Any

from PIL import Image

SIDE = 30_000  # of most bombs: 900 million pixels, 2.7 GB once decoded


def file_of(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def plain(colour: tuple[int, int, int], side: int = 8) -> bytes:
    return file_of(Image.new("RGB", (side, side), colour))


def noise(width: int, height: int, kind: str = "JPEG") -> bytes:
    """A picture that costs what a photograph costs to decode."""
    return file_of(Image.effect_noise((width, height), 60).convert("RGB"), kind)


def cut(file: bytes) -> bytes:
    return file[: len(file) // 2]


def png_bomb() -> bytes:
    """A header without pixels."""
    return png_of(SIDE, SIDE, 8, b"")


def packed_bomb(width: int = 10_001, height: int = 10_000) -> bytes:
    """A whole, correct PNG of 100 million black pixels and 10,000 more, in about 15 KB."""
    rows = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)  # filter byte and one bit a pixel
    return png_of(width, height, 1, b"".join(rows.compress(row) for _ in range(height)) + rows.flush())


def png_of(width: int, height: int, depth: int, pixels: bytes) -> bytes:
    colour = 2 if depth == 8 else 0
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = (b"IHDR" + header, b"IDAT" + pixels, b"IEND")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks
    )


def gif_bomb() -> bytes:
    """A small animation whose canvas and first frame are made huge."""
    data = bytearray(file_of(Image.new("P", (8, 8)), "GIF"))
    data[6:10] = struct.pack("<HH", SIDE, SIDE)
    frame = data.index(b"\x2c", 13)
    data[frame + 5 : frame + 9] = struct.pack("<HH", SIDE, SIDE)
    return bytes(data)


def webp_bomb() -> bytes:
    """A lossless WebP of the largest size there is, 16,384 x 16,384: two times 14 bits after the signature 0x2f."""
    data = bytearray(file_of(Image.new("RGB", (8, 8)), "WEBP", lossless=True))
    signature = data.index(b"\x2f", 20)
    data[signature + 1 : signature + 5] = (2**28 - 1).to_bytes(4, "little")
    return bytes(data)


def animated_webp_bomb() -> bytes:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = bytearray(file_of(frames[0], "WEBP", save_all=True, append_images=frames[1:]))
    data[24:30] = (SIDE - 1).to_bytes(3, "little") * 2
    return bytes(data)


def jpeg_bomb() -> bytes:
    """A small JPEG whose frame header has 30,000 x 30,000."""
    data = bytearray(file_of(Image.new("RGB", (8, 8)), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", SIDE, SIDE)
    return bytes(data)


def bmp_bomb() -> bytes:
    data = bytearray(file_of(Image.new("RGB", (8, 8)), "BMP"))
    data[18:26] = struct.pack("<ii", SIDE, SIDE)
    return bytes(data)


def tiff_bomb() -> bytes:
    """ImageWidth is tag 256, ImageLength 257; their values lie in the tag's last four bytes."""
    data = bytearray(file_of(Image.new("RGB", (8, 8)), "TIFF"))
    for tag in (256, 257):
        entry = next(at for at in range(8, len(data)) if data[at : at + 2] == struct.pack("<H", tag))
        data[entry + 2 : entry + 12] = struct.pack("<HII", 4, 1, SIDE)
    return bytes(data)


BOMBS = {
    "PNG": png_bomb,
    "packed PNG": packed_bomb,
    "GIF": gif_bomb,
    "WebP": webp_bomb,
    "animated WebP": animated_webp_bomb,
    "JPEG": jpeg_bomb,
    "BMP": bmp_bomb,
    "TIFF": tiff_bomb,
}
