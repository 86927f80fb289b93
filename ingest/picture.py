"""A look at an image file: what kind it is, a thumbnail, a perceptual hash, the whole of it on a white square.

It is decoded only as far as somebody wants what comes of it; all else is left to the sidecar, which decodes every
image anyway and tells what it cannot read.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from clip_vectorizer.pictures import FORMATS, upright_rgb
from ingest.items import Fit, UnusableFile
from ingest.sources.reading import MAX_PIXELS
from ingest.store import Keep

THUMBNAIL_SIDE = 256  # pixels
THUMBNAIL_QUALITY = 75  # Weaviate checks every character of it: see ARCHITECTURE.md
PADDED_QUALITY = 95
PADDED_SIDE = 2048  # pixels; several times what any model looks at
WHITE = (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Seen:
    mime: str
    image: bytes  # what is to be embedded
    thumbnail: bytes | None = None
    phash: str = ""


def look_at(data: bytes, fit: Fit, keep: Keep, with_phash: bool) -> Seen:
    """Raises UnusableFile with the reason."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            mime = Image.MIME[picture.format or ""]
            refuse_bomb(picture)
            return seen(data, mime, picture, fit, keep in (Keep.FULL, Keep.THUMBNAIL), with_phash)
    except UnusableFile:
        raise
    except UnidentifiedImageError as error:
        raise UnusableFile(f"not an image that can be read (read are {', '.join(FORMATS)})") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, IndexError, struct.error, ...
        raise UnusableFile(f"broken or truncated image ({error})") from error


def seen(data: bytes, mime: str, picture: Image.Image, fit: Fit, with_thumbnail: bool, with_phash: bool) -> Seen:
    if fit is Fit.PAD:
        whole = upright_rgb(loaded(picture))
        data = padded(whole)
    elif with_thumbnail or with_phash:
        # A JPEG is decoded at the least scale that is not smaller: all of the file is still read, and checked.
        picture.draft("RGB", thumbnail_size(picture.size))
        whole = upright_rgb(loaded(picture))
    else:
        return Seen(mime, data)
    small = whole.resize(thumbnail_size(whole.size), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return Seen(mime, data, jpeg(small, THUMBNAIL_QUALITY) if with_thumbnail else None, difference_hash(small))


def thumbnail_size(size: tuple[int, int]) -> tuple[int, int]:
    """The long side at most THUMBNAIL_SIDE; nothing is enlarged."""
    shrink = min(1.0, THUMBNAIL_SIDE / max(size))
    return max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink))


def loaded(picture: Image.Image) -> Image.Image:
    picture.load()
    return picture


def refuse_bomb(picture: Image.Image) -> None:
    pixels = picture.width * picture.height
    if pixels > MAX_PIXELS:
        raise UnusableFile(
            f"{picture.width} x {picture.height} is {pixels / 1e6:.0f} megapixels; "
            f"the limit is {MAX_PIXELS / 1e6:.0f}: make it smaller"
        )


def padded(picture: Image.Image) -> bytes:
    """A JPEG of the whole picture in the middle of a white square, so that a centre crop cuts nothing off."""
    picture = picture.copy()
    picture.thumbnail((PADDED_SIDE, PADDED_SIDE))
    side = max(picture.size)
    square = Image.new("RGB", (side, side), WHITE)
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return jpeg(square, PADDED_QUALITY)


def jpeg(picture: Image.Image, quality: int) -> bytes:
    picture.info.clear()  # no EXIF, no colour profile: the pixels are upright already
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def difference_hash(picture: Image.Image) -> str:
    """64 bits in 16 hex digits: is each of 8 x 8 cells brighter than its right neighbour? Survives scaling and JPEG."""
    grey = np.asarray(picture.resize((9, 8), Image.Resampling.BOX).convert("L"), dtype=np.int16)
    return np.packbits(grey[:, :-1] > grey[:, 1:]).tobytes().hex()
