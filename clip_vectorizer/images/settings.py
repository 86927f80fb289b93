"""How image files are decoded. Imports no other library."""

from dataclasses import dataclass
from typing import Literal

from clip_vectorizer.errors import ImageRefused

ColourMode = Literal["srgb", "raw"]  # raw: profiles are ignored, as in CLIP's own code

MAX_PIXELS = 100_000_000  # of one image; 100 megapixels decode to 300 MB, with alpha to several times that
LEAST_DECODED = 0.9  # the share of a damaged picture that must be there


@dataclass(frozen=True, slots=True)
class DecodeSettings:
    """The same for all files of a process."""

    max_pixels: int = MAX_PIXELS
    least_decoded: float = LEAST_DECODED  # 0 to 1
    colour: ColourMode = "srgb"


USUAL_DECODING = DecodeSettings()


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raises ImageRefused (413) for more pixels; call it before any is decoded."""
    pixels = width * height
    if pixels > max_pixels:
        size = f"{width} x {height} is {pixels / 1e6:.0f} megapixels"
        raise ImageRefused(413, f"{size}; the limit is {max_pixels / 1e6:.0f}")
