"""Read an item, compare it with its stored state, and build the object to upload. Many threads do this at once.

Every new image is decoded here too, as small as its use allows: what is damaged, or in a format that only this install
reads, is sent as a whole plain picture, so that any sidecar makes the vector of what is reported here. A page of a PDF
file comes as pixels, and only what is stored or sent of it becomes a file.
"""

import hashlib
import io
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from clip_vectorizer.errors import IMAGE_FORMATS, ImageRefused, InputError
from clip_vectorizer.images.formats import UNKNOWN
from clip_vectorizer.images.opener import DecodedImage, decode_image, encode_plain, read_size
from clip_vectorizer.images.settings import USUAL_DECODING, ColourMode, DecodeSettings
from clip_vectorizer.region_crops import center_on_square
from clip_vectorizer.vectors import Box
from ingest.choices import Fit, Keep
from ingest.items import (
    Amendment,
    Facts,
    ImageObject,
    ItemOutcome,
    RegionResult,
    RegionTask,
    SourceContent,
    SourceItem,
    Status,
    StoredState,
    UnusableFile,
    digest_facts,
)
from ingest.page_pixels import PagePixels, reduce_picture, settle_mode
from ingest.region_cuts import cut_page_corners
from ingest.region_methods import RegionKind, RegionRecipe
from ingest.store.base import ImageStore

THUMBNAIL_SIDE = 256  # pixels
THUMBNAIL_QUALITY = 75  # Weaviate checks every character of the base64: see docs/decisions.md
PADDED_QUALITY = 95
PAGE_MIME = "image/jpeg"
PADDED_SIDE = 2048  # pixels, of a picture that may be stored
PAGE_SIDE = 1024  # pixels, of a page that is embedded and not stored: no model's input is larger than half of it

PreparedItem = ImageObject | Amendment | ItemOutcome


@dataclass(frozen=True, slots=True)
class PrepareSettings:
    """What to make of an image."""

    keep: Keep = Keep.THUMBNAIL
    near_duplicates: bool = False  # a perceptual hash for every image, also if no thumbnail is stored
    decode: DecodeSettings = USUAL_DECODING
    take_over: bool = False  # replace an image that another source stored under the same key
    regions: RegionRecipe | None = None  # None: regions stay as they are


def adapt_to_store(settings: PrepareSettings, store: ImageStore) -> PrepareSettings:
    """Return the settings with what the store keeps, and with the colours that its model is given."""
    colour: ColourMode = "raw" if store.model.preprocessing.endswith("-raw") else "srgb"
    return replace(settings, keep=store.keep, decode=replace(settings.decode, colour=colour))


def is_unchanged(item: SourceItem, stored: StoredState | None, settings: PrepareSettings) -> bool:
    """Whether the stored state has the same stamp, source and fit, and the regions of the run, so that the file need
    not be read."""
    return has_same_stamp(item, stored, settings) and not lacks_regions(item, stored, settings)


def has_same_stamp(item: SourceItem, stored: StoredState | None, settings: PrepareSettings) -> bool:
    if stored is None or not item.stamp or (settings.near_duplicates and not stored.phash):
        return False
    return (item.stamp, item.source, str(item.fit)) == (stored.stamp, stored.source, stored.fit)


def lacks_regions(item: SourceItem, stored: StoredState | None, settings: PrepareSettings) -> bool:
    return stored is not None and settings.regions is not None and not settings.regions.matches(item.key, stored)


def prepare(item: SourceItem, stored: StoredState | None, settings: PrepareSettings) -> PreparedItem:
    """Return what to upload, or the outcome if there is nothing: unchanged, or failed with the reason. Never raises."""
    try:
        if removes_regions(settings) and has_same_stamp(item, stored, settings):
            return Amendment(item.key, item.source, item.stamp, None, regions=RegionResult(""))
        return compare_with_stored(item, item.read(), stored, settings)
    except (UnusableFile, InputError) as problem:
        return fail_item(item, str(problem).removeprefix(f"{item.key}: "))
    except Exception as error:  # no error of a decoder may stop the run
        return fail_item(item, f"{type(error).__name__}: {error}")


def compare_with_stored(
    item: SourceItem, data: SourceContent, stored: StoredState | None, settings: PrepareSettings
) -> PreparedItem:
    sha256 = digest_content(data, stored.sha256 if stored else "")
    facts = item.facts(data)
    if stored is None or (stored.sha256, stored.fit) != (sha256, str(item.fit)):
        if stored and stored.source not in ("", item.source) and not settings.take_over:
            return fail_item(item, format_clash(stored))
        return build_object(item, data, sha256, facts, stored, settings)
    return compare_same_bytes(item, data, sha256, facts, stored, settings)


def digest_content(data: SourceContent, stored: str) -> str:
    """Return the SHA-256 of a file, or of the pixels of a page.

    Earlier versions hashed the JPEG file that they made of a page: where `stored` is that hash, it is the page's.
    """
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    digest = data.digest()
    is_older = stored not in ("", digest) and stored == hashlib.sha256(data.encode()).hexdigest()
    return stored if is_older else digest


def removes_regions(settings: PrepareSettings) -> bool:
    return settings.regions is not None and settings.regions.method.kind is RegionKind.NONE


def compare_same_bytes(
    item: SourceItem, data: SourceContent, sha256: str, facts: Facts, stored: StoredState, settings: PrepareSettings
) -> PreparedItem:
    phash = (
        preview_image(data, item.fit, Keep.NONE, True, settings.decode).phash
        if settings.near_duplicates and not stored.phash
        else ""
    )
    regions = amend_regions(item, data, sha256, facts, stored, settings)
    same_facts = stored.facts == digest_facts(facts)
    if same_facts and not (phash or regions) and (stored.stamp, stored.source) == (item.stamp, item.source):
        return ItemOutcome(item.key, Status.UNCHANGED, source=item.source)
    return Amendment(item.key, item.source, item.stamp, None if same_facts else facts, phash, regions)


def amend_regions(
    item: SourceItem, data: SourceContent, sha256: str, facts: Facts, stored: StoredState, settings: PrepareSettings
) -> RegionTask | RegionResult | None:
    """Return the task for a stored image whose regions are not those of the run."""
    if settings.regions is None:
        return None
    if removes_regions(settings):
        return RegionResult("") if stored.regions else None
    boxes = settings.regions.find_boxes(item.key, facts.boxes)
    if settings.regions.build_stamp(sha256, boxes) == stored.regions:
        return None
    return build_region_task(item, data, sha256, facts, stored, settings)


def create_regions(
    item: SourceItem,
    data: SourceContent,
    image: bytes,
    sha256: str,
    facts: Facts,
    stored: StoredState | None,
    settings: PrepareSettings,
) -> RegionTask | None:
    """Return the task for a new or changed image. `image`: what is embedded of it, and without padding shared."""
    if settings.regions is None or removes_regions(settings):
        return None
    return build_region_task(item, data, sha256, facts, stored, settings, image if item.fit is Fit.CROP else b"")


def build_region_task(
    item: SourceItem,
    data: SourceContent,
    sha256: str,
    facts: Facts,
    stored: StoredState | None,
    settings: PrepareSettings,
    picture: bytes = b"",
) -> RegionTask:
    """`picture`: a file to cut regions from, if there is one already."""
    recipe = settings.regions
    assert recipe is not None
    boxes = recipe.find_boxes(item.key, facts.boxes)
    task = RegionTask(recipe.build_stamp(sha256, boxes), picture, facts, boxes, was_stamped=has_regions(stored))
    if isinstance(data, PagePixels) and recipe.method.kind is RegionKind.CORNERS:
        return replace(task, picture=b"", crops=cut_page_corners(data, recipe.method))
    return replace(task, picture=picture or make_picture(data, settings.decode))


def has_regions(stored: StoredState | None) -> bool:
    return stored is not None and bool(stored.regions)


def make_picture(data: SourceContent, settings: DecodeSettings) -> bytes:
    """Return the file to cut regions from: the image, or a plain one if not every sidecar reads it.

    Raises UnusableFile.
    """
    if isinstance(data, PagePixels):
        return data.encode()
    try:
        decoded = decode_for_use(data, Fit.CROP, is_seen=False, settings=settings)
        return data if decoded.is_plain else encode_plain(decode_image(data, settings).pixels)
    except ImageRefused as refused:
        raise UnusableFile(refused.reason) from refused


def build_object(
    item: SourceItem,
    data: SourceContent,
    sha256: str,
    facts: Facts,
    stored: StoredState | None,
    settings: PrepareSettings,
) -> ImageObject:
    seen = preview_image(data, item.fit, settings.keep, settings.near_duplicates, settings.decode)
    return ImageObject(
        key=item.key,
        source=item.source,
        stamp=item.stamp,
        sha256=sha256,
        fit=item.fit,
        facts=facts,
        mime=seen.mime,
        size=len(data if isinstance(data, bytes) else seen.image),
        image=seen.image,
        thumbnail=seen.thumbnail,
        phash=seen.phash,
        damage=seen.damage,
        ignored_profile=seen.ignored_profile,
        replaces=stored is not None,
        regions=create_regions(item, data, seen.image, sha256, facts, stored, settings),
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
    damage: str = ""  # what is wrong with the file, if part of it is used all the same
    ignored_profile: str = ""  # why its colour profile was not used


def preview_image(
    data: SourceContent, fit: Fit, keep: Keep, with_phash: bool, settings: DecodeSettings = USUAL_DECODING
) -> ImagePreview:
    """Return the image to embed, with thumbnail and hash as needed. Raises UnusableFile with the reason."""
    if isinstance(data, PagePixels):
        return preview_page(data, fit, keep, with_phash)
    with_thumbnail = keep in (Keep.FULL, Keep.THUMBNAIL)
    try:
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


def preview_page(page: PagePixels, fit: Fit, keep: Keep, with_phash: bool) -> ImagePreview:
    """As `preview_image`, of pixels: they are never encoded to be decoded again."""
    picture, with_thumbnail = page.picture, keep in (Keep.FULL, Keep.THUMBNAIL)
    image = page.encode() if fit is Fit.CROP else pad_page(picture, keep)
    if not (with_thumbnail or with_phash):
        return ImagePreview(PAGE_MIME, image)
    small = settle_mode(make_thumbnail(picture, picture.size))
    thumbnail = encode_jpeg(small, THUMBNAIL_QUALITY) if with_thumbnail else None
    return ImagePreview(PAGE_MIME, image, thumbnail, difference_hash(small))


def choose_hint(refused: ImageRefused) -> str:
    if refused.status == 413:
        return "; make it smaller"
    return f"; it must be a {IMAGE_FORMATS}" if refused.reason == UNKNOWN else ""


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
