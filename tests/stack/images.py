"""Good and bad image files, made on the spot."""

import struct
import zlib
from io import BytesIO

from PIL import Image


def png(colour: tuple[int, int, int] = (200, 30, 30), side: int = 64) -> bytes:
    """A coloured square with a white corner: two colours make two vectors."""
    picture = Image.new("RGB", (side, side), colour)
    picture.paste((255, 255, 255), (side // 4, side // 4, side // 2, side // 2))
    out = BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def truncated_png() -> bytes:
    """A real beginning and no end."""
    noise = Image.effect_noise((256, 256), 80)  # noise does not compress: the cut falls in the pixels
    out = BytesIO()
    noise.save(out, "PNG")
    return out.getvalue()[: len(out.getvalue()) // 2]


def bomb(side: int = 30_000) -> bytes:
    """A true PNG of side x side black pixels in some 100 KB: 900 million pixels once decoded."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(1 + (side + 7) // 8)  # filter byte and one bit a pixel
    pixels = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
