"""A drawn page of a PDF file, as its pixels: it becomes a file only where one is stored or sent.

To write a page as JPEG and to decode it again for each use takes several times as long as to draw it. Most pages are
grey, scans and drawings above all, and have a quarter of the bytes then.

H, W pixels · S bytes of a row
"""

import hashlib
import io
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from ingest.choices import MAX_FILE_BYTES

# Compared with PNG: an A0 drawing at 150 dpi takes 0.2 s instead of 1.1 s for about as many bytes; a scan takes a tenth
# of the time and less than half of the bytes. 4:4:4, because thin coloured lines would lose their colour.
JPEG_QUALITY = 95
BAND_PIXELS = 65_536  # compared at once, so that they stay in the processor's cache

PageRows = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class PagePixels:
    """A page, upright on white, in sRGB."""

    rows: PageRows  # (H, W) of mode L, (H, 4 W) of mode RGBX
    mode: Literal["L", "RGBX"]

    @classmethod
    def build(cls, rows_hs: PageRows, width: int) -> "PagePixels":
        """`rows_hs`: (H, S), four bytes a pixel, R G B X, and no more than that matters of a row."""
        grey = find_grey(rows_hs, width)
        return cls(np.ascontiguousarray(rows_hs[:, : 4 * width]), "RGBX") if grey is None else cls(grey, "L")

    @property
    def picture(self) -> Image.Image:
        """The page in its mode, L or RGBX, in the same memory."""
        height, width = self.rows.shape[0], self.rows.shape[1] // len(self.mode)
        return Image.frombuffer(self.mode, (width, height), self.rows, "raw", self.mode, 0, 1)

    @property
    def held_bytes(self) -> int:
        return self.rows.nbytes

    @property
    def greens(self) -> PageRows:
        """(H, W): the green of each pixel, which is most of what is seen as bright, or its grey."""
        return self.rows[:, 1::4] if self.mode == "RGBX" else self.rows

    def digest(self) -> str:
        """Return the SHA-256 of mode, size and all pixels, in hex."""
        found = hashlib.sha256(f"page {self.mode} {self.rows.shape}".encode())
        found.update(self.rows.data)
        return found.hexdigest()

    def encode(self) -> bytes:
        """Return the page as a JPEG file, at half the size if that would be larger than MAX_FILE_BYTES."""
        return encode_page(to_rgb(self.picture))


def find_grey(rows_hs: PageRows, width: int) -> PageRows | None:
    """(H, W): the grey levels, if R = G = B in every pixel; else None."""
    words = rows_hs.view("<u4")[:, :width]
    grey = np.empty(words.shape, np.uint8)
    step = max(1, BAND_PIXELS // width)
    spare = np.empty((step, width), words.dtype)
    for start in range(0, len(words), step):
        band = words[start : start + step]
        shifted = np.right_shift(band, 8, out=spare[: len(band)])
        grey[start : start + step] = shifted  # the lowest byte, G
        shifted ^= band  # R and G, then G and B
        shifted &= 0xFFFF
        if shifted.any():
            return None
    return grey


def reduce_picture(picture: Image.Image, side: int) -> Image.Image:
    """Return it with sides of `side` pixels at most: each is the mean of N x N. A smaller one comes back as it is.

    That takes a quarter of the time that a cubic filter takes to make it exactly as large as allowed.
    """
    factor = math.ceil(max(picture.size) / side)
    return picture.reduce(factor) if factor > 1 else picture


def to_rgb(picture: Image.Image) -> Image.Image:
    """Return an RGB picture as it is, and any other as RGB."""
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def settle_mode(picture: Image.Image) -> Image.Image:
    """Return a grey picture as it is, since a grey file takes less time and bytes, and any other as RGB."""
    return picture if picture.mode == "L" else to_rgb(picture)


def encode_page(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return encode_page(picture.reduce(2)) if out.tell() > MAX_FILE_BYTES else out.getvalue()
