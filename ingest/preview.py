"""What is made of a picture: what is embedded, a thumbnail, a perceptual hash. Each file is decoded once, if possible.

It is decoded as small as its use allows. What is damaged, or in a format that only this install reads, is sent as a
whole plain picture, so that any sidecar makes the vector of what is reported here. Where this process makes the same
input of the model as the sidecar, thumbnail and input come from one decode, and the input is sent in place of the file.
"""

import io
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from clip_vectorizer.errors import ImageRefused
from clip_vectorizer.images.model_input import PixelRecipe, decode_input, finish_input, prepare_input, sides
from clip_vectorizer.images.opener import DecodedImage, decode_image, encode_plain, read_size
from clip_vectorizer.images.settings import USUAL_DECODING, DecodeSettings
from clip_vectorizer.region_crops import center_on_square
from clip_vectorizer.vectors import Box, Pixels
from ingest.choices import Fit, Keep
from ingest.items import SourceContent, UnusableFile
from ingest.page_pixels import PagePixels, reduce_picture, settle_mode

THUMBNAIL_SIDE = 256  # pixels
THUMBNAIL_QUALITY = 75  # Weaviate checks every character of the base64: see docs/decisions.md
PADDED_QUALITY = 95
PAGE_MIME = "image/jpeg"
PADDED_SIDE = 2048  # pixels, of a picture that may be stored
# An input may have so many times the bytes of its file: they cost less than to decode the file once more.
INPUT_RATIO = 2
PAGE_SIDE = 1024  # pixels, of a page that is embedded and not stored: no model's input is larger than half of it


@dataclass(frozen=True, slots=True)
class InputFormat:
    """How the input of the model is made and written, where it is sent in place of a file."""

    recipe: PixelRecipe
    compact: bool  # few bytes; otherwise little time

    def fits(self, data: bytes) -> bool:
        """Whether the input is worth sending in place of this file."""
        return 3 * self.recipe.size**2 <= INPUT_RATIO * len(data)

    def encode(self, pixels_ss3: Pixels) -> bytes:
        """A lossless image file."""
        out, picture = io.BytesIO(), Image.fromarray(pixels_ss3)
        if self.compact:
            picture.save(out, "WEBP", lossless=True, method=0, quality=0)
        else:
            picture.save(out, "BMP")
        return out.getvalue()


@dataclass(frozen=True, slots=True)
class ImagePreview:
    mime: str
    image: bytes  # what is to be embedded
    thumbnail: bytes | None = None
    phash: str = ""
    damage: str = ""  # what is wrong with the file, if part of it is used all the same
    ignored_profile: str = ""  # why its colour profile was not used
    is_input: bool = False  # `image` is the input of the model


def preview_image(
    data: SourceContent,
    fit: Fit,
    keep: Keep,
    with_phash: bool,
    settings: DecodeSettings = USUAL_DECODING,
    model_input: InputFormat | None = None,
) -> ImagePreview:
    """Return the image to embed, with thumbnail and hash as needed. Raises UnusableFile with the reason."""
    if isinstance(data, PagePixels):
        return preview_page(data, fit, keep, with_phash)
    with_thumbnail = keep in (Keep.FULL, Keep.THUMBNAIL)
    try:
        seen = None
        if model_input and fit is Fit.CROP and model_input.fits(data):
            seen = preview_input(data, model_input, with_thumbnail, with_phash, settings)
        if seen:
            return seen
        decoded = decode_for_use(data, fit, with_thumbnail or with_phash, settings)
        image = data if decoded.is_plain and fit is Fit.CROP else make_whole(data, fit, decoded, settings)
    except ImageRefused as refused:
        raise UnusableFile(
            f"{refused.reason}; make it smaller" if refused.status == 413 else refused.reason
        ) from refused
    if not (with_thumbnail or with_phash):
        return ImagePreview(decoded.mime, image, damage=decoded.damage, ignored_profile=decoded.ignored)
    small = make_thumbnail(decoded.pixels, decoded.size, decoded.box)
    thumbnail = encode_jpeg(small, THUMBNAIL_QUALITY) if with_thumbnail else None
    return ImagePreview(decoded.mime, image, thumbnail, difference_hash(small), decoded.damage, decoded.ignored)


def preview_input(
    data: bytes, model_input: InputFormat, with_thumbnail: bool, with_phash: bool, settings: DecodeSettings
) -> ImagePreview | None:
    """As `preview_image`, with the input of the model as the image; None for a file that needs a plain one.

    Raises ImageRefused.
    """
    recipe = model_input.recipe
    decoded = decode_input(data, recipe.size, settings)
    if not decoded.is_plain:
        return None
    file = model_input.encode(finish_input(decoded, lambda image, box: prepare_input(image, recipe, box)))
    if model_input.compact and len(file) > len(data):
        file = data
    seen = ImagePreview(decoded.mime, file, ignored_profile=decoded.ignored, is_input=file is not data)
    if not (with_thumbnail or with_phash):
        return seen
    if min(sides(decoded.box)) < min(thumbnail_size(decoded.size)):
        decoded = decode_for_use(data, Fit.CROP, True, settings)
    small = make_thumbnail(decoded.pixels, decoded.size, decoded.box)
    small = decoded.to_srgb(small) if decoded.to_srgb else small
    thumbnail = encode_jpeg(small, THUMBNAIL_QUALITY) if with_thumbnail else None
    return replace(seen, thumbnail=thumbnail, phash=difference_hash(small))


def preview_page(page: PagePixels, fit: Fit, keep: Keep, with_phash: bool) -> ImagePreview:
    """As `preview_image`, of pixels: they are never encoded to be decoded again."""
    picture, with_thumbnail = page.picture, keep in (Keep.FULL, Keep.THUMBNAIL)
    image = page.encode() if fit is Fit.CROP else pad_page(picture, keep)
    if not (with_thumbnail or with_phash):
        return ImagePreview(PAGE_MIME, image)
    small = settle_mode(make_thumbnail(picture, picture.size))
    thumbnail = encode_jpeg(small, THUMBNAIL_QUALITY) if with_thumbnail else None
    return ImagePreview(PAGE_MIME, image, thumbnail, difference_hash(small))


def decode_for_use(data: bytes, fit: Fit, is_seen: bool, settings: DecodeSettings) -> DecodedImage:
    """Decode at the smallest scale that is large enough: all of the file is still read and checked."""
    size = read_size(data, settings)
    if fit is Fit.PAD or 0 in size:
        return decode_image(data, settings)
    return decode_image(data, settings, min(thumbnail_size(size)) if is_seen else 1)


def make_whole(data: bytes, fit: Fit, decoded: DecodedImage, settings: DecodeSettings) -> bytes:
    """The file to embed in place of one that is damaged, in a format of its own, or not a square."""
    if fit is Fit.PAD:
        return pad_to_square(decoded.pixels)
    return encode_plain(decode_image(data, settings).pixels)


def make_thumbnail(picture: Image.Image, size: tuple[int, int], box: Box | None = None) -> Image.Image:
    """`size`: of the image; `box`: its place in the picture, which may be a smaller one."""
    return picture.resize(thumbnail_size(size), Image.Resampling.BILINEAR, box, reducing_gap=2.0)


def thumbnail_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return width and height with the long side at most THUMBNAIL_SIDE; nothing is enlarged.

    >>> thumbnail_size((1024, 512)), thumbnail_size((80, 60))
    ((256, 128), (80, 60))
    """
    shrink = min(1.0, THUMBNAIL_SIDE / max(size))
    return max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink))


def pad_to_square(picture: Image.Image) -> bytes:
    """Return a JPEG of the whole picture centred on a white square."""
    picture = picture.copy()
    picture.thumbnail((PADDED_SIDE, PADDED_SIDE))
    return encode_jpeg(center_on_square(picture), PADDED_QUALITY)


def pad_page(picture: Image.Image, keep: Keep) -> bytes:
    """Return a JPEG of the whole page centred on a white square."""
    if keep is Keep.FULL:
        return pad_to_square(settle_mode(picture))
    small = settle_mode(reduce_picture(picture, PAGE_SIDE))
    return encode_jpeg(center_on_square(small), PADDED_QUALITY)


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
