"""Read an item, compare it with its stored state, and build the object to upload. Many threads do this at once.

An image is decoded only if a thumbnail, a perceptual hash or padding is needed: the sidecar decodes every image
anyway, and reports those it cannot read.
"""

import hashlib
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from clip_vectorizer.errors import InputError
from clip_vectorizer.images.pillow import PILLOW_FORMATS, open_image
from clip_vectorizer.images.upright import upright_rgb
from ingest.choices import Fit, Keep
from ingest.items import (
    Amendment,
    Facts,
    ImageObject,
    ItemOutcome,
    SourceItem,
    Status,
    StoredState,
    UnusableFile,
    digest_facts,
)
from ingest.sources.reading import MAX_PIXELS

THUMBNAIL_SIDE = 256  # pixels
THUMBNAIL_QUALITY = 75  # Weaviate checks every character of the base64: see docs/decisions.md
PADDED_QUALITY = 95
PADDED_SIDE = 2048  # pixels; several times the input of any model
WHITE = (255, 255, 255)

PreparedItem = ImageObject | Amendment | ItemOutcome


@dataclass(frozen=True, slots=True)
class PrepareSettings:
    """What to make of an image."""

    keep: Keep = Keep.THUMBNAIL
    near_duplicates: bool = False  # a perceptual hash for every image, also if no thumbnail is stored
    take_over: bool = False  # replace an image that another source stored under the same key


def is_unchanged(item: SourceItem, stored: StoredState | None, settings: PrepareSettings) -> bool:
    """Whether the stored state has the same stamp, source and fit, so that the file need not be read."""
    if stored is None or not item.stamp or (settings.near_duplicates and not stored.phash):
        return False
    return (item.stamp, item.source, str(item.fit)) == (stored.stamp, stored.source, stored.fit)


def prepare(item: SourceItem, stored: StoredState | None, settings: PrepareSettings) -> PreparedItem:
    """Return what to upload, or the outcome if there is nothing: unchanged, or failed with the reason. Never raises."""
    try:
        return compare_with_stored(item, item.read(), stored, settings)
    except (UnusableFile, InputError) as problem:
        return fail_item(item, str(problem).removeprefix(f"{item.key}: "))
    except Exception as error:  # no error of a decoder may stop the run
        return fail_item(item, f"{type(error).__name__}: {error}")


def compare_with_stored(
    item: SourceItem, data: bytes, stored: StoredState | None, settings: PrepareSettings
) -> PreparedItem:
    sha256 = hashlib.sha256(data).hexdigest()
    facts = item.facts(data)
    if stored is None or (stored.sha256, stored.fit) != (sha256, str(item.fit)):
        if stored and stored.source not in ("", item.source) and not settings.take_over:
            return fail_item(item, format_clash(stored))
        return build_object(item, data, sha256, facts, stored, settings)
    phash = (
        preview_image(data, item.fit, Keep.NONE, True).phash if settings.near_duplicates and not stored.phash else ""
    )
    same_facts = stored.facts == digest_facts(facts)
    if same_facts and not phash and (stored.stamp, stored.source) == (item.stamp, item.source):
        return ItemOutcome(item.key, Status.UNCHANGED, source=item.source)
    return Amendment(item.key, item.source, item.stamp, None if same_facts else facts, phash)


def build_object(
    item: SourceItem, data: bytes, sha256: str, facts: Facts, stored: StoredState | None, settings: PrepareSettings
) -> ImageObject:
    seen = preview_image(data, item.fit, settings.keep, settings.near_duplicates)
    return ImageObject(
        key=item.key,
        source=item.source,
        stamp=item.stamp,
        sha256=sha256,
        fit=item.fit,
        facts=facts,
        mime=seen.mime,
        size=len(data),
        image=seen.image,
        thumbnail=seen.thumbnail,
        phash=seen.phash,
        replaces=stored is not None,
    )


def format_clash(stored: StoredState) -> str:
    return (
        f"the collection holds another image under this path, from {stored.source}; "
        "keep both with --prefix NAME, or replace that one with --take-over"
    )


def fail_item(item: SourceItem, reason: str) -> ItemOutcome:
    return ItemOutcome(item.key, Status.FAILED, reason, item.source)


@dataclass(frozen=True, slots=True)
class ImagePreview:
    mime: str
    image: bytes  # what is to be embedded
    thumbnail: bytes | None = None
    phash: str = ""


def preview_image(data: bytes, fit: Fit, keep: Keep, with_phash: bool) -> ImagePreview:
    """Return the image to embed, with thumbnail and hash as needed. Raises UnusableFile with the reason."""
    try:
        with open_image(io.BytesIO(data)) as picture:
            mime = Image.MIME[picture.format or ""]
            check_pixel_count(picture)
            return build_preview(data, mime, picture, fit, keep in (Keep.FULL, Keep.THUMBNAIL), with_phash)
    except UnusableFile:
        raise
    except UnidentifiedImageError as error:
        raise UnusableFile(f"not an image that can be read (read are {', '.join(PILLOW_FORMATS)})") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, IndexError, struct.error, ...
        raise UnusableFile(f"broken or truncated image ({error})") from error


def build_preview(
    data: bytes, mime: str, picture: Image.Image, fit: Fit, with_thumbnail: bool, with_phash: bool
) -> ImagePreview:
    if fit is Fit.PAD:
        whole = upright_rgb(load_pixels(picture))
        data = pad_to_square(whole)
    elif with_thumbnail or with_phash:
        # Decode a JPEG at the smallest scale that is large enough: all of the file is still read and checked.
        picture.draft("RGB", thumbnail_size(picture.size))
        whole = upright_rgb(load_pixels(picture))
    else:
        return ImagePreview(mime, data)
    small = whole.resize(thumbnail_size(whole.size), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return ImagePreview(
        mime, data, encode_jpeg(small, THUMBNAIL_QUALITY) if with_thumbnail else None, difference_hash(small)
    )


def thumbnail_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return width and height with the long side at most THUMBNAIL_SIDE; nothing is enlarged.

    >>> thumbnail_size((1024, 512)), thumbnail_size((80, 60))
    ((256, 128), (80, 60))
    """
    shrink = min(1.0, THUMBNAIL_SIDE / max(size))
    return max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink))


def load_pixels(picture: Image.Image) -> Image.Image:
    picture.load()
    return picture


def check_pixel_count(picture: Image.Image) -> None:
    pixels = picture.width * picture.height
    if pixels > MAX_PIXELS:
        raise UnusableFile(
            f"{picture.width} x {picture.height} is {pixels / 1e6:.0f} megapixels; "
            f"the limit is {MAX_PIXELS / 1e6:.0f}: make it smaller"
        )


def pad_to_square(picture: Image.Image) -> bytes:
    """Return a JPEG of the whole picture centred on a white square, so that a centre crop removes nothing."""
    picture = picture.copy()
    picture.thumbnail((PADDED_SIDE, PADDED_SIDE))
    side = max(picture.size)
    square = Image.new("RGB", (side, side), WHITE)
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return encode_jpeg(square, PADDED_QUALITY)


def encode_jpeg(picture: Image.Image, quality: int) -> bytes:
    picture.info.clear()  # no EXIF and no colour profile: the pixels are upright already
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def difference_hash(picture: Image.Image) -> str:
    """Return 64 bits in 16 hex digits: whether each of 8 x 8 cells is brighter than its right neighbour.

    Scaling and JPEG compression change few of them.
    """
    grey = np.asarray(picture.resize((9, 8), Image.Resampling.BOX).convert("L"), dtype=np.int16)
    return np.packbits(grey[:, :-1] > grey[:, 1:]).tobytes().hex()
